"""What all verbs share: exit statuses, the number of workers, lines of progress."""

from __future__ import annotations

import os
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from trapmeter.errors import InputError, MissingExtraError
from trapmeter.runtimes.choice import Runtime

if TYPE_CHECKING:
    from trapmeter.predict.run import Run
    from trapmeter.tables.geojson import Place

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
PlacesOption = Annotated[
    Path | None,
    typer.Option(
        help="Where the sites are, for the report's map: a CSV file of site_id, latitude and longitude, or a Camtrap DP or "
        "its deployments.csv. A Camtrap DP that is measured tells it itself."
    ),
]
TrainedHfovOption = Annotated[
    float, typer.Option(help="Horizontal field of view in degrees of the cameras that the model learnt from.")
]

EXIT_OUR_ERROR = 1
EXIT_USAGE = 2
EXIT_MEDIA_FAILED = 3
EXIT_STOPPED = 130


def default_jobs(jobs: int | None) -> int:
    """The number asked for, or one for each core that this process may use."""
    if jobs is not None:
        return jobs
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tell(what: str) -> None:
    """A line of progress, on standard error."""
    typer.echo(what, err=True)


def places_of(run: Run, given: Path | None) -> dict[str, Place] | None:
    """Where sites are: by the table that was given, else by the Camtrap DP that was measured; None where nobody tells.

    Raises:
        InputError: the table that was given is not what it should be.
    """
    from trapmeter.predict.results import package_of
    from trapmeter.tables.geojson import read_places

    if given is not None:
        return read_places(given)
    package = package_of(run)
    try:
        return None if package is None else read_places(package)
    except InputError as error:
        # Nobody asked for the map, which must not cost the report.
        tell(f"the report has no map: {error}")
        return None


def need_package(package: str, extra: str) -> None:
    """Makes sure that a package of an extra is there.

    Raises:
        MissingExtraError: it isn't; the text says how to install it.
    """
    if find_spec(package) is None:
        raise MissingExtraError(package, extra)


def one_of(kind: type[Choice], option: str, text: str) -> Choice:
    """The member of an enumeration that an option names.

    Raises:
        InputError: there is none of that name.
    """
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{option} is one of {', '.join(kind)}; got {text!r}") from None
