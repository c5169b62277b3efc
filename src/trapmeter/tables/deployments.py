"""Deployments: when a camera worked, its angle of view and snapshot interval; and gaps, in which it did not.

Columns: site_id, start, end (or from, to), theta_deg, snapshot_s, and optionally hours (such as 06:00-18:00; two ranges are
separated by a blank), stratum, area_km2 and clock_offset (what must be added to the camera's time, which `predict` does).
Gaps have site_id, from and to.

The deployments.csv of a Camtrap DP (locationID, deploymentStart, deploymentEnd) or of a Wildlife Insights download
(placename, start_date, end_date) is read as well. It has neither angle nor interval, so you give these for all sites, or in
columns theta_deg and snapshot_s beside its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta, tzinfo
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.tables import clock_offsets
from trapmeter.tables.camtrapdp.package import DeploymentRow, deployment_row, with_missing_emptied
from trapmeter.tables.csvfile import Row, read_rows
from trapmeter.tables.times import Hours, TimeReader, hour_of_day, in_zone, is_within_hours, parse_hours, to_instant
from trapmeter.tables.wildlife_insights import read_survey_columns, read_survey_rows

REQUIRED_COLUMNS = ("site_id", "start", "end")
PERIOD_COLUMNS = (("start", "end"), ("from", "to"))
"""The names that the columns of a period may have."""
OPTIONAL_COLUMNS = ("theta_deg", "snapshot_s", "hours", "stratum", "area_km2", clock_offsets.COLUMN)
CAMTRAP_DP_COLUMNS = ("deploymentStart", "deploymentEnd")
Period = tuple[datetime, datetime]
"""From a time to a later one."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A row: a camera at a site from start to end. None stands for an empty cell.

    theta_deg: horizontal angle of view. snapshot_s: seconds from one snapshot (the moments at which animals are counted) to
    the next. hours: ranges of the day in which the camera worked, as hours from 0 to 24; () for all day. zone: whose clocks
    show these hours; None if times carry no zone, and are those of the camera's clock. clock_offset: what must be added to
    the camera's time. gaps: periods within start and end, in order and apart, in which the camera did not work.
    row: as it is in the file.
    """

    where: str
    site_id: str
    start: datetime
    end: datetime
    theta_deg: float | None
    snapshot_s: float | None
    hours: Hours
    stratum: str
    area_km2: float | None
    zone: tzinfo | None = None
    clock_offset: timedelta | None = None
    gaps: tuple[Period, ...] = ()
    row: Row = field(default=Row(Path(), 0, {}), compare=False, repr=False)

    def with_gaps(self, gaps: Iterable[Period]) -> Deployment:
        """The deployment without these periods too, which may overlap each other and its start and end."""
        merged: list[Period] = []
        inside = [(max(start, self.start), min(end, self.end)) for start, end in (*self.gaps, *gaps)]
        for start, end in sorted(period for period in inside if period[0] < period[1]):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], end)
            else:
                merged.append((start, end))
        return replace(self, gaps=tuple(merged))

    def working_s(self) -> float:
        """How long the camera worked, in seconds of real time, also across a change to or from daylight saving."""
        stopped_s = sum(self.hours_s(start, end) for start, end in self.gaps)
        return max(self.hours_s(self.start, self.end) - stopped_s, 0.0)

    def hours_s(self, first: datetime, last: datetime) -> float:
        """The seconds from first to last that lie in the hours of the day in which the camera worked."""
        if not self.hours:
            return (last - first).total_seconds()
        # The clocks of the zone show the hours, so days are counted in its time.
        day = datetime.combine(in_zone(first, self.zone).date(), time()) - timedelta(days=1)
        last_day = in_zone(last, self.zone)
        total = 0.0
        while day <= last_day:
            for from_hour, to_hour in self.hours:
                length = to_hour - from_hour if from_hour < to_hour else to_hour + 24 - from_hour
                start, end = (
                    to_instant(day + timedelta(hours=hour), self.zone) for hour in (from_hour, from_hour + length)
                )
                overlap = min(last, end) - max(first, start)
                total += max(overlap.total_seconds(), 0.0)
            day += timedelta(days=1)
        return total

    def is_working_at(self, when: datetime) -> bool:
        """Whether the camera worked at this time; the last instant belongs to it, as do both ends of a gap."""
        return (
            self.start <= when <= self.end
            and is_within_hours(hour_of_day(when, self.zone), self.hours)
            and not any(start < when < end for start, end in self.gaps)
        )


def read_deployments(path: str | Path, times: TimeReader | None = None) -> list[Deployment]:
    """Reads a table of deployments.

    times: reads the times of this table and of those that are compared with it.

    Raises:
        InputError: a column is missing or a cell is wrong; names file, line and column.
    """
    times = times or TimeReader()
    if set(CAMTRAP_DP_COLUMNS) <= set(read_survey_columns(path)):
        return [
            deployment_from_row(deployment_row(with_missing_emptied(row), times), times.zone)
            for row in read_rows(path, required=CAMTRAP_DP_COLUMNS)
        ]
    first, last = period_columns(path)
    return [
        _deployment(row, row.text("site_id"), times.read(row, first), times.read(row, last), times.zone)
        for row in read_survey_rows(path, required=("site_id", first, last))
    ]


def period_columns(path: str | Path, usual: tuple[str, str] = PERIOD_COLUMNS[0]) -> tuple[str, str]:
    """The columns of a table in which periods start and end; usual: the names to ask for if the table has neither pair."""
    columns = read_survey_columns(path)
    return next((pair for pair in PERIOD_COLUMNS if set(pair) <= set(columns)), usual)


def read_gaps(path: str | Path, times: TimeReader | None = None) -> dict[str, list[Period]]:
    """Reads a CSV file with site_id, from and to (or start and end): periods in which the camera of a site did not work.

    times: reads the times of this table and of those that are compared with it.

    Raises:
        InputError: a column is missing, a cell is not a date and time, or a gap ends before it starts; names file and line.
    """
    times = times or TimeReader()
    first, last = period_columns(path, usual=PERIOD_COLUMNS[1])
    gaps: dict[str, list[Period]] = {}
    for row in read_rows(path, required=("site_id", first, last)):
        start, end = times.read(row, first), times.read(row, last)
        if end <= start:
            raise row.error(last, f"a time after the start of the gap, {start.isoformat()}")
        gaps.setdefault(row.text("site_id"), []).append((start, end))
    return gaps


def deployment_from_row(found: DeploymentRow, zone: tzinfo | None = None) -> Deployment:
    """A deployment of Camtrap DP, with what OPTIONAL_COLUMNS say beside the standard's own columns.

    zone: whose clocks show hours of the day. None takes the zone that its start carries.

    Raises:
        InputError: a cell is wrong; names file, line and column.
    """
    return _deployment(found.row, found.site_id, found.start, found.end, zone)


def _deployment(row: Row, site_id: str, start: datetime, end: datetime, zone: tzinfo | None) -> Deployment:
    if end <= start:
        column = next(name for name in ("end", "to", "deploymentEnd") if name in row.cells)
        raise row.error(column, f"a time after the start, {start.isoformat()} (leave out a camera that never worked)")
    snapshot_s = row.optional_number("snapshot_s")
    if snapshot_s is not None and snapshot_s <= 0:
        raise row.error("snapshot_s", "the seconds from one snapshot to the next, above 0")
    area = row.optional_number("area_km2")
    if area is not None and area <= 0:
        raise row.error("area_km2", "the area of the stratum in square kilometres, above 0, or nothing")
    return Deployment(
        where=row.where,
        site_id=site_id,
        start=start,
        end=end,
        theta_deg=row.optional_number("theta_deg"),
        snapshot_s=snapshot_s,
        hours=_hours(row),
        stratum=row.optional_text("stratum"),
        area_km2=area,
        row=row,
        zone=zone or start.tzinfo,
        clock_offset=clock_offsets.clock_offset(row),
    )


def _hours(row: Row) -> Hours:
    try:
        return parse_hours(row.optional_text("hours"))
    except InputError as error:
        raise InputError(f"{row.where}, column 'hours': {error}") from None
