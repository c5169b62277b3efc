"""media.csv: when each medium of a run was taken, how that is known, and the event that it belongs to."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.files import atomic_file, atomic_path
from trapmeter.tables.csvfile import Row, UniqueRows, from_cell, read_rows, to_cell
from trapmeter.tables.distances import JOURNAL, find_distances
from trapmeter.tables.times import format_clock_offset, is_clock_set, parse_clock_offset, time_of_file

MEDIA_CSV = "media.csv"
"""Beside distances.csv: a row for each medium, also for those without an animal."""
COLUMNS = ("media_id", "site_id", "taken_at", "taken_from", "event_id", "note")
_OFFSET_TEXT = ", clock offset "


class TimeSource(StrEnum):
    """What says when a medium was taken, the most trusted first."""

    TABLE = "table"
    CAMTRAP_DP = "camtrap-dp"
    EXIF = "exif"
    CONTAINER = "container"
    FILE_NAME = "file name"

    @property
    def is_by_clock(self) -> bool:
        """Whether the camera's own clock gave the time, which may be wrong."""
        return self not in (TimeSource.TABLE, TimeSource.CAMTRAP_DP)


@dataclass(frozen=True, slots=True)
class MediumTime:
    """A row of media.csv.

    taken_at: with a zone if that is known; None if nothing says when the medium was taken. source: what says so.
    clock_offset: what was added to the camera's time. event_id: "" in a run without any time. note: what is doubtful.
    """

    media_id: str
    site_id: str = ""
    taken_at: datetime | None = None
    source: TimeSource | None = None
    clock_offset: timedelta = timedelta()
    event_id: str = ""
    note: str = ""

    @property
    def is_date_known(self) -> bool:
        """Whether the time can be compared with those of other tables: the clock was set, or somebody else gave the time."""
        if self.taken_at is None or self.source is None:
            return False
        return not self.source.is_by_clock or is_clock_set(self.taken_at)

    @property
    def taken_from(self) -> str:
        """The source and the clock offset as text."""
        offset = f"{_OFFSET_TEXT}{format_clock_offset(self.clock_offset)}" if self.clock_offset else ""
        return f"{self.source or ''}{offset}"


def write_media(path: Path, media: Iterable[MediumTime]) -> None:
    """Writes media.csv, in the order of media_id.

    Raises:
        RunError: the file can't be written.
    """
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for medium in sorted(media, key=lambda medium: medium.media_id):
            taken_at = "" if medium.taken_at is None else medium.taken_at.isoformat()
            texts = medium.media_id, medium.site_id, taken_at, medium.taken_from, medium.event_id, medium.note
            writer.writerow(map(to_cell, texts))


def read_media(path: Path) -> dict[str, MediumTime]:
    """Reads media.csv by media_id.

    Raises:
        InputError: a column is missing, a cell is wrong, or a medium appears twice.
    """
    media: dict[str, MediumTime] = {}
    rows = UniqueRows()
    for row in read_rows(path, required=COLUMNS):
        media_id = from_cell(row.raw("media_id"))
        rows.check(row, media_id, media_id)
        media[media_id] = _medium(row, media_id)
    return media


def _medium(row: Row, media_id: str) -> MediumTime:
    source, _, offset = row.optional_text("taken_from").partition(_OFFSET_TEXT)
    taken_at = time_of_file(row.optional_text("taken_at"))
    if taken_at is None and row.optional_text("taken_at"):
        raise row.error("taken_at", "a date and time such as 2024-05-01T06:00:00+02:00, or nothing")
    try:
        known, added = TimeSource(source) if source else None, parse_clock_offset(offset) if offset else timedelta()
    except (ValueError, InputError):
        raise row.error(
            "taken_from", f"one of {', '.join(TimeSource)}, with a clock offset or not, or nothing"
        ) from None
    return MediumTime(
        media_id,
        from_cell(row.raw("site_id")),
        taken_at,
        known,
        added,
        from_cell(row.raw("event_id")),
        from_cell(row.raw("note")),
    )


def copy_media(source: Path, out: Path) -> None:
    """Copies the media.csv beside a distances.csv into a folder of corrected results; one that lay there goes.

    Raises:
        RunError: the file can't be written.
    """
    table = source.with_name(MEDIA_CSV)
    if not table.is_file():
        (out / MEDIA_CSV).unlink(missing_ok=True)
        return
    with atomic_path(out / MEDIA_CSV) as partial:
        shutil.copyfile(table, partial)


def read_medium_times(results: str | Path) -> dict[str, datetime]:
    """When each medium was taken; media without a known time, or with a clock that was not set, are left out.

    results: a folder of `predict`, `calibrate` or `review export`, or its distances.csv.

    Raises:
        InputError: there are no results, or media.csv is damaged.
    """
    folder = find_distances(results).parent
    media = read_media(folder / MEDIA_CSV) if (folder / MEDIA_CSV).exists() else _journal_times(folder / JOURNAL)
    return {name: medium.taken_at for name, medium in media.items() if medium.taken_at and medium.is_date_known}


def _journal_times(path: Path) -> Mapping[str, MediumTime]:
    """The times that the files themselves state, from the journal of a run of an earlier version.

    A damaged line only lacks its time.
    """
    media = {}
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    name, time = entry["media_id"], time_of_file(entry["recorded"])
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
                media[name] = MediumTime(name, taken_at=time, source=TimeSource.EXIF)
    except OSError:
        return {}
    return media
