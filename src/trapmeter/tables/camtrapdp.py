"""Camera Trap Data Packages (Camtrap DP 1.0, https://camtrap-dp.tdwg.org): deployments, media and observations.

A package is a folder or a zip archive with datapackage.json, which names the CSV file of each table. Only files inside of it
are read: no addresses, no paths that lead out. Cells that nobody here uses are left alone. Times are the camera's own: a zone
at their end is passed over, so that one package must not mix zones.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import Row, decoded, read_text, rows_of_text
from trapmeter.tables.sightings import date_and_time

DESCRIPTOR = "datapackage.json"
DEPLOYMENT_COLUMNS = ("deploymentID", "deploymentStart", "deploymentEnd")
MEDIA_COLUMNS = ("mediaID", "deploymentID", "timestamp", "filePath")
OBSERVATION_COLUMNS = ("observationID", "deploymentID", "eventStart", "observationLevel", "observationType")
LEVELS = ("media", "event")
MAX_BYTES = 2_000_000_000
"""Of a table in an archive: a small archive may unpack to anything."""

ReadText = Callable[[str], tuple[Path, str]]


@dataclass(frozen=True, slots=True)
class Place:
    """A row of deployments: a camera at a place from start to end. site_id: its locationID, else locationName, else its own.

    row: as it stands in the file, for columns beyond the standard.
    """

    deployment_id: str
    site_id: str
    start: datetime
    end: datetime
    row: Row


@dataclass(frozen=True, slots=True)
class Medium:
    """A row of media: a photo or video. file_path: relative to the package, or an address."""

    media_id: str
    deployment_id: str
    time: datetime
    file_path: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A row of observations. level: media or event. media_id: "" where it is of an event.

    kind: observationType, such as animal or blank. count: None where it isn't told. radius_m, angle_deg: where the individual
    stands; None where nobody measured. tags: those of behavior and of observationTags. bbox: left, top, width, height as
    shares of the picture (0..1).
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


@dataclass(frozen=True, slots=True)
class Package:
    """All tables of a package, each row with a deployment that exists."""

    path: Path
    deployments: tuple[Place, ...]
    media: tuple[Medium, ...]
    observations: tuple[Sighting, ...]


def is_package(path: Path) -> bool:
    """Whether this looks like a package: a folder, an archive, or a descriptor."""
    return path.is_dir() or path.suffix.lower() == ".zip" or path.name == DESCRIPTOR


def read_package(path: Path) -> Package:
    """Reads a package.

    Args:
        path: its folder, its zip archive, or its datapackage.json.

    Raises:
        InputError: the descriptor or a table is missing or not what it should be; names file, line and column.
    """
    with _opened(path) as text_of:
        tables = _tables(*text_of(DESCRIPTOR))

        def rows(name: str, required: tuple[str, ...]) -> Iterator[Row]:
            return rows_of_text(*text_of(tables[name]), required=required, may_be_short=True)

        deployments = tuple(map(place_of, rows("deployments", DEPLOYMENT_COLUMNS)))
        known = {one.deployment_id for one in deployments}
        media = tuple(_medium(row, known) for row in rows("media", MEDIA_COLUMNS))
        observations = tuple(_sighting(row, known) for row in rows("observations", OBSERVATION_COLUMNS))
    return Package(path, deployments, media, observations)


def place_of(row: Row) -> Place:
    """A row of deployments.csv.

    Raises:
        InputError: a cell is not what it should be.
    """
    # A table of deployments by itself may do without its own names, where it tells the locations'.
    name = row.text("deploymentID") if "deploymentID" in row.cells else ""
    return Place(
        name,
        row.optional_text("locationID") or row.optional_text("locationName") or row.text("deploymentID"),
        date_and_time(row, "deploymentStart"),
        date_and_time(row, "deploymentEnd"),
        row,
    )


@contextmanager
def _opened(path: Path) -> Iterator[ReadText]:
    """Reads texts of a package by their path in it."""
    if path.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                yield lambda name: _text_in(archive, path, name)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist; check the name and the folder") from None
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise InputError(
                f"{path} can't be read as a zip archive: {error}; unpack it and give the folder"
            ) from error
        return
    folder = path if path.is_dir() else path.parent
    if path.is_dir() and not (path / DESCRIPTOR).is_file():
        raise InputError(f"{path} has no {DESCRIPTOR}, so that it is no Camtrap DP; give the folder that has it")
    yield lambda name: _text_beside(folder, path.name if name == DESCRIPTOR and not path.is_dir() else name)


def _text_beside(folder: Path, name: str) -> tuple[Path, str]:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path} leads out of the package; put the file into {folder}")
    return path, read_text(path)


def _text_in(archive: zipfile.ZipFile, path: Path, name: str) -> tuple[Path, str]:
    # Some programs pack the folder, others what is in it.
    found = [one for one in archive.infolist() if PurePosixPath(one.filename).name == DESCRIPTOR]
    if not found:
        raise InputError(f"{path} has no {DESCRIPTOR}, so that it is no Camtrap DP")
    root = PurePosixPath(min(found, key=lambda one: len(one.filename)).filename).parent
    try:
        info = archive.getinfo(str(root / name))
    except KeyError:
        raise InputError(f"{path} has no file {name}, which its {DESCRIPTOR} names; pack it too") from None
    if info.file_size > MAX_BYTES:
        raise InputError(f"{path}: {name} unpacks to {info.file_size:,} bytes, expected at most {MAX_BYTES:,}")
    return path / name, decoded(path / name, archive.read(info))


def _tables(path: Path, text: str) -> Mapping[str, str]:
    """The file of each table, relative to the package."""
    try:
        resources = json.loads(text)["resources"]
        found = {one["name"]: _path(path, one) for one in resources if one.get("name") in _NEEDED}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected JSON with 'resources', each with a name and a path, as Camtrap DP has it ({error!r})"
        ) from error
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise InputError(f"{path}: expected the resources {', '.join(_NEEDED)}, but {', '.join(missing)} is missing")
    return found


_NEEDED = ("deployments", "media", "observations")


def _path(descriptor: Path, resource: Mapping[str, Any]) -> str:
    paths = resource["path"] if isinstance(resource["path"], list) else [resource["path"]]
    name = str(paths[0])
    if len(paths) > 1 or "://" in name or not name.endswith(".csv"):
        raise InputError(
            f"{descriptor}, resource {resource['name']!r}: expected the path of one CSV file in the package, got "
            f"{', '.join(map(str, paths))}; save the table beside the descriptor"
        )
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or parts[0].startswith("/") or ":" in parts[0]:
        raise InputError(f"{descriptor}, resource {resource['name']!r}: {name!r} leads out of the package; correct it")
    return name


def _medium(row: Row, deployments: set[str]) -> Medium:
    return Medium(
        row.text("mediaID"), _deployment_id(row, deployments), date_and_time(row, "timestamp"), row.text("filePath")
    )


def _sighting(row: Row, deployments: set[str]) -> Sighting:
    level = row.text("observationLevel")
    if level not in LEVELS:
        raise row.error("observationLevel", f"one of {', '.join(LEVELS)}")
    count = row.optional_number("count")
    if count is not None and (count < 1 or count != int(count)):
        raise row.error("count", "a whole number >= 1, or nothing")
    radius = row.optional_number("individualPositionRadius")
    if radius is not None and radius < 0:
        raise row.error("individualPositionRadius", "metres >= 0, or nothing")
    return Sighting(
        where=row.where,
        observation_id=row.text("observationID"),
        deployment_id=_deployment_id(row, deployments),
        media_id=row.optional_text("mediaID"),
        event_id=row.optional_text("eventID"),
        start=date_and_time(row, "eventStart"),
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
    )


def _deployment_id(row: Row, deployments: set[str]) -> str:
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
