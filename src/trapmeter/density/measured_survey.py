"""A survey from distances.csv and a table of deployments: effort from when cameras worked, distances from their draws.

Snapshots are the moments that a snapshot interval apart; effort counts them while a camera worked, and observations at other
moments are left out, so that both count the same thing (Howe et al. 2017). An animal counts once in a snapshot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.estimate import circle_share
from trapmeter.density.blur import ErrorModel
from trapmeter.density.species import ALL, check_species
from trapmeter.density.survey import Camera, Survey
from trapmeter.errors import InputError
from trapmeter.records import N_DRAWS, Estimate
from trapmeter.tables.csvfile import read_columns
from trapmeter.tables.deployments import Deployment, read_deployments
from trapmeter.tables.distances import read_distances, read_distances_with
from trapmeter.tables.sightings import read_left_out, read_media_starts

SAME_TIME_S = 1e-3
ALLOW_FOR_ERRORS = (
    "allow for it by --errors (deep-chimpact for the embedded box model, or held-out answers with their truths)"
)


@dataclass(frozen=True, slots=True)
class MeasuredSettings:
    """Tables beside distances.csv, and what stands in none; see `DensitySettings` for the meaning of each."""

    deployments: Path
    species: str | None = None
    species_column: str = "species"
    theta_deg: float | None = None
    snapshot_s: float | None = None
    media_times: Path | None = None
    leave_out: Path | None = None
    takes_draws: bool = True
    errors: ErrorModel | None = None
    has_strata: bool = True


@dataclass(frozen=True, slots=True)
class _Site:
    """A camera place: its camera, its deployments and its snapshot interval."""

    camera: Camera
    deployments: tuple[Deployment, ...]
    snapshot_s: float


def read_measured_survey(path: Path, settings: MeasuredSettings) -> Survey:
    """Reads distances.csv with its tables.

    Raises:
        InputError: a table is not what it should be; a site has no deployment; moments are farther apart than snapshots; or
            nothing is left to estimate from.
    """
    sites = _sites(read_deployments(settings.deployments), settings)
    estimates = _of_species(path, settings)
    _check_spacing(path, estimates, sites)
    measured = [one for one in estimates if one.distance is not None]
    _check_sites(path, measured, sites, settings.deployments)
    notes: list[str] = []
    kept = _tell("at moments between two snapshots", measured, _on_snapshot(measured, sites), notes)
    kept = _tell("second rows of an animal at one moment", kept, _once(kept), notes)
    if settings.leave_out is not None:
        left_out = read_left_out(settings.leave_out)
        kept = _tell(
            f"named in {settings.leave_out.name}", kept, [one for one in kept if not _is_named(one, left_out)], notes
        )
    if settings.media_times is not None:
        kept = _tell("outside of deployments and hours", kept, _while_working(kept, sites, settings.media_times), notes)
    if not kept:
        raise InputError(
            f"{path} has no measured animal that counts ({len(measured)} were measured); check species, deployments, "
            "snapshot interval and what is left out"
        )
    number = {site_id: index for index, site_id in enumerate(sites)}
    hours = {deployment.hours for site in sites.values() for deployment in site.deployments}
    if len(hours) > 1:
        notes.append("cameras worked at different hours: an activity curve is taken over all day")
    return Survey(
        cameras=tuple(site.camera for site in sites.values()),
        camera=np.array([number[one.observation.site_id] for one in kept], np.intp),
        distance_m=_distances(kept, settings, notes),
        areas=_areas(sites) if settings.has_strata else {},
        errors=settings.errors,
        hours=next(iter(hours)) if len(hours) == 1 else (),
        notes=tuple(notes),
    )


def _sites(deployments: Sequence[Deployment], settings: MeasuredSettings) -> dict[str, _Site]:
    by_site: dict[str, list[Deployment]] = defaultdict(list)
    for deployment in deployments:
        by_site[deployment.site_id].append(deployment)
    if not by_site:
        raise InputError(f"{settings.deployments} has no rows; expected one for each deployment of a camera")
    return {site_id: _site(site_id, rows, settings) for site_id, rows in by_site.items()}


def _site(site_id: str, rows: Sequence[Deployment], settings: MeasuredSettings) -> _Site:
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
    return _Site(Camera(site_id, sum(snapshots), multiplier, next(iter(strata))), tuple(rows), interval)


def _circle_share(row: Deployment, settings: MeasuredSettings) -> float:
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


def _of_species(path: Path, settings: MeasuredSettings) -> list[Estimate]:
    """All estimates but those of other species. Without a column of species every animal counts."""
    has_column = settings.species_column in read_columns(path)
    if not has_column and settings.species in (None, ALL):
        return read_distances(path)
    rows = read_distances_with(path, settings.species_column)
    seen = (name for one, name in rows if one.distance is not None)
    check_species(path, settings.species_column, seen, settings.species)
    is_any = settings.species in (None, ALL)
    return [one for one, name in rows if is_any or one.distance is None or name == settings.species]


def _check_spacing(path: Path, estimates: Sequence[Estimate], sites: Mapping[str, _Site]) -> None:
    """Refuses effort that counts more snapshots than were looked at."""
    times: dict[tuple[str, str], set[float]] = defaultdict(set)
    for one in estimates:
        times[one.observation.site_id, one.observation.media_id].add(one.observation.time_s)
    spacing: dict[str, float] = {}
    for (site_id, _), moments in times.items():
        least = min((after - before for before, after in pairwise(sorted(moments))), default=None)
        if least is not None:
            spacing[site_id] = min(spacing.get(site_id, least), least)
    for site_id, apart in spacing.items():
        if site_id in sites and apart > sites[site_id].snapshot_s + SAME_TIME_S:
            raise InputError(
                f"{path}: moments of site {site_id!r} lie {apart:g} s apart, but its effort counts a snapshot every "
                f"{sites[site_id].snapshot_s:g} s; measure anew with --every {sites[site_id].snapshot_s:g}, or give "
                f"snapshot_s = {apart:g}"
            )


def _check_sites(path: Path, measured: Sequence[Estimate], sites: Mapping[str, _Site], deployments: Path) -> None:
    for one in measured:
        site_id = one.observation.site_id
        if site_id not in sites:
            raise InputError(
                f"{path}: an animal of {one.observation.media_id} stands at site {site_id!r}, of which {deployments} has no "
                f"deployment; there are {', '.join(map(repr, list(sites)[:10]))}. Use the same names in both"
                + ("" if site_id else "; sites are told by `trapmeter predict --site`")
            )


def _on_snapshot(estimates: Iterable[Estimate], sites: Mapping[str, _Site]) -> list[Estimate]:
    def is_on(one: Estimate) -> bool:
        interval = sites[one.observation.site_id].snapshot_s
        number = one.observation.time_s / interval
        return abs(number - round(number)) * interval < SAME_TIME_S

    return [one for one in estimates if is_on(one)]


def _once(estimates: Iterable[Estimate]) -> list[Estimate]:
    """Each animal once a moment. Animals without a number (seconds answered as a whole) are told apart by nothing."""
    seen: set[tuple[str, float, int]] = set()
    kept = []
    for one in estimates:
        key = one.observation.media_id, one.observation.time_s, one.observation.animal_id
        if key not in seen:
            seen.add(key)
            kept.append(one)
    return kept


def _is_named(one: Estimate, left_out: set[tuple[str, int | None]]) -> bool:
    media_id = one.observation.media_id
    return (media_id, None) in left_out or (media_id, one.observation.animal_id) in left_out


def _while_working(estimates: Iterable[Estimate], sites: Mapping[str, _Site], media_times: Path) -> list[Estimate]:
    starts = read_media_starts(media_times)

    def is_while(one: Estimate) -> bool:
        observation = one.observation
        if observation.media_id not in starts:
            raise InputError(
                f"{media_times} has no row for {observation.media_id}; give the start of every medium with animals"
            )
        when = starts[observation.media_id] + timedelta(seconds=observation.time_s)
        return any(deployment.works_at(when) for deployment in sites[observation.site_id].deployments)

    return [one for one in estimates if is_while(one)]


def _tell(what: str, before: Sequence[Estimate], after: list[Estimate], notes: list[str]) -> list[Estimate]:
    if len(after) < len(before):
        notes.append(f"{len(before) - len(after):,} of {len(before):,} measured animals left out: {what}")
    return after


def _distances(kept: Sequence[Estimate], settings: MeasuredSettings, notes: list[str]) -> NDArray[np.float64]:
    known = [one.distance for one in kept if one.distance is not None]
    if settings.errors is not None or not settings.takes_draws or not any(one.draws_m for one in known):
        if settings.errors is None:
            notes.append(f"distance_m is taken as if it were true, and density is biased by its error; {ALLOW_FOR_ERRORS}")
        return np.array([[distance.distance_m] for distance in known], np.float64)
    notes.append(
        "draws follow the distances that the model learned from, and density is pulled with them where animals stand nearer or "
        f"farther; {ALLOW_FOR_ERRORS}"
    )
    return np.array([distance.draws_m or (distance.distance_m,) * N_DRAWS for distance in known], np.float64)


def _areas(sites: Mapping[str, _Site]) -> dict[str, float]:
    areas: dict[str, float] = {}
    for site in sites.values():
        for row in site.deployments:
            if row.area_km2 is not None and areas.setdefault(row.stratum, row.area_km2) != row.area_km2:
                raise InputError(
                    f"{row.where}, column 'area_km2': expected one number for all of stratum {row.stratum!r}, got "
                    f"{row.area_km2:g} after {areas[row.stratum]:g}; correct it"
                )
    return areas
