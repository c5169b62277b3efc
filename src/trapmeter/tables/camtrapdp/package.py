"""Deployments, media and observations of a package as records; cells that trapmeter doesn't use are left alone."""

from __future__ import annotations

import mimetypes
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from trapmeter.errors import InputError
from trapmeter.records import MediumKind
from trapmeter.tables.cameras import MAX_HEIGHT_M, MAX_PITCH_DEG, MIN_HEIGHT_M, MIN_PITCH_DEG, CameraSetup
from trapmeter.tables.camtrapdp.container import (
    DESCRIPTOR,
    PackageFiles,
    open_package,
    read_profile,
    read_resources,
    table_path,
)
from trapmeter.tables.csvfile import Row, UniqueRows, decode_text, parse_rows
from trapmeter.tables.times import TimeReader

DEPLOYMENT_COLUMNS = ("deploymentID", "deploymentStart", "deploymentEnd")
MEDIA_COLUMNS = ("mediaID", "deploymentID", "timestamp", "filePath")
OBSERVATION_COLUMNS = ("observationID", "deploymentID", "eventStart", "observationLevel", "observationType")
KEYS = {"deployments": "deploymentID", "media": "mediaID", "observations": "observationID"}
"""The column of each table in which every row has an id of its own."""
LEVELS = ("media", "event")
MISSING = frozenset({"NA", "NaN", "nan"})
"""What the standard's schemas treat as an empty cell, besides an empty text."""


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """A row of deployments: a camera at a location from start to end.

    site_id: locationID, else locationName, else deploymentID. row: as it is in the file, for columns beyond the standard.
    """

    deployment_id: str
    site_id: str
    start: datetime
    end: datetime
    row: Row


@dataclass(frozen=True, slots=True)
class MediumRow:
    """A row of media: a photo or video, or a file of another kind (None).

    time: when it starts. file_path: of the file relative to the package, or an address. row: as it is in the file.
    """

    media_id: str
    deployment_id: str
    time: datetime
    file_path: str
    kind: MediumKind | None
    row: Row


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """A row of observations.

    level: media or event; a `Package` has none with another, which a later version of the standard may add. kind:
    observationType, such as animal or blank. media_id: "" for an observation of an event. start, end: of its event; end is
    the start if the cell can't be read. count: None when it isn't stated. radius_m, angle_deg: position of the individual,
    None when nobody measured it. tags: of behavior and observationTags. bbox: left, top, width, height as fractions of the
    picture. method: human or machine, "" when it isn't stated. probability: of its classification, as it is in the file.
    row: as it is in the file.
    """

    where: str
    observation_id: str
    deployment_id: str
    media_id: str
    event_id: str
    start: datetime
    end: datetime
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
    row: Row = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Package:
    """All tables of a package, each row with a deployment that exists. notes: rows that were passed over."""

    path: Path
    deployments: tuple[DeploymentRow, ...]
    media: tuple[MediumRow, ...]
    observations: tuple[ObservationRow, ...]
    notes: tuple[str, ...] = ()


def read_package(path: str | Path, times: TimeReader | None = None) -> Package:
    """Reads a package.

    Args:
        path: its folder, its zip archive, or its datapackage.json.
        times: reads its times, and those of other tables that are compared with them.

    Raises:
        InputError: the descriptor or a table is missing or wrong, or two rows have the same id; names file and line.
    """
    times = times or TimeReader()
    with open_package(path) as files:
        _check_version(files)
        deployments = tuple(deployment_row(row, times) for row in _rows(files, "deployments", DEPLOYMENT_COLUMNS))
        known = {deployment.deployment_id for deployment in deployments}
        media = tuple(_medium_row(row, known, times, files) for row in _rows(files, "media", MEDIA_COLUMNS))
        all_observations = [
            observation_row(row, known, times) for row in _rows(files, "observations", OBSERVATION_COLUMNS)
        ]
    observations = tuple(row for row in all_observations if row.level in LEVELS)
    return Package(Path(path), deployments, media, observations, _level_notes(all_observations))


def _check_version(files: PackageFiles) -> None:
    """Refuses a package of a version before 1.0, whose columns have other names.

    Raises:
        InputError: its profile names such a version.
    """
    profile = read_profile(files)
    found = re.search(r"(?<![\d.])(0\.\d+(?:\.\d+)?)\b", profile)
    if found is not None:
        raise InputError(
            f"{files.path_of(DESCRIPTOR)}: this is Camtrap DP {found[1]}, and only versions from 1.0 on are read; export the "
            "package again from the program that made it, or convert it with the R package camtrapdp"
        )


def _level_notes(rows: Iterable[ObservationRow]) -> tuple[str, ...]:
    levels = Counter(row.level for row in rows if row.level not in LEVELS)
    return tuple(
        f"{n:,} observations with the observationLevel {level!r} were passed over; {' and '.join(LEVELS)} are read"
        for level, n in sorted(levels.items())
    )


def read_deployment_rows(path: str | Path) -> tuple[DeploymentRow, ...]:
    """Reads only the deployments of a package, for what they say besides times, which nothing is compared with."""
    times = TimeReader(UTC)
    with open_package(path) as files:
        return tuple(deployment_row(row, times) for row in _rows(files, "deployments", DEPLOYMENT_COLUMNS))


def _rows(files: PackageFiles, table: str, required: tuple[str, ...]) -> Iterator[Row]:
    name = table_path(read_resources(files)[table])
    path = files.path_of(name)
    rows = parse_rows(path, decode_text(path, files.read(name)), required=required, allows_short_rows=True)
    key = KEYS[table]
    ids = UniqueRows()
    cells: dict[str, Mapping[str, str]] = {}
    for row in map(with_missing_emptied, rows):
        # A row that an export wrote twice says the same; one with other cells contradicts the first.
        if cells.setdefault(row.text(key), row.cells) is not row.cells and cells[row.text(key)] == row.cells:
            continue
        ids.check(row, row.text(key), f"{key} {row.text(key)!r}")
        yield row


def with_missing_emptied(row: Row) -> Row:
    """The row with empty cells in place of those that say that a value is missing."""
    return replace(row, cells={name: "" if text.strip() in MISSING else text for name, text in row.cells.items()})


def site_id_of(row: Row) -> str:
    """The site of a deployment: its locationID, else locationName, else deploymentID."""
    return row.optional_text("locationID") or row.optional_text("locationName") or row.text("deploymentID")


def deployment_row(row: Row, times: TimeReader) -> DeploymentRow:
    """A row of deployments.csv.

    Raises:
        InputError: a cell is wrong.
    """
    # A table of deployments on its own may lack deploymentID if it has the locations.
    deployment_id = row.text("deploymentID") if "deploymentID" in row.cells else ""
    start, end = times.read(row, "deploymentStart"), times.read(row, "deploymentEnd")
    return DeploymentRow(deployment_id, site_id_of(row), start, end, row)


def camera_setup_of(deployment: DeploymentRow) -> CameraSetup | None:
    """The mounting of a deployment's camera, from cameraHeight (metres) and cameraTilt (degrees, negative looks down).

    None if one of them is missing or out of range for a camera that sees ground. The standard says nothing about the lens.
    """
    row = deployment.row
    height_m, pitch_deg = row.optional_number("cameraHeight"), row.optional_number("cameraTilt")
    if height_m is None or pitch_deg is None:
        return None
    is_usual = MIN_HEIGHT_M <= height_m <= MAX_HEIGHT_M and MIN_PITCH_DEG <= pitch_deg <= MAX_PITCH_DEG
    return CameraSetup(height_m=height_m, pitch_deg=pitch_deg) if is_usual else None


def _medium_row(row: Row, deployments: Collection[str], times: TimeReader, files: PackageFiles) -> MediumRow:
    file_path = _file_path(row, files)
    mediatype = row.optional_text("fileMediatype").lower() or mimetypes.guess_type(file_path)[0] or ""
    # A GIF may hold a single picture, but it can be a video and is decoded as one.
    is_video = mediatype.startswith("video/") or mediatype == "image/gif"
    return MediumRow(
        row.text("mediaID"),
        _deployment_id(row, deployments),
        times.read(row, "timestamp"),
        file_path,
        MediumKind.VIDEO if is_video else MediumKind.PHOTO if mediatype.startswith("image/") else None,
        row,
    )


def _file_path(row: Row, files: PackageFiles) -> str:
    """The path of a medium's file in the package. Its filePath may also be its folder, or an address.

    A folder goes before fileName. Of an address, the file may lie in the package under fileName or the end of the address.
    """
    path, name = row.text("filePath"), row.optional_text("fileName")
    if "://" in path:
        parts = urlsplit(path).path.strip("/").split("/")
        tails = ["/".join(parts[start:]) for start in range(len(parts))]
        return next((known for known in (*filter(None, [name]), *tails) if files.has(known)), path)
    is_folder = path.endswith(("/", "\\")) or not (PurePosixPath(path).suffix or files.has(path))
    return f"{path.rstrip('/').rstrip(chr(92))}/{name}" if is_folder and name else path


def observation_row(row: Row, deployments: Collection[str], times: TimeReader) -> ObservationRow:
    """A row of observations.csv. deployments: the ids of the package's deployments. times: reads its times.

    Raises:
        InputError: a cell is wrong.
    """
    level = row.text("observationLevel")
    radius = row.optional_number("individualPositionRadius")
    if radius is not None and radius < 0:
        raise row.error("individualPositionRadius", "metres >= 0, or nothing")
    return ObservationRow(
        where=row.where,
        observation_id=row.text("observationID"),
        deployment_id=_deployment_id(row, deployments),
        media_id=row.optional_text("mediaID"),
        event_id=row.optional_text("eventID"),
        start=times.read(row, "eventStart"),
        end=_event_end(row, times),
        level=level,
        kind=row.text("observationType"),
        species=row.optional_text("scientificName"),
        count=row.optional_count("count"),
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
        row=row,
    )


def _event_end(row: Row, times: TimeReader) -> datetime:
    """The end of an observation's event; its start if eventEnd can't be read, since little depends on it."""
    try:
        return times.read(row, "eventEnd")
    except InputError:
        return times.read(row, "eventStart")


def _deployment_id(row: Row, deployments: Collection[str]) -> str:
    deployment_id = row.text("deploymentID")
    if deployment_id not in deployments:
        raise row.error("deploymentID", "an id of the table of deployments")
    return deployment_id


def _bbox(row: Row) -> tuple[float, float, float, float] | None:
    numbers = [row.optional_number(column) for column in ("bboxX", "bboxY", "bboxWidth", "bboxHeight")]
    if all(number is None for number in numbers):
        return None
    x, y, width, height = (-1.0 if number is None else number for number in numbers)
    if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 1 and 0 < height <= 1):
        raise row.error(
            "bboxX", "bboxX, bboxY, bboxWidth and bboxHeight as fractions of the picture (0 to 1), or none of them"
        )
    return x, y, width, height
