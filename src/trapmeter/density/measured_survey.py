"""A survey from distances.csv and a table of deployments: distances as answers or draws, at moments that snapshots have.

Snapshots are the moments that a snapshot interval apart; effort counts them while a camera worked, and observations at other
moments are left out, so that both count the same thing (Howe et al. 2017). An animal counts once in a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.blur import ErrorModel
from trapmeter.density.held_out import errors_of
from trapmeter.density.sites import Site, SiteSettings, areas_of, hours_of, read_sites
from trapmeter.density.spacing import SAME_TIME_S, check_spacing, is_video
from trapmeter.density.species import ALL, check_species, column_of_species
from trapmeter.density.survey import Survey
from trapmeter.errors import InputError
from trapmeter.records import N_DRAWS, Estimate
from trapmeter.tables.distances import read_distances, read_distances_with
from trapmeter.tables.sightings import read_left_out, read_media_starts

ALLOW_FOR_ERRORS = (
    "allow for it by --errors (deep-chimpact for the embedded box model, or held-out answers with their truths)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSettings(SiteSettings):
    """Tables beside distances.csv, and what stands in none; see `DensitySettings` for the meaning of each."""

    deployments: Path
    species: str | None = None
    species_column: str | None = None
    media_times: Path | None = None
    leave_out: Path | None = None
    takes_draws: bool = True
    errors: ErrorModel | None = None


def read_measured_survey(path: Path, settings: MeasuredSettings) -> Survey:
    """Reads distances.csv with its tables.

    Raises:
        InputError: a table is not what it should be; a site has no deployment; effort counts snapshots that nobody looked
            at; or nothing is left to estimate from.
    """
    notes: list[str] = []
    sites = read_sites(settings.deployments, settings, notes)
    estimates = _of_species(path, settings)
    check_spacing(path, estimates, sites, notes)
    measured = [one for one in estimates if one.distance is not None]
    _check_sites(path, measured, sites, settings.deployments)
    kept = _tell("at moments between two snapshots", measured, _on_snapshot(measured, sites), notes)
    kept = _tell("second rows of an animal at one moment", kept, _once(kept), notes)
    if settings.leave_out is not None:
        left_out = read_left_out(settings.leave_out)
        if settings.species in (None, ALL):  # else what it names may be of other species
            _note_unknown(left_out, estimates, settings.leave_out, notes)
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
    if not any(one.observation.time_s or is_video(one.observation.media_id) for one in estimates):
        notes.append(
            "every medium has one moment, as photos have: each counts as a snapshot, however soon after another; leave out "
            "those that follow within the snapshot interval, or give a Camtrap DP, whose times tell"
        )
    number = {site_id: index for index, site_id in enumerate(sites)}
    return Survey(
        cameras=tuple(site.camera for site in sites.values()),
        camera=np.array([number[one.observation.site_id] for one in kept], np.intp),
        distance_m=_distances(kept, settings, notes),
        areas=areas_of(sites) if settings.has_strata else {},
        errors=errors_of(settings.errors, [one.is_by_hand for one in kept], notes),
        hours=hours_of(sites, notes),
        notes=tuple(notes),
    )


def _of_species(path: Path, settings: MeasuredSettings) -> list[Estimate]:
    """All estimates but those of other species. Without a column of species every animal counts."""
    column = column_of_species(path, settings.species_column, settings.species)
    if column is None:
        return read_distances(path)
    rows = read_distances_with(path, column)
    seen = (name for one, name in rows if one.distance is not None)
    check_species(path, column, seen, settings.species)
    is_any = settings.species in (None, ALL)
    return [one for one, name in rows if is_any or one.distance is None or name == settings.species]


def _check_sites(path: Path, measured: Sequence[Estimate], sites: Mapping[str, Site], deployments: Path) -> None:
    for one in measured:
        site_id = one.observation.site_id
        if site_id not in sites:
            raise InputError(
                f"{path}: an animal of {one.observation.media_id} stands at site {site_id!r}, of which {deployments} has no "
                f"deployment; there are {', '.join(map(repr, list(sites)[:10]))}. Use the same names in both"
                + ("" if site_id else "; sites are told by `trapmeter predict --site`")
            )


def _on_snapshot(estimates: Iterable[Estimate], sites: Mapping[str, Site]) -> list[Estimate]:
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


def _note_unknown(
    left_out: set[tuple[str, int | None]], estimates: Iterable[Estimate], path: Path, notes: list[str]
) -> None:
    """A name that no row has is a slip of the pen, and its animal counts on."""
    seen = {one.observation for one in estimates}
    known = {(one.media_id, one.animal_id) for one in seen} | {(one.media_id, None) for one in seen}
    unknown = sorted(left_out - known, key=str)
    if unknown:
        media_id, animal_id = unknown[0]
        animal = "" if animal_id is None else f", animal {animal_id}"
        notes.append(
            f"{len(unknown):,} of {len(left_out):,} names in {path.name} are of no row of the distances, as "
            f"{media_id}{animal}; correct them, for what they mean still counts"
        )


def _is_named(one: Estimate, left_out: set[tuple[str, int | None]]) -> bool:
    media_id = one.observation.media_id
    return (media_id, None) in left_out or (media_id, one.observation.animal_id) in left_out


def _while_working(estimates: Iterable[Estimate], sites: Mapping[str, Site], media_times: Path) -> list[Estimate]:
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
            notes.append(
                f"distance_m is taken as if it were true, and density is biased by its error; {ALLOW_FOR_ERRORS}"
            )
        return np.array([[distance.distance_m] for distance in known], np.float64)
    notes.append(
        "draws follow the distances that the model learned from, and density is pulled with them where animals stand nearer "
        f"or farther; {ALLOW_FOR_ERRORS}"
    )
    return np.array([distance.draws_m or (distance.distance_m,) * N_DRAWS for distance in known], np.float64)
