"""Effort: camera places from their deployments, with the snapshots and the share of a circle that each covers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from trapmeter.density.estimate import circle_share
from trapmeter.density.survey import Camera
from trapmeter.errors import InputError
from trapmeter.tables.csvfile import misspelt
from trapmeter.tables.deployments import OPTIONAL, OWN, Deployment, read_deployments


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """What deployments may leave out; see `DensitySettings` for the meaning of each."""

    theta_deg: float | None = None
    snapshot_s: float | None = None
    has_strata: bool = True


@dataclass(frozen=True, slots=True)
class Site:
    """A camera place: its camera, its deployments and its snapshot interval."""

    camera: Camera
    deployments: tuple[Deployment, ...]
    snapshot_s: float


def sites_of(deployments: Sequence[Deployment], settings: SiteSettings) -> dict[str, Site]:
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
    return {site_id: _site(site_id, rows, settings) for site_id, rows in by_site.items()}


def _site(site_id: str, rows: Sequence[Deployment], settings: SiteSettings) -> Site:
    intervals = {_told(row, row.snapshot_s, settings.snapshot_s, "snapshot_s") for row in rows}
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
    snapshots = [row.seconds() / interval for row in rows]
    if not sum(snapshots) > 0:
        raise InputError(
            f"{rows[0].where}: site {site_id!r} has an effort of 0 snapshots; its hours never fall between start and end, so "
            "correct them or leave the row out"
        )
    shares = [_circle_share(row, settings) for row in rows]
    multiplier = sum(n * share for n, share in zip(snapshots, shares, strict=True)) / sum(snapshots)
    return Site(Camera(site_id, sum(snapshots), multiplier, next(iter(strata))), tuple(rows), interval)


def _circle_share(row: Deployment, settings: SiteSettings) -> float:
    theta = _told(row, row.theta_deg, settings.theta_deg, "theta_deg")
    try:
        return circle_share(theta)
    except InputError as error:
        raise InputError(f"{row.where}, column 'theta_deg': {error}") from None


def _told(row: Deployment, own: float | None, for_all: float | None, column: str) -> float:
    value = for_all if own is None else own
    if value is None or not value > 0:
        raise InputError(
            f"{row.where}: expected a number above 0 in the column {column!r}, got {'nothing' if value is None else value}; "
            f"fill it in, or give {column} for all deployments"
        )
    return value


def read_sites(path: Path, settings: SiteSettings, notes: list[str]) -> dict[str, Site]:
    """`sites_of` a table of deployments; columns that may be misspelt, and settings that it overrules, are noted."""
    deployments = read_deployments(path)
    notes += misspelt(path, (*OWN, *OPTIONAL))
    for name, given in (("theta_deg", settings.theta_deg), ("snapshot_s", settings.snapshot_s)):
        told = {getattr(one, name) for one in deployments} - {given}
        if given is not None and told and None not in told:
            notes.append(f"{name} = {given:g} was not used: {path.name} tells its own in each row")
    return sites_of(deployments, settings)


def areas_of(sites: Mapping[str, Site]) -> dict[str, float]:
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


def hours_of(sites: Mapping[str, Site], notes: list[str]) -> tuple[tuple[float, float], ...]:
    """The hours in which all cameras worked; () for all day, or where they differ, which is noted."""
    hours = {deployment.hours for site in sites.values() for deployment in site.deployments}
    if len(hours) > 1:
        notes.append("cameras worked at different hours: an activity curve is taken over all day")
        return ()
    return next(iter(hours))
