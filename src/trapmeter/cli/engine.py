"""What workers run on: processes of this machine, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from trapmeter.cli.common import default_jobs, need_package
from trapmeter.errors import InputError

if TYPE_CHECKING:
    from trapmeter.storage.address import Location
    from trapmeter.workers import Engine


class EngineName(StrEnum):
    """What workers run on."""

    LOCAL = "local"
    """Processes of this machine."""
    RAY = "ray"
    """Ray, on one machine or many; the extra `cluster`."""


EngineOption = Annotated[
    EngineName,
    typer.Option(help="What workers run on: local (this machine), or ray (many machines; the extra `cluster`)."),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        help="An existing Ray cluster: auto, HOST:PORT or ray://HOST:PORT. Default: one on this machine alone."
    ),
]


@dataclass(frozen=True, slots=True)
class OpenEngine:
    """An engine that is ready to work, and how many workers it gets."""

    engine: Engine
    jobs: int


@contextmanager
def open_engine(
    name: EngineName, address: str | None, jobs: int | None, paths: Sequence[Location]
) -> Iterator[OpenEngine]:
    """The engine for as long as the block lasts.

    jobs: how many workers the user wants; None is one for each core there is. paths: what every machine must see.

    Raises:
        InputError: an address is given for another engine than Ray.
        MissingExtraError: Ray isn't installed.
        RunError: the cluster can't be reached, or can't do this work.
    """
    from trapmeter.workers import THIS_MACHINE, Engine

    if name is EngineName.LOCAL:
        if address is not None:
            raise InputError("--ray-address goes with --engine ray: give both")
        yield OpenEngine(THIS_MACHINE, default_jobs(jobs))
        return
    need_package("ray", "cluster")
    from trapmeter.cluster.connection import connected
    from trapmeter.cluster.workers import run_all_on_ray

    # What isn't here either is a mistake in the command, which has a clearer error of its own.
    there = [path.absolute() for path in paths if path.exists()]
    with connected(address, there, default_jobs(jobs)) as cluster:
        yield OpenEngine(Engine(run_all_on_ray, cluster.n_machines), cluster.cpus if jobs is None else jobs)
