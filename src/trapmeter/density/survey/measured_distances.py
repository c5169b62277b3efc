"""Reads a survey from distances.csv and a table of deployments.

Snapshots are times that are multiples of the snapshot interval. Effort counts them while a camera worked, and observations at
other times are left out, so both count the same thing (Howe et al. 2017). An animal counts once in a snapshot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.effort import (
    TIME_TOLERANCE_S,
    StationEffort,
    build_survey,
    check_has_deployment,
    check_snapshot_interval,
    is_video,
    keep_one_medium_per_interval,
    offset_from_multiple_s,
    read_effort,
)
from trapmeter.density.survey.media_starts import find_media_starts
from trapmeter.density.survey.species import (
    Filter,
    apply_filters,
    check_species,
    find_species_column,
    is_any_species,
    nothing_counts,
)
from trapmeter.density.survey.survey import Survey
from trapmeter.errors import InputError
from trapmeter.records import N_DRAWS, Estimate, Status
from trapmeter.tables.density_inputs import read_excluded_animals
from trapmeter.tables.distances import read_distances, read_distances_with_column
from trapmeter.tables.times import TimeReader

ERRORS_ADVICE = (
    "allow for it with --errors: deep-chimpact for the embedded box model, or a file of held-out predictions and their "
    "true distances"
)
Excluded = set[tuple[str, int | None]]
"""Media and animals in them; None for all animals of a medium."""


def read_measured_survey(settings: DensitySettings) -> Survey:
    """Reads the distances.csv that `settings.file` names, with its tables.

    Raises:
        InputError: a table is missing or invalid; a site has no deployment; effort counts snapshots that were not measured;
            or no animal counts.
    """
    path, deployments = settings.file, settings.deployments
    if deployments is None:
        raise InputError(
            "distances.csv contains no effort; give --deployments, a CSV file with site_id, start, end, theta_deg and "
            "snapshot_s, or another --format"
        )
    times = TimeReader(settings.timezone)
    sites, effort_notes = read_effort(deployments, settings, times)
    estimates = _read_species(settings)
    sites, unknown_notes = _without_unknown(sites, estimates)
    interval_notes = check_snapshot_interval(path, estimates, sites)
    measured = [estimate for estimate in estimates if estimate.distance is not None]
    for estimate in measured:
        _check_site(path, estimate, sites, deployments)
    filters: list[Filter[Estimate]] = [
        ("at times between two snapshots", lambda rows: _keep_at_snapshots(rows, sites)),
        ("repeated rows of an animal at one time", _drop_duplicates),
    ]
    if not settings.keep_static:
        filters.append(
            (
                "boxes that are marked static, since they stay in place (--keep-static counts them)",
                lambda rows: [row for row in rows if not row.is_static],
            )
        )
    exclusion_notes: tuple[str, ...] = ()
    if settings.leave_out is not None:
        excluded = read_excluded_animals(settings.leave_out)
        if is_any_species(settings.species):  # otherwise names may be those of other species
            exclusion_notes = _note_unknown_names(excluded, estimates, settings.leave_out)
        filters.append((f"named in {settings.leave_out.name}", lambda rows: _drop_excluded(rows, excluded)))
    starts = find_media_starts(settings, (estimate.observation.media_id for estimate in measured), sites, times)
    filters += [
        ("outside deployments and hours", lambda rows: _keep_while_working(rows, sites, starts.dated)),
        ("in photos within an interval of an earlier one", lambda rows: _keep_first_photos(rows, sites, starts.all)),
    ]
    kept, filter_notes = apply_filters(measured, filters)
    if not kept:
        raise nothing_counts(path, len(measured))
    distance_m, distance_note = _distances(kept, settings)
    notes = [*effort_notes, *unknown_notes, *interval_notes, *filter_notes, *exclusion_notes, *starts.notes]
    if not starts.all and not any(map(_is_of_video, estimates)):
        notes.append(
            "every medium has one time, as photos have: each counts as a snapshot, however soon after another; give "
            "--media-times, so that of photos within a snapshot interval only the first counts"
        )
    return build_survey(
        sites,
        [estimate.observation.site_id for estimate in kept],
        distance_m,
        is_by_person=[estimate.is_by_hand for estimate in kept],
        settings=settings,
        notes=[*notes, distance_note] if distance_note else notes,
    )


def _read_species(settings: DensitySettings) -> list[Estimate]:
    """All estimates but those of other species. Without a species column every animal counts."""
    path = settings.file
    column = find_species_column(path, settings.species_column, settings.species)
    if column is None:
        return read_distances(path)
    rows = read_distances_with_column(path, column)
    check_species(path, column, (name for row, name in rows if row.distance is not None), settings.species)
    is_any = is_any_species(settings.species)
    return [row for row, name in rows if is_any or row.distance is None or name == settings.species]


def _check_site(path: Path, estimate: Estimate, sites: Mapping[str, StationEffort], deployments: Path) -> None:
    site_id = estimate.observation.site_id
    check_has_deployment(
        site_id,
        sites,
        where=f"{path}, {estimate.observation.media_id}",
        deployments=deployments,
        advice="Use the same names in both"
        if site_id
        else "Name the sites when you measure: `trapmeter predict --site`",
    )


def _without_unknown(
    sites: Mapping[str, StationEffort], estimates: Iterable[Estimate]
) -> tuple[dict[str, StationEffort], tuple[str, ...]]:
    """The effort without the snapshots that failed or of which nobody knows whether they show an animal, and a note."""
    lost = {
        (row.observation.site_id, row.observation.media_id, row.observation.time_s)
        for row in estimates
        if row.status in (Status.UNKNOWN, Status.FAILED) and row.observation.site_id in sites
    }
    n_lost = Counter(
        site_id
        for site_id, _, time_s in lost
        if offset_from_multiple_s(time_s, sites[site_id].snapshot_s) < TIME_TOLERANCE_S
    )
    if not n_lost:
        return dict(sites), ()
    for site_id, n in n_lost.items():
        if n >= sites[site_id].station.effort_snapshots:
            raise InputError(
                f"site {site_id!r} has {n:,} seconds with the status unknown or failed, and an effort of only "
                f"{sites[site_id].station.effort_snapshots:,.6g} snapshots; measure them again, or leave the site out"
            )
    known = {}
    for site_id, site in sites.items():
        snapshots = site.station.effort_snapshots - n_lost[site_id]
        known[site_id] = replace(site, station=replace(site.station, effort_snapshots=snapshots))
    return known, (
        f"{n_lost.total():,} snapshots are no effort, since their status is unknown or failed: whether they show an animal "
        "can't be said",
    )


def _keep_at_snapshots(rows: Iterable[Estimate], sites: Mapping[str, StationEffort]) -> list[Estimate]:
    def is_at_snapshot(estimate: Estimate) -> bool:
        interval_s = sites[estimate.observation.site_id].snapshot_s
        return offset_from_multiple_s(estimate.observation.time_s, interval_s) < TIME_TOLERANCE_S

    return [estimate for estimate in rows if is_at_snapshot(estimate)]


def _drop_duplicates(rows: Iterable[Estimate]) -> list[Estimate]:
    """The first row of each animal at each time; animals without a number, in frames measured as one, count as one."""
    first: dict[tuple[str, float, int | None], Estimate] = {}
    for estimate in rows:
        observation = estimate.observation
        first.setdefault((observation.media_id, observation.time_s, observation.animal_id), estimate)
    return list(first.values())


def _note_unknown_names(excluded: Excluded, estimates: Iterable[Estimate], path: Path) -> tuple[str, ...]:
    """A note on names that match no row: probably typing errors, whose animals still count."""
    observations = {estimate.observation for estimate in estimates}
    known = {(row.media_id, row.animal_id) for row in observations} | {(row.media_id, None) for row in observations}
    unknown = sorted(excluded - known, key=str)
    if not unknown:
        return ()
    media_id, animal_id = unknown[0]
    animal = "" if animal_id is None else f", animal {animal_id}"
    return (
        f"{len(unknown):,} of {len(excluded):,} names in {path.name} match no row of the distances, such as "
        f"{media_id}{animal}; correct them, because the animals still count",
    )


def _drop_excluded(rows: Iterable[Estimate], excluded: Excluded) -> list[Estimate]:
    return [
        estimate
        for estimate in rows
        if not {(estimate.observation.media_id, None), (estimate.observation.media_id, estimate.observation.animal_id)}
        & excluded
    ]


def _keep_while_working(
    rows: Iterable[Estimate], sites: Mapping[str, StationEffort], starts: Mapping[str, datetime]
) -> list[Estimate]:
    """The rows at times when a camera worked, and those whose time isn't known."""

    def is_while_working(estimate: Estimate) -> bool:
        observation = estimate.observation
        start = starts.get(observation.media_id)
        return start is None or sites[observation.site_id].works_at(start + timedelta(seconds=observation.time_s))

    return [estimate for estimate in rows if is_while_working(estimate)]


def _is_of_video(estimate: Estimate) -> bool:
    return bool(estimate.observation.time_s) or is_video(estimate.observation.media_id)


def _keep_first_photos(
    rows: Iterable[Estimate], sites: Mapping[str, StationEffort], starts: Mapping[str, datetime]
) -> list[Estimate]:
    """All rows of videos and of photos without a known time, and those of the first photo in each snapshot interval."""
    rows = list(rows)
    photos = [row for row in rows if not _is_of_video(row) and row.observation.media_id in starts]
    kept = set(map(id, rows)) - set(map(id, photos))
    # Times with and without a zone can't be compared.
    for has_zone in (False, True):
        first = keep_one_medium_per_interval(
            [row for row in photos if (starts[row.observation.media_id].tzinfo is not None) == has_zone],
            lambda row: (row.observation.site_id, starts[row.observation.media_id], row.observation.media_id),
            lambda site_id: sites[site_id].snapshot_s,
        )
        kept |= set(map(id, first))
    return [row for row in rows if id(row) in kept]


def _distances(kept: Sequence[Estimate], settings: DensitySettings) -> tuple[Floats, str]:
    """The distances (n, draws), and a note on what is assumed about their error."""
    known = [estimate.distance for estimate in kept if estimate.distance is not None]
    points = np.array([[distance.distance_m] for distance in known], np.float64)
    if settings.has_error_model:
        return points, ""
    if settings.points or not any(distance.draws_m for distance in known):
        return points, f"distance_m counts as the true distance, so its error biases density; {ERRORS_ADVICE}"
    draws = np.array([distance.draws_m or (distance.distance_m,) * N_DRAWS for distance in known], np.float64)
    return draws, (
        "draws follow the distances on which the model was trained, which biases density if animals stand nearer or "
        f"farther; {ERRORS_ADVICE}"
    )
