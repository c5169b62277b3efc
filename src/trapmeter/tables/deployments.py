"""Deployments: when a camera worked, its angle of view and snapshot interval.

Columns: site_id, start, end, theta_deg, snapshot_s, and optionally hours (such as 06:00-18:00; two ranges are separated by a
blank), stratum, area_km2 and clock_offset (what must be added to the camera's time, which `predict` does). Camtrap DP's
deployments.csv (locationID, deploymentStart, deploymentEnd) is read as well. It has neither angle nor interval, so you give
these for all sites, or in columns theta_deg and snapshot_s beside its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.tables import clock_offsets
from trapmeter.tables.camtrapdp.package import DeploymentRow, deployment_row, with_missing_emptied
from trapmeter.tables.csvfile import Row, read_columns, read_rows
from trapmeter.tables.times import Hours, TimeReader, hour_of_day, in_zone, is_within_hours, parse_hours, to_instant

REQUIRED_COLUMNS = ("site_id", "start", "end")
OPTIONAL_COLUMNS = ("theta_deg", "snapshot_s", "hours", "stratum", "area_km2", clock_offsets.COLUMN)
CAMTRAP_DP_COLUMNS = ("deploymentStart", "deploymentEnd")


@dataclass(frozen=True, slots=True)
class Deployment:
    """A row: a camera at a site from start to end. None stands for an empty cell.

    theta_deg: horizontal angle of view. snapshot_s: seconds from one snapshot (the moments at which animals are counted) to
    the next. hours: ranges of the day in which the camera worked, as hours from 0 to 24; () for all day. zone: whose clocks
    show these hours; None if times carry no zone, and are those of the camera's clock. clock_offset: what must be added to
    the camera's time.
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

    def working_s(self) -> float:
        """How long the camera worked, in seconds of real time, also across a change to or from daylight saving."""
        if not self.hours:
            return (self.end - self.start).total_seconds()
        # The clocks of the zone show the hours, so days are counted in its time.
        day = datetime.combine(in_zone(self.start, self.zone).date(), time()) - timedelta(days=1)
        last_day = in_zone(self.end, self.zone)
        total = 0.0
        while day <= last_day:
            for first, last in self.hours:
                length = last - first if first < last else last + 24 - first
                start, end = (to_instant(day + timedelta(hours=hour), self.zone) for hour in (first, first + length))
                overlap = min(self.end, end) - max(self.start, start)
                total += max(overlap.total_seconds(), 0.0)
            day += timedelta(days=1)
        return total

    def is_working_at(self, when: datetime) -> bool:
        """Whether the camera worked at this time; the last instant of the deployment belongs to it."""
        return is_within_hours(hour_of_day(when, self.zone), self.hours) and self.start <= when <= self.end


def read_deployments(path: str | Path, times: TimeReader | None = None) -> list[Deployment]:
    """Reads a table of deployments.

    times: reads the times of this table and of those that are compared with it.

    Raises:
        InputError: a column is missing or a cell is wrong; names file, line and column.
    """
    times = times or TimeReader()
    if set(CAMTRAP_DP_COLUMNS) <= set(read_columns(path)):
        return [
            deployment_from_row(deployment_row(with_missing_emptied(row), times), times.zone)
            for row in read_rows(path, required=CAMTRAP_DP_COLUMNS)
        ]
    return [
        _deployment(row, row.text("site_id"), times.read(row, "start"), times.read(row, "end"), times.zone)
        for row in read_rows(path, required=REQUIRED_COLUMNS)
    ]


def deployment_from_row(found: DeploymentRow, zone: tzinfo | None = None) -> Deployment:
    """A deployment of Camtrap DP, with what OPTIONAL_COLUMNS say beside the standard's own columns.

    zone: whose clocks show hours of the day. None takes the zone that its start carries.

    Raises:
        InputError: a cell is wrong; names file, line and column.
    """
    return _deployment(found.row, found.site_id, found.start, found.end, zone)


def _deployment(row: Row, site_id: str, start: datetime, end: datetime, zone: tzinfo | None) -> Deployment:
    if end <= start:
        column = "end" if "end" in row.cells else "deploymentEnd"
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
        zone=zone or start.tzinfo,
        clock_offset=clock_offsets.clock_offset(row),
    )


def _hours(row: Row) -> Hours:
    try:
        return parse_hours(row.optional_text("hours"))
    except InputError as error:
        raise InputError(f"{row.where}, column 'hours': {error}") from None
