"""Times in tables: one rule for reading and comparing them, with their zones.

A time with a zone at its end, such as 2024-05-01T06:00:00+02:00 or 2024-05-01T04:00:00Z, is an instant: two are compared as
instants, whatever their zones. A time without a zone is what the camera's clock showed. The two kinds can't be compared, so a
set of tables has one of them, unless the user names the zone of times that carry none.
"""

from __future__ import annotations

import difflib
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from cyclopts import Parameter

from trapmeter.errors import InputError
from trapmeter.settings import Parsed
from trapmeter.tables.csvfile import Row

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")
_OFFSET = re.compile(r"(?:UTC)?([+-])(\d{2}):?(\d{2})")
_DATE_LENGTH = len("2024-05-01")
_TIME_IN_NAME = re.compile(
    r"(?<!\d)((?:19|20)\d{2})([-_.]?)(\d{2})\2(\d{2})[-_. T]{0,3}(\d{2})([-_.:]?)(\d{2})\6(\d{2})(\d{3})?(?!\d)"
)
_CLOCK_OFFSET = re.compile(r"([+-]?)(?:(\d{1,5})d ?)?(\d{1,6}):([0-5]\d)(?::([0-5]\d))?")
FIRST_YEAR, UNSET_YEAR = 1990, 2000
"""Cameras whose clock was never set, or lost its battery, count from 1970, 1980 or the first minute of 2000."""
Hours = tuple[tuple[float, float], ...]
"""Ranges of the day in which cameras worked, as hours from 0 to 24; () for all day."""


class TimeReader:
    """Reads the times of tables that are compared with each other: all have a zone, or none has.

    zone: of times that carry none. None leaves them as the camera's clock showed them.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self.zone = zone
        self._first: tuple[datetime, str] | None = None

    def read(self, row: Row, column: str) -> datetime:
        """The cell as a date and time: an instant with a fixed offset, or a camera's time without zone.

        Raises:
            InputError: it is not a date and time, or it has a zone and an earlier time had none, or the other way round.
        """
        text = row.text(column)
        try:
            time = datetime.fromisoformat(text)
            time = to_instant(time, self.zone) if time.tzinfo or self.zone else time
        except (ValueError, OverflowError):
            raise row.error(column, "a date and time such as 2024-05-01T06:00:00+02:00 or 2024-05-01") from None
        first, where = self._first = self._first or (time, f"{row.where}, column {column!r}")
        if (first.tzinfo is None) != (time.tzinfo is None):
            has, lacks = ("has a zone", "has none") if time.tzinfo else ("has no zone", "has one")
            raise InputError(
                f"{row.where}, column {column!r}: {text!r} {has}, but the time in {where} {lacks}, so they can't be "
                "compared; add the zones, or name that of times without one with --timezone, such as --timezone Europe/Berlin"
            )
        return time


def parse_zone(text: str) -> tzinfo:
    """The zone that a name of the IANA database (Europe/Berlin), an offset (+02:00) or UTC stands for.

    Raises:
        InputError: there is no such zone.
    """
    if text in ("Z", "UTC"):
        return UTC
    if found := _OFFSET.fullmatch(text):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if offset < timedelta(days=1):
            return timezone(-offset if found[1] == "-" else offset)
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        closest = difflib.get_close_matches(text, sorted(available_timezones()), 1)
        hint = f" (did you mean {closest[0]}?)" if closest else ""
        raise InputError(
            f"--timezone: expected a name such as Europe/Berlin or an offset such as +02:00, got {text!r}{hint}"
        ) from None


TimeZone = Annotated[tzinfo | None, Parsed(parse_zone), Parameter(name="--timezone")]
"""A setting: the zone of times that carry none, and the one whose clocks show hours of the day."""


def to_instant(time: datetime, zone: tzinfo | None) -> datetime:
    """The time with a fixed offset from UTC: its own, or that of the zone on that day if it has none.

    Python subtracts and compares times of one named zone by their clocks, an hour wrong across daylight saving; times with
    fixed offsets it compares as instants.
    """
    offset = (time if time.tzinfo else time.replace(tzinfo=zone)).utcoffset()
    return time.replace(tzinfo=None if offset is None else timezone(offset))


def in_zone(time: datetime, zone: tzinfo | None) -> datetime:
    """What a clock of the zone shows at an instant, without zone. Times without zone, or no zone, change nothing."""
    return (time.astimezone(zone) if time.tzinfo and zone else time).replace(tzinfo=None)


def in_clock_of(time: datetime, zone: tzinfo | None) -> datetime:
    """The time as an instant with the offset that the zone has then, whatever its own; unchanged without a zone.

    A time without zone is what a clock of the zone shows.
    """
    if zone is None:
        return to_instant(time, None) if time.tzinfo else time
    return to_instant((time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(zone), None)


def is_clock_set(time: datetime) -> bool:
    """Whether a camera's clock that shows this time was set: cameras start in a year before 1990 or in 2000."""
    return time.year >= FIRST_YEAR and time.year != UNSET_YEAR


def time_of_file(recorded: str) -> datetime | None:
    """The time in `MediumFacts.recorded`, with its zone if it has one; None if there is none."""
    try:
        return datetime.fromisoformat(recorded)
    except ValueError:
        return None


def time_in_name(name: str) -> datetime | None:
    """The date and time in the name of a file, None without one; folders don't count.

    Year to second, with or without separators; a fraction of three digits may follow, as phones write it. A name such as
    RCNX0001.JPG or IMG_0001.JPG has a counter alone.

    Example:
        >>> time_in_name("S01/IMG_20240131_235959.JPG")
        datetime.datetime(2024, 1, 31, 23, 59, 59)
    """
    for found in _TIME_IN_NAME.finditer(PurePosixPath(name).name):
        year, _, month, day, hour, _, minute, second, fraction = found.groups()
        try:
            return datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction or '000'}")
        except ValueError:
            continue
    return None


def parse_clock_offset(text: str) -> timedelta:
    """What must be added to a camera's time, from hours, minutes and seconds, with days in front if need be.

    Raises:
        InputError: it has another form.

    Example:
        >>> parse_clock_offset("-00:05:30")
        datetime.timedelta(days=-1, seconds=86070)
        >>> parse_clock_offset("8887d03:12:00").days
        8887
    """
    found = _CLOCK_OFFSET.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"expected what must be added to the camera's time, such as +01:00:00, -00:05:30 or 8887d03:12:00, got {text!r}"
        )
    sign, days, hours, minutes, seconds = found.groups()
    offset = timedelta(days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0))
    return -offset if sign == "-" else offset


def format_clock_offset(offset: timedelta) -> str:
    """The text of which `parse_clock_offset` makes this offset, without fractions of a second."""
    size = abs(offset)
    minutes, seconds = divmod(size.seconds, 60)
    days = f"{size.days}d" if size.days else ""
    return f"{'-' if offset < timedelta() else '+'}{days}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


def hour_of_day(time: datetime, zone: tzinfo | None = None) -> float:
    """The hour, 0 up to 24, that a clock of the zone shows; see `in_zone`."""
    local = in_zone(time, zone)
    return local.hour + local.minute / 60 + (local.second + local.microsecond / 1e6) / 3600


def parse_clock_hour(text: str) -> float | None:
    """The hours, 0 to 24, of a text such as 06:30; None when it isn't a time of day."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour = int(found[1]) + int(found[2]) / 60 + float(found[3] or 0) / 3600
    return hour if int(found[2]) < 60 and float(found[3] or 0) < 60 and hour <= 24 else None


def parse_hours(text: str) -> Hours:
    """The ranges of a text such as 05:00-08:00 17:00-20:00, in hours from 0 to 24; () for an empty text, which is all day.

    Raises:
        InputError: it has another form, or ranges overlap.
    """
    ranges = []
    for part in text.split():
        first, dash, last = part.partition("-")
        start, end = parse_clock_hour(first), parse_clock_hour(last)
        if not dash or start is None or end is None or start == end:
            raise InputError(f"expected ranges of the day such as 06:00-18:00, or nothing for all day, got {part!r}")
        ranges.append((start, end))
    # A range over midnight becomes two within one day.
    within_a_day = [part for a, b in ranges for part in ([(a, b)] if a < b else [(0.0, b), (a, 24.0)])]
    if any(after[0] < before[1] for before, after in pairwise(sorted(within_a_day))):
        raise InputError(
            f"expected ranges of the day that don't overlap, since the overlap would count twice, got {text!r}; join them"
        )
    return tuple(ranges)


def is_within_hours(hour: float, hours: Hours) -> bool:
    """Whether an hour of the day, 0 up to 24, lies in one of the ranges; () is all day."""
    return not hours or any(
        first <= hour < last if first < last else hour >= first or hour < last for first, last in hours
    )


def hour_or_time(row: Row, column: str) -> float | datetime:
    """The cell as an hour, 0 up to 24, if it is a time of day; else as a date and time, with its zone if it has one.

    Raises:
        InputError: it is neither.
    """
    text = row.text(column)
    hour = parse_clock_hour(text)
    if hour is not None and hour < 24:
        return hour
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise row.error(column, "a time of day such as 14:05 or 14:05:30, or a date and time") from None
    if len(text) <= _DATE_LENGTH:
        raise row.error(column, "a time of day such as 14:05, not a date alone")
    return time
