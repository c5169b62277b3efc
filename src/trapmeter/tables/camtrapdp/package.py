"""The tables of a package as records: deployments, media and observations.

Cells that nobody here uses are left alone. Times are the camera's own: a zone at their end is passed over, so that one
package must not mix zones.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from trapmeter.records import MediumKind
from trapmeter.tables.cameras import (
    MAX_HEIGHT_M,
    MAX_PITCH_DEG,
    MIN_HEIGHT_M,
    MIN_PITCH_DEG,
    CameraSetup,
)
from trapmeter.tables.camtrapdp.container import DESCRIPTOR, PackageFiles, open_package, parse_resources, table_path
from trapmeter.tables.csvfile import Row, decode_text, parse_rows
from trapmeter.tables.density_inputs import datetime_cell

DEPLOYMENT_COLUMNS = ("deploymentID", "deploymentStart", "deploymentEnd")
MEDIA_COLUMNS = ("mediaID", "deploymentID", "timestamp", "filePath")
OBSERVATION_COLUMNS = ("observationID", "deploymentID", "eventStart", "observationLevel", "observationType")
KEYS = {"deployments": "deploymentID", "media": "mediaID", "observations": "observationID"}
"""Of each table the column whose names no two rows share."""
LEVELS = ("media", "event")
MISSING = frozenset({"NA", "NaN", "nan"})
"""What the standard's schemas call an empty cell, besides one without a text."""


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """A row of deployments: a camera at a place from start to end. site_id: its locationID, else locationName, else its own.

    row: as it stands in the file, for columns beyond the standard.
    """

    deployment_id: str
    site_id: str
    start: datetime
    end: datetime
    row: Row


@dataclass(frozen=True, slots=True)
class MediumRow:
    """A row of media: a photo or video, or a file of another kind (None). file_path: relative to the package, or an address.

    time: when it starts. row: as it stands in the file.
    """

    media_id: str
    deployment_id: str
    time: datetime
    file_path: str
    kind: MediumKind | None
    row: Row


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """A row of observations. level: media or event. media_id: "" where it is of an event.

    kind: observationType, such as animal or blank. count: None where it isn't told. radius_m, angle_deg: where the individual
    stands; None where nobody measured. tags: those of behavior and of observationTags. bbox: left, top, width, height as
    shares of the picture (0..1). method: human or machine, "" where it isn't told. probability: of its
    classification, as it stands.
    """

    where: str
    observation_id: str
    deployment_id: str
    media_id: str
    event_id: str
    start: datetime
    level: str
    kind: str
    species: str
    count: int | None
    individual_id: str
    radius_m: float | None
    angle_deg: float | None
    tags: tuple[str, ...]
    bbox: tuple[float, float, float, float] | None
    method: str
    probability: str


@dataclass(frozen=True, slots=True)
class Package:
    """All tables of a package, each row with a deployment that exists."""

    path: Path
    deployments: tuple[DeploymentRow, ...]
    media: tuple[MediumRow, ...]
    observations: tuple[ObservationRow, ...]


def read_package(path: Path) -> Package:
    """Reads a package.

    Args:
        path: its folder, its zip archive, or its datapackage.json.

    Raises:
        InputError: the descriptor or a table is missing or not what it should be, or two rows have one name; names file,
            line and column.
    """
    with open_package(path) as files:
        deployments = tuple(map(deployment_row, _rows(files, "deployments", DEPLOYMENT_COLUMNS)))
        known = {one.deployment_id for one in deployments}
        media = tuple(_medium_row(row, known) for row in _rows(files, "media", MEDIA_COLUMNS))
        observations = tuple(observation_row(row, known) for row in _rows(files, "observations", OBSERVATION_COLUMNS))
    return Package(path, deployments, media, observations)


def read_deployment_rows(path: Path) -> tuple[DeploymentRow, ...]:
    """Reads the deployments of a package alone; arguments and errors as of `read_package`."""
    with open_package(path) as files:
        return tuple(map(deployment_row, _rows(files, "deployments", DEPLOYMENT_COLUMNS)))


def _rows(files: PackageFiles, table: str, required: tuple[str, ...]) -> Iterator[Row]:
    descriptor = files.where(DESCRIPTOR)
    name = table_path(parse_resources(descriptor, decode_text(descriptor, files.read(DESCRIPTOR)))[table])
    where = files.where(name)
    rows = parse_rows(where, decode_text(where, files.read(name)), required=required, allows_short_rows=True)
    key = KEYS[table]
    line_of: dict[str, int] = {}
    for row in map(with_missing_emptied, rows):
        first = line_of.setdefault(row.text(key), row.line)
        if first != row.line:
            raise row.error(key, f"another name than that of line {first} (remove the row if it is the same)")
        yield row


def with_missing_emptied(row: Row) -> Row:
    """The row with empty cells where it says that a value is missing."""
    return replace(row, cells={name: "" if text.strip() in MISSING else text for name, text in row.cells.items()})


def site_id_of(row: Row) -> str:
    """The site of a deployment: its locationID, else locationName, else its own name."""
    return row.optional_text("locationID") or row.optional_text("locationName") or row.text("deploymentID")


def deployment_row(row: Row) -> DeploymentRow:
    """A row of deployments.csv.

    Raises:
        InputError: a cell is not what it should be.
    """
    # A table of deployments by itself may do without its own names, where it tells the locations'.
    name = row.text("deploymentID") if "deploymentID" in row.cells else ""
    return DeploymentRow(
        name,
        site_id_of(row),
        datetime_cell(row, "deploymentStart"),
        datetime_cell(row, "deploymentEnd"),
        row,
    )


def camera_setup_of(place: DeploymentRow) -> CameraSetup | None:
    """How the camera of a deployment hung, from cameraHeight (metres) and cameraTilt (degrees, negative looks down).

    None where one of them isn't told or is none of a camera that sees ground. The standard tells nothing of the lens.
    """
    height_m, pitch_deg = place.row.optional_number("cameraHeight"), place.row.optional_number("cameraTilt")
    if height_m is None or pitch_deg is None:
        return None
    is_usual = MIN_HEIGHT_M <= height_m <= MAX_HEIGHT_M and MIN_PITCH_DEG <= pitch_deg <= MAX_PITCH_DEG
    return CameraSetup(height_m=height_m, pitch_deg=pitch_deg) if is_usual else None


def _medium_row(row: Row, deployments: Collection[str]) -> MediumRow:
    file_path = row.text("filePath")
    mediatype = row.optional_text("fileMediatype").lower() or mimetypes.guess_type(file_path)[0] or ""
    # A GIF may be a still, but is decoded as what it can be.
    is_video = mediatype.startswith("video/") or mediatype == "image/gif"
    return MediumRow(
        row.text("mediaID"),
        _deployment_id(row, deployments),
        datetime_cell(row, "timestamp"),
        file_path,
        MediumKind.VIDEO if is_video else MediumKind.PHOTO if mediatype.startswith("image/") else None,
        row,
    )


def observation_row(row: Row, deployments: Collection[str]) -> ObservationRow:
    """A row of observations.csv; deployments: those that there are.

    Raises:
        InputError: a cell is not what it should be.
    """
    level = row.text("observationLevel")
    if level not in LEVELS:
        raise row.error("observationLevel", f"one of {', '.join(LEVELS)}")
    count = row.optional_number("count")
    if count is not None and (count < 1 or count != int(count)):
        raise row.error("count", "a whole number >= 1, or nothing")
    radius = row.optional_number("individualPositionRadius")
    if radius is not None and radius < 0:
        raise row.error("individualPositionRadius", "metres >= 0, or nothing")
    return ObservationRow(
        where=row.where,
        observation_id=row.text("observationID"),
        deployment_id=_deployment_id(row, deployments),
        media_id=row.optional_text("mediaID"),
        event_id=row.optional_text("eventID"),
        start=datetime_cell(row, "eventStart"),
        level=level,
        kind=row.text("observationType"),
        species=row.optional_text("scientificName"),
        count=None if count is None else int(count),
        individual_id=row.optional_text("individualID"),
        radius_m=radius,
        angle_deg=row.optional_number("individualPositionAngle"),
        tags=tuple(
            tag.strip()
            for column in ("behavior", "observationTags")
            for tag in row.optional_text(column).split("|")
            if tag.strip()
        ),
        bbox=_bbox(row),
        method=row.optional_text("classificationMethod"),
        probability=row.optional_text("classificationProbability"),
    )


def _deployment_id(row: Row, deployments: Collection[str]) -> str:
    name = row.text("deploymentID")
    if name not in deployments:
        raise row.error("deploymentID", "a deployment of the table of deployments")
    return name


def _bbox(row: Row) -> tuple[float, float, float, float] | None:
    numbers = [row.optional_number(column) for column in ("bboxX", "bboxY", "bboxWidth", "bboxHeight")]
    if all(number is None for number in numbers):
        return None
    x, y, width, height = (-1.0 if number is None else number for number in numbers)
    if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 1 and 0 < height <= 1):
        raise row.error("bboxX", "bboxX, bboxY, bboxWidth and bboxHeight as shares of the picture (0 to 1), or none")
    return x, y, width, height
