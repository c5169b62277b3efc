"""Survey effort: snapshots and field of view of each station, checked against the times that were measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from trapmeter.density.estimate import circle_share
from trapmeter.density.survey.survey import Station
from trapmeter.errors import InputError
from trapmeter.media.discovery import medium_kind
from trapmeter.records import Estimate, MediumKind
from trapmeter.tables.csvfile import find_misspelt_columns
from trapmeter.tables.deployments import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, Deployment, read_deployments
from trapmeter.tables.distances import read_run_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class EffortSettings:
    """What deployments may leave out; see `DensitySettings` for the meaning of each."""

    theta_deg: float | None = None
    snapshot_s: float | None = None
    has_strata: bool = True


@dataclass(frozen=True, slots=True)
class StationEffort:
    """A camera place: its camera, its deployments and its snapshot interval."""

    station: Station
    deployments: tuple[Deployment, ...]
    snapshot_s: float


def compute_effort(deployments: Sequence[Deployment], settings: EffortSettings) -> dict[str, StationEffort]:
    """The camera place of each name, in the order of the table.

    Raises:
        InputError: there are none; deployments of a place overlap or contradict each other; angle or interval is missing.
    """
    by_site: dict[str, list[Deployment]] = defaultdict(list)
    for deployment in deployments:
        by_site[deployment.site_id].append(deployment)
    if not by_site:
        raise InputError(
            "the table of deployments has no rows; expected one for each time that a camera stood somewhere"
        )
    return {site_id: _station_effort(site_id, rows, settings) for site_id, rows in by_site.items()}


def _station_effort(site_id: str, rows: Sequence[Deployment], settings: EffortSettings) -> StationEffort:
    intervals = {_value_or_default(row, row.snapshot_s, settings.snapshot_s, "snapshot_s") for row in rows}
    strata = {row.stratum for row in rows} if settings.has_strata else {""}
    for what, values in (("snapshot_s", intervals), ("stratum", strata)):
        if len(values) > 1:
            raise InputError(
                f"{rows[-1].where}, column {what!r}: expected one for all deployments of site {site_id!r}, got "
                f"{', '.join(map(str, sorted(values)))}; correct it, or give the site two names"
            )
    for before, after in pairwise(sorted(rows, key=lambda row: row.start)):
        if after.start < before.end:
            raise InputError(
                f"{after.where}: starts before the site's deployment of {before.where.rsplit(', ', 1)[-1]} ends, so that "
                "time would count twice; correct start or end, or name two cameras at one place apart"
            )
    (interval,) = intervals
    snapshots = [row.working_s() / interval for row in rows]
    if not sum(snapshots) > 0:
        raise InputError(
            f"{rows[0].where}: site {site_id!r} has an effort of 0 snapshots; its hours never fall between start and end, so "
            "correct them or leave the row out"
        )
    shares = [_circle_share(row, settings) for row in rows]
    multiplier = sum(n * share for n, share in zip(snapshots, shares, strict=True)) / sum(snapshots)
    return StationEffort(Station(site_id, sum(snapshots), multiplier, next(iter(strata))), tuple(rows), interval)


def _circle_share(row: Deployment, settings: EffortSettings) -> float:
    theta = _value_or_default(row, row.theta_deg, settings.theta_deg, "theta_deg")
    try:
        return circle_share(theta)
    except InputError as error:
        raise InputError(f"{row.where}, column 'theta_deg': {error}") from None


def _value_or_default(row: Deployment, own: float | None, for_all: float | None, column: str) -> float:
    value = for_all if own is None else own
    if value is None or not value > 0:
        raise InputError(
            f"{row.where}: expected a number above 0 in the column {column!r}, got {'nothing' if value is None else value}; "
            f"fill it in, or give {column} for all deployments"
        )
    return value


def read_effort(path: Path, settings: EffortSettings, notes: list[str]) -> dict[str, StationEffort]:
    """`compute_effort` a table of deployments; columns that may be misspelt, and settings that it overrules, are noted."""
    deployments = read_deployments(path)
    notes += find_misspelt_columns(path, (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS))
    for name, given in (("theta_deg", settings.theta_deg), ("snapshot_s", settings.snapshot_s)):
        told = {getattr(one, name) for one in deployments} - {given}
        if given is not None and told and None not in told:
            notes.append(f"{name} = {given:g} was not used: {path.name} tells its own in each row")
    return compute_effort(deployments, settings)


def collect_areas(sites: Mapping[str, StationEffort]) -> dict[str, float]:
    """The area of each stratum that tells it.

    Raises:
        InputError: deployments of a stratum differ in it.
    """
    areas: dict[str, float] = {}
    for site in sites.values():
        for row in site.deployments:
            if row.area_km2 is not None and areas.setdefault(row.stratum, row.area_km2) != row.area_km2:
                raise InputError(
                    f"{row.where}, column 'area_km2': expected one number for all of stratum {row.stratum!r}, got "
                    f"{row.area_km2:g} after {areas[row.stratum]:g}; correct it"
                )
    return areas


def find_common_hours(sites: Mapping[str, StationEffort], notes: list[str]) -> tuple[tuple[float, float], ...]:
    """The hours in which all cameras worked; () for all day, or where they differ, which is noted."""
    hours = {deployment.hours for site in sites.values() for deployment in site.deployments}
    if len(hours) > 1:
        notes.append("cameras worked at different hours: an activity curve is taken over all day")
        return ()
    return next(iter(hours))


TIME_TOLERANCE_S = 1e-3
ROUNDING_TOLERANCE_S = 1e-5
"""Moments of `predict --every` are written to a microsecond; those of a table of times may have fewer decimals."""


def is_video(media_id: str) -> bool:
    """Whether a medium is a video, by the end of its name."""
    return medium_kind(Path(media_id)) is MediumKind.VIDEO


def check_snapshot_interval(
    path: Path, estimates: Sequence[Estimate], sites: Mapping[str, StationEffort], notes: list[str]
) -> None:
    """Refuses effort that counts more snapshots than were looked at; notes where nobody can tell.

    A site's moments lie as far apart as the closest in one of its media. Where videos have one moment each, the run.json
    beside the table tells. Moments at odd distances were given by a table, where a snapshot need not be a multiple.

    Raises:
        InputError: moments of a site are farther apart than its snapshots, or snapshots lie between them.
    """
    times: dict[str, dict[str, set[float]]] = defaultdict(lambda: defaultdict(set))
    for one in estimates:
        times[one.observation.site_id][one.observation.media_id].add(one.observation.time_s)
    every_s = _read_every_s(path)
    untold = []
    for site_id in [name for name in times if name in sites]:
        gaps = [b - a for moments in times[site_id].values() for a, b in pairwise(sorted(moments))]
        if not gaps and any(map(is_video, times[site_id])):
            if every_s is None:
                untold.append(site_id)
            else:
                gaps = [every_s]
        if gaps:
            _check_station_interval(path, site_id, sites[site_id].snapshot_s, gaps)
    if untold:
        others = f" and {len(untold) - 1:,} others" if len(untold) > 1 else ""
        snapshot_s = sites[untold[0]].snapshot_s
        notes.append(
            f"effort counts a snapshot every {snapshot_s:g} s, but each video of site {untold[0]!r}{others} was looked at "
            f"once: density is too low where videos last longer; measure them anew with --every {snapshot_s:g}"
        )


def _check_station_interval(path: Path, site_id: str, snapshot_s: float, gaps: Sequence[float]) -> None:
    apart = min(gaps)
    said = f"{path}: moments of site {site_id!r} lie {apart:g} s apart, but its effort counts a snapshot every "
    said += f"{snapshot_s:g} s"
    if apart > snapshot_s + TIME_TOLERANCE_S:
        raise InputError(f"{said}; measure anew with --every {snapshot_s:g}, or give snapshot_s = {apart:g}")
    is_regular = all(_offset_from_multiple_s(gap, apart) < ROUNDING_TOLERANCE_S for gap in gaps)
    if is_regular and _offset_from_multiple_s(snapshot_s, apart) > TIME_TOLERANCE_S:
        below = snapshot_s // apart * apart
        raise InputError(
            f"{said}, of which some lie between two moments, where nobody looked; measure anew with --every "
            f"{snapshot_s:g}, or give snapshot_s = {below:g} or {below + apart:g}, multiples of {apart:g}"
        )


def _offset_from_multiple_s(length_s: float, unit_s: float) -> float:
    """How far a length is from a multiple of the unit, seconds."""
    return abs(length_s / unit_s - round(length_s / unit_s)) * unit_s


def _read_every_s(path: Path) -> float | None:
    """The spacing that the run beside the table was asked for; None where nobody knows, or a table gave the times."""
    arguments = read_run_facts(path).get("arguments")
    if not isinstance(arguments, dict) or arguments.get("times") is not None:
        return None
    every_s = arguments.get("every_s")
    return every_s if isinstance(every_s, int | float) and every_s > 0 else None
