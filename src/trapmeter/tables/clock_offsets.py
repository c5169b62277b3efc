"""How wrong the clocks of cameras were: by site, as an option, or in a column of the cameras or the deployments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import Row, read_rows
from trapmeter.tables.times import format_clock_offset, parse_clock_offset

COLUMN = "clock_offset"
"""What must be added to the camera's time, such as +01:00:00; nothing where the clock was right."""


@dataclass(frozen=True, slots=True)
class SiteOffset:
    """What must be added to the times that the camera of a site stated."""

    site_id: str
    offset: timedelta


def parse_site_offset(text: str) -> SiteOffset:
    """Reads SITE=HH:MM:SS.

    Raises:
        InputError: it has another form.
    """
    site_id, equals, offset = text.rpartition("=")
    if not equals or not site_id.strip():
        raise InputError(f"--clock-offset: expected a site and its offset, such as S01=+01:00:00, got {text!r}")
    try:
        return SiteOffset(site_id.strip(), parse_clock_offset(offset))
    except InputError as error:
        raise InputError(f"--clock-offset {site_id}: {error}") from None


def format_site_offset(offset: SiteOffset) -> str:
    """The text of which `parse_site_offset` makes this offset."""
    return f"{offset.site_id}={format_clock_offset(offset.offset)}"


def clock_offset(row: Row) -> timedelta | None:
    """The offset in the column `clock_offset` of a row; None without one.

    Raises:
        InputError: the cell is no offset.
    """
    # A spreadsheet and to_cell put an apostrophe before a sign.
    text = row.optional_text(COLUMN).removeprefix("'")
    try:
        return parse_clock_offset(text) if text else None
    except InputError:
        raise row.error(COLUMN, "what must be added to the camera's time, such as +01:00:00, or nothing") from None


def read_site_offsets(path: Path) -> dict[str, timedelta]:
    """The offsets in a table of cameras, by site.

    Raises:
        InputError: a cell is no offset.
    """
    rows = read_rows(path, required=("site_id",))
    return {row.text("site_id"): offset for row in rows if (offset := clock_offset(row)) is not None}
