"""Reads a survey from distances.csv and a table of deployments.

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

from trapmeter.density.detection.held_out_errors import exempt_known_distances
from trapmeter.density.detection.measurement_error import MeasurementError
from trapmeter.density.survey.effort import (
    TIME_TOLERANCE_S,
    EffortSettings,
    StationEffort,
    check_snapshot_interval,
    collect_areas,
    find_common_hours,
    is_video,
    read_effort,
)
from trapmeter.density.survey.species import ALL_SPECIES, check_species, find_species_column
from trapmeter.density.survey.survey import Survey
from trapmeter.errors import InputError
from trapmeter.records import N_DRAWS, Estimate
from trapmeter.tables.density_inputs import read_excluded_animals, read_media_starts
from trapmeter.tables.distances import read_distances, read_distances_with_column

ERRORS_ADVICE = (
    "allow for it by --errors (deep-chimpact for the embedded box model, or held-out answers with their truths)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredDistancesSettings(EffortSettings):
    """Tables beside distances.csv, and what stands in none; see `DensitySettings` for the meaning of each."""

    deployments: Path
    species: str | None = None
    species_column: str | None = None
    media_times: Path | None = None
    leave_out: Path | None = None
    uses_draws: bool = True
    errors: MeasurementError | None = None


def read_measured_survey(path: Path, settings: MeasuredDistancesSettings) -> Survey:
    """Reads distances.csv with its tables.

    Raises:
        InputError: a table is not what it should be; a site has no deployment; effort counts snapshots that nobody looked
            at; or nothing is left to estimate from.
    """
    notes: list[str] = []
    sites = read_effort(settings.deployments, settings, notes)
    estimates = _read_species(path, settings)
    check_snapshot_interval(path, estimates, sites, notes)
    measured = [one for one in estimates if one.distance is not None]
    _check_sites(path, measured, sites, settings.deployments)
    kept = _note_left_out("at moments between two snapshots", measured, _keep_at_snapshots(measured, sites), notes)
    kept = _note_left_out("second rows of an animal at one moment", kept, _drop_duplicates(kept), notes)
    if settings.leave_out is not None:
        left_out = read_excluded_animals(settings.leave_out)
        if settings.species in (None, ALL_SPECIES):  # else what it names may be of other species
            _note_unknown(left_out, estimates, settings.leave_out, notes)
        kept = _note_left_out(
            f"named in {settings.leave_out.name}", kept, [one for one in kept if not _is_left_out(one, left_out)], notes
        )
    if settings.media_times is not None:
        kept = _note_left_out(
            "outside of deployments and hours", kept, _keep_while_working(kept, sites, settings.media_times), notes
        )
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
        stations=tuple(site.station for site in sites.values()),
        station=np.array([number[one.observation.site_id] for one in kept], np.intp),
        distance_m=_distances(kept, settings, notes),
        areas=collect_areas(sites) if settings.has_strata else {},
        errors=exempt_known_distances(settings.errors, [one.is_by_hand for one in kept], notes),
        hours=find_common_hours(sites, notes),
        notes=tuple(notes),
    )


def _read_species(path: Path, settings: MeasuredDistancesSettings) -> list[Estimate]:
    """All estimates but those of other species. Without a column of species every animal counts."""
    column = find_species_column(path, settings.species_column, settings.species)
    if column is None:
        return read_distances(path)
    rows = read_distances_with_column(path, column)
    seen = (name for one, name in rows if one.distance is not None)
    check_species(path, column, seen, settings.species)
    is_any = settings.species in (None, ALL_SPECIES)
    return [one for one, name in rows if is_any or one.distance is None or name == settings.species]


def _check_sites(
    path: Path, measured: Sequence[Estimate], sites: Mapping[str, StationEffort], deployments: Path
) -> None:
    for one in measured:
        site_id = one.observation.site_id
        if site_id not in sites:
            raise InputError(
                f"{path}: an animal of {one.observation.media_id} stands at site {site_id!r}, of which {deployments} has no "
                f"deployment; there are {', '.join(map(repr, list(sites)[:10]))}. Use the same names in both"
                + ("" if site_id else "; sites are told by `trapmeter predict --site`")
            )


def _keep_at_snapshots(estimates: Iterable[Estimate], sites: Mapping[str, StationEffort]) -> list[Estimate]:
    def is_on(one: Estimate) -> bool:
        interval = sites[one.observation.site_id].snapshot_s
        number = one.observation.time_s / interval
        return abs(number - round(number)) * interval < TIME_TOLERANCE_S

    return [one for one in estimates if is_on(one)]


def _drop_duplicates(estimates: Iterable[Estimate]) -> list[Estimate]:
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


def _is_left_out(one: Estimate, left_out: set[tuple[str, int | None]]) -> bool:
    media_id = one.observation.media_id
    return (media_id, None) in left_out or (media_id, one.observation.animal_id) in left_out


def _keep_while_working(
    estimates: Iterable[Estimate], sites: Mapping[str, StationEffort], media_times: Path
) -> list[Estimate]:
    starts = read_media_starts(media_times)

    def is_while(one: Estimate) -> bool:
        observation = one.observation
        if observation.media_id not in starts:
            raise InputError(
                f"{media_times} has no row for {observation.media_id}; give the start of every medium with animals"
            )
        when = starts[observation.media_id] + timedelta(seconds=observation.time_s)
        return any(deployment.is_working_at(when) for deployment in sites[observation.site_id].deployments)

    return [one for one in estimates if is_while(one)]


def _note_left_out(what: str, before: Sequence[Estimate], after: list[Estimate], notes: list[str]) -> list[Estimate]:
    if len(after) < len(before):
        notes.append(f"{len(before) - len(after):,} of {len(before):,} measured animals left out: {what}")
    return after


def _distances(kept: Sequence[Estimate], settings: MeasuredDistancesSettings, notes: list[str]) -> NDArray[np.float64]:
    known = [one.distance for one in kept if one.distance is not None]
    if settings.errors is not None or not settings.uses_draws or not any(one.draws_m for one in known):
        if settings.errors is None:
            notes.append(f"distance_m is taken as if it were true, and density is biased by its error; {ERRORS_ADVICE}")
        return np.array([[distance.distance_m] for distance in known], np.float64)
    notes.append(
        "draws follow the distances that the model learned from, and density is pulled with them where animals stand nearer "
        f"or farther; {ERRORS_ADVICE}"
    )
    return np.array([distance.draws_m or (distance.distance_m,) * N_DRAWS for distance in known], np.float64)
