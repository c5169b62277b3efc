"""Options, exit statuses and the choice of workers that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from trapmeter.errors import InputError
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.parallel.engine import EngineName

if TYPE_CHECKING:
    from trapmeter.prediction.run import PredictRun
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


def print_progress(what: str) -> None:
    """A line of progress, on standard error."""
    typer.echo(what, err=True)


def site_locations_for(run: PredictRun, given: Path | None) -> dict[str, SiteLocation] | None:
    """Where sites are: by the table that was given, else by the Camtrap DP that was measured; None where nobody tells.

    Raises:
        InputError: the table that was given is not what it should be.
    """
    from trapmeter.prediction.results import find_package
    from trapmeter.tables.site_locations import read_site_locations

    if given is not None:
        return read_site_locations(given)
    package = find_package(run)
    try:
        return None if package is None else read_site_locations(package)
    except InputError as error:
        # Nobody asked for the map, which must not cost the report.
        print_progress(f"the report has no map: {error}")
        return None


def parse_choice(kind: type[Choice], option: str, text: str) -> Choice:
    """The member of an enumeration that an option names.

    Raises:
        InputError: there is none of that name.
    """
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{option} is one of {', '.join(kind)}; got {text!r}") from None


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
