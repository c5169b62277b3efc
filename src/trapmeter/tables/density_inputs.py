"""Tables for density: times of day of animals, start times of videos and photos, animals to exclude."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trapmeter.files import atomic_file
from trapmeter.tables.csvfile import Row, UniqueRows, read_rows, to_cell

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")


@dataclass(frozen=True, slots=True)
class ActivityTime:
    """The hour of the day (0 up to 24) at which an animal was recorded, and the site, "" when it isn't known."""

    hour: float
    site_id: str = ""


def read_activity_times(
    path: str | Path, *, species: str | None = None, species_column: str | None = None
) -> list[ActivityTime]:
    """Reads a CSV file with time (14:05, 14:05:30, or a date and time such as 2024-05-01T14:05:30) and optionally site_id.

    With species_column, only rows of the species count.

    Raises:
        InputError: a column is missing or a cell is not a time; names file, line and column.
    """
    required = ("time",) if species_column is None else ("time", species_column)
    return [
        ActivityTime(hour_cell(row, "time"), row.optional_text("site_id"))
        for row in read_rows(path, required=required)
        if species_column is None or row.text(species_column) == species
    ]


def read_media_starts(path: str | Path) -> dict[str, datetime]:
    """Reads a CSV file with media_id and start, the date and time at which each video or photo starts.

    Raises:
        InputError: a column is missing, a cell is not a date and time, or a medium appears twice.
    """
    starts: dict[str, datetime] = {}
    media = UniqueRows()
    for row in read_rows(path, required=("media_id", "start")):
        name = row.text("media_id")
        media.check(row, name, name)
        starts[name] = datetime_cell(row, "start")
    return starts


def write_media_starts(path: Path, starts: Mapping[str, datetime]) -> None:
    """Writes the table that `read_media_starts` reads, in the order of media_id.

    Raises:
        RunError: the file can't be written.
    """
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("media_id", "start"))
        writer.writerows((to_cell(name), starts[name].isoformat()) for name in sorted(starts))


def read_excluded_animals(path: str | Path) -> set[tuple[str, int | None]]:
    """Reads a CSV file with media_id and optionally animal_id: animals that don't count. None stands for all of a medium.

    Raises:
        InputError: the column media_id is missing, or an animal_id is not a whole number.
    """
    return {
        (row.text("media_id"), row.optional_count("animal_id", "nothing for all animals of the medium"))
        for row in read_rows(path, required=("media_id",))
    }


def write_excluded_animals(path: Path, animals: Iterable[tuple[str, int | None]]) -> None:
    """Writes the table that `read_excluded_animals` reads, in the order given.

    Raises:
        RunError: the file can't be written.
    """
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("media_id", "animal_id"))
        writer.writerows((to_cell(media_id), animal_id or "") for media_id, animal_id in animals)


def datetime_cell(row: Row, column: str) -> datetime:
    """The cell as the camera's own date and time. A zone at its end is ignored, since all times are the camera's."""
    text = row.text(column)
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise row.error(column, "a date and time such as 2024-05-01T06:00:00 or 2024-05-01") from None


def hour_cell(row: Row, column: str) -> float:
    """The cell as hours, 0 up to 24, from a time of day or from a date and time."""
    text = row.text(column)
    hour = parse_clock_hour(text)
    if hour is not None and hour < 24:
        return hour
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise row.error(column, "a time of day such as 14:05 or 14:05:30, or a date and time") from None
    if len(text) <= len("2024-05-01"):
        raise row.error(column, "a time of day such as 14:05, not a date alone")
    return when.hour + when.minute / 60 + (when.second + when.microsecond / 1e6) / 3600


def parse_clock_hour(text: str) -> float | None:
    """The hours, 0 to 24, of a text such as 06:30; None when it isn't a time of day."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour = int(found[1]) + int(found[2]) / 60 + float(found[3] or 0) / 3600
    return hour if int(found[2]) < 60 and float(found[3] or 0) < 60 and hour <= 24 else None
