"""Options, exit statuses and the choice of workers that several verbs share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from trapmeter.errors import InputError, MissingExtraError
from trapmeter.models.runtimes.choice import Runtime

if TYPE_CHECKING:
    from trapmeter.parallel.workers import Engine
    from trapmeter.prediction.run import PredictRun
    from trapmeter.storage.address import AnyPath
    from trapmeter.tables.site_locations import SiteLocation

Choice = TypeVar("Choice", bound=StrEnum)

RuntimeOption = Annotated[
    Runtime,
    typer.Option(
        help="What runs the networks: onnxruntime, openvino (an extra), torch (for GPUs), or auto, which says what it took "
        "and why."
    ),
]

CamerasOption = Annotated[
    Path | None,
    typer.Option(
        help="Facts of the cameras: a CSV file of site_id, hfov_deg or focal_35mm, height_m, pitch_deg, aspect."
    ),
]
SpeciesOption = Annotated[
    str | None,
    typer.Option(
        help="The animals' species (English or scientific name), or a CSV file of media_id or site_id, and species or "
        "shoulder_m."
    ),
]
ShoulderOption = Annotated[
    float | None, typer.Option(help="The animals' shoulder height in metres, in place of --species.")
]
SiteLocationsOption = Annotated[
    Path | None,
    typer.Option(
        help="Where the sites are, for the report's map: a CSV file of site_id, latitude and longitude, or a Camtrap DP or "
        "its deployments.csv. A Camtrap DP that is measured tells it itself."
    ),
]
TrainedHfovOption = Annotated[
    float, typer.Option(help="Horizontal field of view in degrees of the cameras that the model learnt from.")
]

EXIT_INTERNAL_ERROR = 1
EXIT_USAGE = 2
EXIT_MEDIA_FAILED = 3
EXIT_INTERRUPTED = 130


def default_jobs(jobs: int | None) -> int:
    """The number asked for, or one for each core that this process may use."""
    if jobs is not None:
        return jobs
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def print_progress(what: str) -> None:
    """A line of progress, on standard error."""
    typer.echo(what, err=True)


def site_locations_for(run: PredictRun, given: Path | None) -> dict[str, SiteLocation] | None:
    """The sites' locations for the report of a run, as `trapmeter.report.run_report.find_site_locations` finds them."""
    from trapmeter.report.run_report import find_site_locations

    return find_site_locations(run, given, print_progress)


def require_extra(package: str, extra: str) -> None:
    """Makes sure that a package of an extra is there.

    Raises:
        MissingExtraError: it isn't; the text says how to install it.
    """
    if find_spec(package) is None:
        raise MissingExtraError(package, extra)


def parse_choice(kind: type[Choice], option: str, text: str) -> Choice:
    """The member of an enumeration that an option names.

    Raises:
        InputError: there is none of that name.
    """
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{option} is one of {', '.join(kind)}; got {text!r}") from None


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
    name: EngineName, address: str | None, jobs: int | None, paths: Sequence[AnyPath]
) -> Iterator[OpenEngine]:
    """The engine for as long as the block lasts.

    jobs: how many workers the user wants; None is one for each core there is. paths: what every machine must see.

    Raises:
        InputError: an address is given for another engine than Ray.
        MissingExtraError: Ray isn't installed.
        RunError: the cluster can't be reached, or can't do this work.
    """
    from trapmeter.parallel.workers import THIS_MACHINE, Engine

    if name is EngineName.LOCAL:
        if address is not None:
            raise InputError("--ray-address goes with --engine ray: give both")
        yield OpenEngine(THIS_MACHINE, default_jobs(jobs))
        return
    require_extra("ray", "cluster")
    from trapmeter.parallel.ray_connection import connect_to_ray
    from trapmeter.parallel.ray_workers import run_tasks_on_ray

    # What isn't here either is a mistake in the command, which has a clearer error of its own.
    there = [path.absolute() for path in paths if path.exists()]
    with connect_to_ray(address, there, default_jobs(jobs)) as cluster:
        yield OpenEngine(Engine(run_tasks_on_ray, cluster.n_machines), cluster.cpus if jobs is None else jobs)
