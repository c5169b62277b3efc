"""Opens what workers run on: processes of this machine, or a Ray cluster whose machines are checked first."""

from __future__ import annotations

import logging
import os
import platform
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from trapmeter._version import __version__
from trapmeter.errors import InputError, RunError, require_extra
from trapmeter.settings import worker_count
from trapmeter.storage.address import AnyPath, parse_path
from trapmeter.storage.remote import path_exists

if TYPE_CHECKING:
    from trapmeter.parallel.sharding import Shard
    from trapmeter.parallel.workers import Engine

CONNECT_TIMEOUT_S = 20.0
"""A cluster that doesn't reply within this time counts as missing."""

LOCAL_STORE_BYTES = 100_000_000
"""Memory for results, which are small: by default Ray would reserve a third of the memory."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    # Silences messages about lost workers: the run itself reports what became of their tasks.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_server_request_timeout_seconds": str(int(CONNECT_TIMEOUT_S)),
    "RAY_gcs_rpc_server_reconnect_timeout_s": str(int(CONNECT_TIMEOUT_S)),
}


class EngineName(StrEnum):
    """What workers run on."""

    LOCAL = "local"
    """Processes of this machine."""
    RAY = "ray"
    """Ray, on one machine or many; the extra `cluster`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What workers run on."""

    engine: EngineName = EngineName.LOCAL
    """What workers run on: local (this machine) or ray (many machines; the extra `cluster`)."""
    ray_address: str | None = None
    """A running Ray cluster: auto, HOST:PORT or ray://HOST:PORT. Default: a cluster on this machine alone."""

    def __post_init__(self) -> None:
        if self.engine is EngineName.LOCAL and self.ray_address is not None:
            raise InputError("--ray-address needs --engine ray: give both")


@dataclass(frozen=True, slots=True)
class OpenEngine:
    """An engine that is ready to work, and the number of its workers."""

    engine: Engine
    jobs: int


def parse_engine_shard(text: str | None, engine: EngineName) -> Shard | None:
    """The shard that a user wrote, such as 2/8, if any; a shard is worked on by the processes of one machine.

    Raises:
        InputError: the text is no shard, or the engine is another one.
    """
    from trapmeter.parallel.sharding import parse_shard

    if text is not None and engine is not EngineName.LOCAL:
        raise InputError("--shard and --engine ray exclude each other: give one of them")
    return None if text is None else parse_shard(text)


@contextmanager
def open_engine(settings: EngineSettings, jobs: int | None, paths: Sequence[AnyPath]) -> Iterator[OpenEngine]:
    """The engine, until the block ends.

    jobs: the number of workers; None takes one for each core. paths: every machine must see these.

    Raises:
        MissingExtraError: Ray isn't installed.
        RunError: the cluster can't be reached, or can't do this work.
    """
    # Reading options needs the names above, and the pool of processes takes time to load.
    from trapmeter.parallel.workers import THIS_MACHINE, Engine

    if settings.engine is EngineName.LOCAL:
        yield OpenEngine(THIS_MACHINE, worker_count(jobs))
        return
    require_extra("ray", "cluster")
    from trapmeter.parallel.ray_workers import run_tasks_on_ray

    # A path that is missing on this machine too is a mistake in the command, which has a clearer message of its own.
    existing = [path.absolute() for path in paths if path_exists(path)]
    with connect_to_ray(settings.ray_address, existing, worker_count(jobs)) as cluster:
        yield OpenEngine(Engine(run_tasks_on_ray, cluster.n_machines), cluster.cpus if jobs is None else jobs)


@dataclass(frozen=True, slots=True)
class RayCluster:
    """The size of a cluster; n_machines counts those with CPUs for work."""

    cpus: int
    n_machines: int


@contextmanager
def connect_to_ray(address: str | None, paths: Sequence[AnyPath] = (), jobs: int | None = None) -> Iterator[RayCluster]:
    """Joins a cluster until the block ends.

    address: auto, HOST:PORT or ray://HOST:PORT; None starts a cluster on this machine with jobs CPUs, or with all of them.
    paths: every machine must see these under the same name.

    Raises:
        RunError: there is no cluster, or one of its machines has another version of trapmeter or doesn't see a path.
    """
    for name, value in _QUIET.items():
        # Ray reads these when it is imported.
        os.environ.setdefault(name, value)
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    if address is None:
        options |= {"include_dashboard": False, "num_cpus": jobs, "object_store_memory": LOCAL_STORE_BYTES}
    elif address != "auto":
        _check_listens(address)
    try:
        ray.init(address="local" if address is None else address, **options)
    except (ImportError, OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise RunError(_unreachable_text(address or "local", error)) from error
    try:
        check_machines(paths)
        cpus = int(ray.cluster_resources().get("CPU", 1))
        yield RayCluster(cpus, sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes()))
    finally:
        ray.shutdown()


def _check_listens(address: str) -> None:
    """Checks that something listens there; Ray itself would wait for minutes and then end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise RunError(f"--ray-address is auto, HOST:PORT or ray://HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise RunError(_unreachable_text(address, error)) from error


def _unreachable_text(address: str, error: Exception) -> str:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return (
        f"no Ray cluster at {address}: {reason}; check the address and that `ray status` works there, or leave out "
        "--ray-address for a cluster on this machine; finished work is kept"
    )


def check_machines(paths: Sequence[AnyPath]) -> None:
    """Checks before any work that every machine of the cluster has this version and sees the paths.

    Raises:
        RunError: one of them doesn't.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    describe = ray.remote(describe_machine)
    replies = {
        node["NodeManagerHostname"]: describe.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote([str(path) for path in paths])
        for node in ray.nodes()
        if node["Alive"]
    }
    problems = []
    for host, reply in replies.items():
        try:
            version, python, missing = ray.get(reply, timeout=6 * CONNECT_TIMEOUT_S)
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            problems.append(f"{host}: trapmeter {__version__} doesn't start there ({reason})")
            continue
        if version != __version__:
            problems.append(f"{host}: has trapmeter {version}, this machine {__version__} (Python {python})")
        elif missing:
            problems.append(f"{host}: doesn't see {', '.join(missing[:3])}; all machines need the same paths")
    if problems:
        more = f"; and {len(problems) - 5} more machines" if len(problems) > 5 else ""
        raise RunError(f"the cluster can't do this work: {'; '.join(problems[:5])}{more}; nothing was started")


def describe_machine(paths: Sequence[str]) -> tuple[str, str, list[str]]:
    """Runs on a machine of the cluster: its versions of trapmeter and Python, and the paths that it doesn't see."""
    return __version__, platform.python_version(), [path for path in paths if not path_exists(parse_path(path))]
