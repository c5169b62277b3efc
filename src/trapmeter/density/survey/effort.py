"""Survey effort: snapshots and field of view of each station, from its deployments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from trapmeter.density.detection.held_out_errors import exempt_known_distances
from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.columns import column_of_sites
from trapmeter.density.survey.species import MAX_LISTED
from trapmeter.density.survey.survey import Column, Station, Survey, circle_share
from trapmeter.errors import InputError
from trapmeter.tables import wildlife_insights
from trapmeter.tables.csvfile import find_ignored_columns, find_misspelt_columns, read_columns
from trapmeter.tables.deployments import (
    CAMTRAP_DP_COLUMNS,
    OPTIONAL_COLUMNS,
    PERIOD_COLUMNS,
    REQUIRED_COLUMNS,
    Deployment,
    read_deployments,
    read_gaps,
)
from trapmeter.tables.times import Hours, TimeReader

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class StationEffort:
    """A station with its deployments and its snapshot interval in seconds."""

    station: Station
    deployments: tuple[Deployment, ...]
    snapshot_s: float

    def works_at(self, time: datetime) -> bool:
        """Whether one of its deployments was working at this time."""
        return any(deployment.is_working_at(time) for deployment in self.deployments)


def compute_effort(deployments: Sequence[Deployment], settings: DensitySettings) -> dict[str, StationEffort]:
    """The effort of each site by its name, in the order of the table.

    Raises:
        InputError: there are no deployments; those of a site overlap or contradict each other; angle or interval is missing.
    """
    by_site: dict[str, list[Deployment]] = defaultdict(list)
    for deployment in deployments:
        by_site[deployment.site_id].append(deployment)
    if not by_site:
        raise InputError("the table of deployments has no rows; expected one for each period of a camera at a site")
    return {site_id: _station_effort(site_id, rows, settings) for site_id, rows in by_site.items()}


def _station_effort(site_id: str, rows: Sequence[Deployment], settings: DensitySettings) -> StationEffort:
    intervals = {_value_or_default(row, row.snapshot_s, settings.snapshot_s, "snapshot_s") for row in rows}
    strata = {row.stratum for row in rows} if settings.strata else {""}
    for column, values in (("snapshot_s", intervals), ("stratum", strata)):
        if len(values) > 1:
            raise InputError(
                f"{rows[-1].where}, column {column!r}: expected one value for all deployments of site {site_id!r}, got "
                f"{', '.join(map(str, sorted(values)))}; correct it, or split the site into two names"
            )
    for before, after in pairwise(sorted(rows, key=lambda row: row.start)):
        if after.start < before.end:
            raise InputError(
                f"{after.where}: starts before the site's deployment in {before.where.rsplit(', ', 1)[-1]} ends, so time "
                "would count twice; correct start or end, or give two cameras at one site different names"
            )
    (interval,) = intervals
    snapshots = [row.working_s() / interval for row in rows]
    if not sum(snapshots) > 0:
        has_gaps = any(row.gaps for row in rows)
        raise InputError(
            f"{rows[0].where}: site {site_id!r} has an effort of 0 snapshots, because "
            f"{'gaps cover all of its time' if has_gaps else 'its hours never fall between start and end'}; correct them or "
            "leave the row out"
        )
    for row, n in zip(rows, snapshots, strict=True):
        if 0 < n < 1:
            raise InputError(
                f"{row.where}: snapshot_s = {interval:g} is longer than the {row.working_s():,.0f} s that the camera worked; "
                "give the seconds from one snapshot to the next"
            )
    shares = [_circle_share(row, settings) for row in rows]
    multiplier = sum(n * share for n, share in zip(snapshots, shares, strict=True)) / sum(snapshots)
    return StationEffort(Station(site_id, sum(snapshots), multiplier, next(iter(strata))), tuple(rows), interval)


def _circle_share(row: Deployment, settings: DensitySettings) -> float:
    theta = _value_or_default(row, row.theta_deg, settings.theta_deg, "theta_deg")
    try:
        return circle_share(theta)
    except InputError as error:
        raise InputError(f"{row.where}, column 'theta_deg': {error}") from None


def _value_or_default(row: Deployment, own: float | None, default: float | None, column: str) -> float:
    value = default if own is None else own
    if value is None or not value > 0:
        raise InputError(
            f"{row.where}: expected a number above 0 in the column {column!r}, got {'nothing' if value is None else value}; "
            f"fill it in, or give {column} for all deployments"
        )
    return value


def read_periods(path: Path, settings: DensitySettings, times: TimeReader) -> tuple[list[Deployment], tuple[str, ...]]:
    """Reads a table of deployments; notes ignored columns and settings that the table overrides."""
    deployments = read_deployments(path, times)
    # A Camtrap DP has many columns of its own.
    is_of_package = set(CAMTRAP_DP_COLUMNS) <= set(read_columns(path))
    find_columns = find_misspelt_columns if is_of_package else find_ignored_columns
    known = (*REQUIRED_COLUMNS, *PERIOD_COLUMNS[1], *OPTIONAL_COLUMNS, *settings.columns)
    notes = [] if wildlife_insights.is_deployments(read_columns(path)) else [*find_columns(path, known)]
    for name, default in (("theta_deg", settings.theta_deg), ("snapshot_s", settings.snapshot_s)):
        differing = {getattr(deployment, name) for deployment in deployments} - {default}
        if default is not None and differing and None not in differing:
            notes.append(f"{name} = {default:g} was not used: {path.name} has a value in each row")
    return deployments, tuple(notes)


def without_known_gaps(
    deployments: Sequence[Deployment], settings: DensitySettings, times: TimeReader
) -> tuple[list[Deployment], tuple[str, ...]]:
    """The deployments without the gaps that a table of the user names, and a note on their share.

    Raises:
        InputError: the table is invalid, or a gap is of a site without deployments.
    """
    if settings.gaps is None:
        return list(deployments), ()
    gaps = read_gaps(settings.gaps, times)
    unknown = sorted(gaps.keys() - {deployment.site_id for deployment in deployments})
    if unknown:
        raise InputError(
            f"{settings.gaps}: there is no deployment of site {unknown[0]!r}, so it has no gaps; use the site_id of the "
            "deployments"
        )
    shorter = [deployment.with_gaps(gaps.get(deployment.site_id, ())) for deployment in deployments]
    before_s, after_s = (sum(deployment.working_s() for deployment in rows) for rows in (deployments, shorter))
    return shorter, (
        f"{settings.gaps.name}: {1 - after_s / before_s:.1%} of the effort left out, in which cameras had stopped",
    )


def check_has_deployment(site_id: str, sites: Collection[str], *, where: str, deployments: Path, advice: str) -> None:
    """Raises InputError for a site without deployment. where: names the row. deployments: the table that lacks the site."""
    if site_id not in sites:
        raise InputError(
            f"{where}: {deployments} has no deployment of site {site_id!r}; it has "
            f"{', '.join(map(repr, list(sites)[:MAX_LISTED]))}. {advice}"
        )


def build_survey(
    sites: Mapping[str, StationEffort],
    site_ids: Sequence[str],
    distance_m: Floats,
    *,
    is_by_person: Sequence[bool],
    settings: DensitySettings,
    notes: Sequence[str],
    weight: Floats | None = None,
    basis: str = "",
    observed: Mapping[str, Sequence[str]] = MappingProxyType({}),
    sizes: Floats | None = None,
) -> Survey:
    """The survey of all sites, with or without detections.

    site_ids, is_by_person: the site of each observation, and whether a person measured its distance (n). distance_m: metres
    (n, draws). notes: what users should know about how the observations were read. weight, basis: as in
    `Survey`. observed: columns of the settings that describe observations (n); the others are those of the deployments.
    sizes: of groups (n).
    """
    index = {site_id: number for number, site_id in enumerate(sites)}
    errors, error_notes = exempt_known_distances(settings.error_model(), is_by_person)
    return Survey(
        stations=tuple(site.station for site in sites.values()),
        station=np.array([index[site_id] for site_id in site_ids], np.intp),
        distance_m=distance_m,
        areas=_collect_areas(sites) if settings.strata else {},
        errors=errors,
        hours=_snapshots_by_hours(sites),
        zones={site_id: zone for site_id, site in sites.items() if (zone := site.deployments[0].zone)},
        weight=weight,
        basis=basis,
        notes=(*notes, *error_notes),
        sizes=sizes if sizes is not None and (sizes > 1).any() else None,
        columns={
            name: Column(tuple(observed[name]))
            if name in observed
            else column_of_sites(name, {site_id: site.deployments for site_id, site in sites.items()}, site_ids)
            for name in settings.columns
        },
    )


def _collect_areas(sites: Mapping[str, StationEffort]) -> dict[str, float]:
    areas: dict[str, float] = {}
    for site in sites.values():
        for row in site.deployments:
            if row.area_km2 is not None and areas.setdefault(row.stratum, row.area_km2) != row.area_km2:
                raise InputError(
                    f"{row.where}, column 'area_km2': expected one number for all of stratum {row.stratum!r}, got "
                    f"{row.area_km2:g} after {areas[row.stratum]:g}; correct it"
                )
    return areas


def _snapshots_by_hours(sites: Mapping[str, StationEffort]) -> dict[Hours, float]:
    snapshots: dict[Hours, float] = defaultdict(float)
    for site in sites.values():
        for deployment in site.deployments:
            snapshots[deployment.hours] += deployment.working_s() / site.snapshot_s
    return dict(snapshots)


def keep_one_medium_per_interval(
    rows: Iterable[Row], moment: Callable[[Row], tuple[str, datetime, str]], snapshot_s: Callable[[str], float]
) -> list[Row]:
    """The rows of media that are at least a snapshot interval apart, in order of time at each camera.

    Of media that follow within the interval, as in a burst of photos, the first counts: they show the same animals.

    moment: the camera of a row, when it was taken, and its medium. snapshot_s: the interval of a camera, seconds.
    """
    by_camera: dict[str, list[tuple[datetime, str, Row]]] = defaultdict(list)
    for row in rows:
        camera, when, media_id = moment(row)
        by_camera[camera].append((when, media_id, row))
    kept = []
    for camera, timed in by_camera.items():
        snapshot: tuple[datetime, str] | None = None
        for when, media_id, row in sorted(timed, key=lambda item: item[0]):
            if snapshot is None or (when - snapshot[0]).total_seconds() >= snapshot_s(camera):
                snapshot = when, media_id
            if (when, media_id) == snapshot:
                kept.append(row)
    return kept
