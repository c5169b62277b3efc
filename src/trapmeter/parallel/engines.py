"""Choose what workers run on, this machine or a Ray cluster, and how many of them there are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trapmeter.errors import InputError, require_extra

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


@dataclass(frozen=True, slots=True)
class OpenEngine:
    """An engine that is ready to work, and how many workers it gets."""

    engine: Engine
    jobs: int


def default_jobs(jobs: int | None) -> int:
    """The requested number of workers, or one for each core that this process may use."""
    if jobs is not None:
        return jobs
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
def open_engine(
    name: EngineName, address: str | None, jobs: int | None, paths: Sequence[AnyPath]
) -> Iterator[OpenEngine]:
    """The engine, for as long as the block lasts.

    address: of a running Ray cluster. jobs: the requested number of workers; None is one for each core. paths: what every
    machine must be able to read.

    Raises:
        InputError: an address is given for another engine than Ray.
        MissingExtraError: Ray isn't installed.
        RunError: the cluster can't be reached, or can't do this work.
    """
    # Importing this module must stay cheap: the command line does so for its help.
    from trapmeter.parallel.workers import THIS_MACHINE, Engine

    if name is EngineName.LOCAL:
        if address is not None:
            raise InputError("--ray-address goes with --engine ray: give both")
        yield OpenEngine(THIS_MACHINE, default_jobs(jobs))
        return
    require_extra("ray", "cluster")
    from trapmeter.parallel.ray_connection import connect_to_ray
    from trapmeter.parallel.ray_workers import run_tasks_on_ray

    # A path that is missing here too is a mistake in the command, and gets a clearer error later.
    existing = [path.absolute() for path in paths if path.exists()]
    with connect_to_ray(address, existing, default_jobs(jobs)) as cluster:
        yield OpenEngine(Engine(run_tasks_on_ray, cluster.n_machines), cluster.cpus if jobs is None else jobs)
