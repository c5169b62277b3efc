"""Choose what workers run on, this machine or a Ray cluster, and how many of them there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trapmeter.errors import InputError, require_extra
from trapmeter.settings import worker_count

if TYPE_CHECKING:
    from trapmeter.parallel.sharding import Shard
    from trapmeter.parallel.workers import Engine
    from trapmeter.storage.address import AnyPath


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
    """An engine that is ready to work, and how many workers it gets."""

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
    """The engine, for as long as the block lasts.

    jobs: the requested number of workers; None is one for each core. paths: what every
    machine must be able to read.

    Raises:
        MissingExtraError: Ray isn't installed.
        RunError: the cluster can't be reached, or can't do this work.
    """
    # Importing this module must stay cheap: the command line does so for its help.
    from trapmeter.parallel.workers import THIS_MACHINE, Engine

    if settings.engine is EngineName.LOCAL:
        yield OpenEngine(THIS_MACHINE, worker_count(jobs))
        return
    require_extra("ray", "cluster")
    from trapmeter.parallel.ray_connection import connect_to_ray
    from trapmeter.parallel.ray_workers import run_tasks_on_ray

    # A path that is missing here too is a mistake in the command, and gets a clearer error later.
    existing = [path.absolute() for path in paths if path.exists()]
    with connect_to_ray(settings.ray_address, existing, worker_count(jobs)) as cluster:
        yield OpenEngine(Engine(run_tasks_on_ray, cluster.n_machines), cluster.cpus if jobs is None else jobs)
