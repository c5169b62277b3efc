"""Reads a survey from distances.csv and a table of deployments.

Snapshots are times that are multiples of the snapshot interval. Effort counts them while a camera worked, and observations at
other times are left out, so both count the same thing (Howe et al. 2017). An animal counts once in a snapshot. The effort of
motion-triggered photographs follows from their triggers instead (`photographs`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.columns import check_value, missing_column
from trapmeter.density.survey.countable import (
    drop_duplicates,
    drop_excluded,
    is_of_video,
    keep_at_snapshots,
    keep_first_photos,
    keep_while_working,
    note_unknown_names,
)
from trapmeter.density.survey.effort import (
    StationEffort,
    build_survey,
    check_has_deployment,
    compute_effort,
    read_periods,
    without_known_gaps,
)
from trapmeter.density.survey.interval import TIME_TOLERANCE_S, check_snapshot_interval, offset_from_multiple_s
from trapmeter.density.survey.media_starts import MediaStarts, find_media_starts
from trapmeter.density.survey.photographs import WeighedPhotographs, counts_triggers, in_seconds, weigh_photographs
from trapmeter.density.survey.silence import SilenceRule, judge_silence
from trapmeter.density.survey.species import (
    Filter,
    apply_filters,
    check_species,
    find_species_column,
    is_any_species,
    is_requested,
    nothing_counts,
    unknown_species_notes,
)
from trapmeter.density.survey.survey import Survey
from trapmeter.errors import InputError
from trapmeter.records import N_DRAWS, Estimate, Status
from trapmeter.tables.csvfile import Row, read_columns
from trapmeter.tables.density_inputs import read_excluded_animals
from trapmeter.tables.distances import read_distances_with_rows
from trapmeter.tables.times import TimeReader

ERRORS_ADVICE = (
    "allow for it with --errors: deep-chimpact for the embedded box model, or a file of held-out predictions and their "
    "true distances"
)


def read_measured_survey(settings: DensitySettings) -> Survey:
    """Reads the distances.csv that `settings.file` names, with its tables.

    Raises:
        InputError: a table is missing or invalid; a site has no deployment; effort counts snapshots that were not measured;
            photographs contradict their burst; or no animal counts.
    """
    path = settings.file
    if settings.deployments is None:
        raise InputError(
            "distances.csv contains no effort; give --deployments, a CSV file with site_id, start, end, theta_deg and "
            "snapshot_s, or another --format"
        )
    times = TimeReader(settings.timezone)
    all_deployments, table_notes = read_periods(settings.deployments, settings, times)
    deployments, gap_notes = without_known_gaps(all_deployments, settings, times)
    everything, estimates, rows = _read_estimates(settings)
    is_photos = not any(map(is_of_video, everything))
    is_triggered = counts_triggers(settings, deployments, is_photos=is_photos)
    if is_triggered and not is_photos:
        video = next(row for row in everything if is_of_video(row))
        raise InputError(
            f"{path}: {video.observation.media_id} is a video, and --burst and --retrigger are for photographs; leave them "
            "out and give the snapshot interval, or estimate videos and photographs separately"
        )
    measured = [estimate for estimate in estimates if estimate.distance is not None]
    starts = find_media_starts(settings, everything, measured, deployments, times)
    if is_triggered:
        starts.check_triggers(measured, path)
    silence_notes: tuple[str, ...] = ()
    if starts.dated:
        media = {site_id: sorted(taken.values()) for site_id, taken in starts.by_site(everything).items()}
        rule = settings.silence or SilenceRule.CLEAR
        deployments, silence_notes = judge_silence(
            deployments, media, rule, snapshot_s=settings.snapshot_s, is_photos=is_photos
        )
    requested = settings.requested_species if settings.species_column is None else None
    notes = [*unknown_species_notes(everything, requested), *table_notes, *gap_notes, *silence_notes]
    if is_triggered:
        deployments, interval_notes = in_seconds(deployments)
        sites = compute_effort(deployments, settings)
    else:
        sites, unknown_notes = _without_unknown(compute_effort(deployments, settings), estimates)
        interval_notes = (*unknown_notes, *check_snapshot_interval(path, estimates, sites))
    notes += interval_notes
    for estimate in measured:
        _check_site(path, estimate, sites, settings.deployments)
    kept, filter_notes = _select_counted(measured, estimates, sites, starts, settings, is_triggered=is_triggered)
    if not kept:
        raise nothing_counts(path, len(measured))
    notes += (*filter_notes, *starts.notes)
    if not starts.all and is_photos:
        notes.append(
            "every medium has one time, as photos have: each counts as a snapshot, however soon after another; give "
            "--media-times, so that of photos within a snapshot interval only the first counts"
        )
    weighed = _weigh(kept, everything, sites, starts, settings) if is_triggered else None
    distance_m, distance_note = _distances(kept, settings)
    return build_survey(
        sites if weighed is None else weighed.sites,
        [estimate.observation.site_id for estimate in kept],
        distance_m,
        is_by_person=[estimate.is_by_hand for estimate in kept],
        settings=settings,
        notes=[*notes, *(weighed.notes if weighed else ()), *([distance_note] if distance_note else ())],
        weight=weighed.weight if weighed else None,
        basis=weighed.basis if weighed else "",
        observed=_observed_columns(kept, rows, settings.deployments, settings),
    )


def _select_counted(
    measured: Sequence[Estimate],
    estimates: Sequence[Estimate],
    sites: Mapping[str, StationEffort],
    starts: MediaStarts,
    settings: DensitySettings,
    *,
    is_triggered: bool,
) -> tuple[list[Estimate], tuple[str, ...]]:
    """The measured animals that count, and notes on the others."""
    filters: list[Filter[Estimate]] = [
        ("at times between two snapshots", lambda rows: keep_at_snapshots(rows, sites)),
        ("repeated rows of an animal at one time", drop_duplicates),
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
        if is_any_species(settings.requested_species):  # otherwise names may be those of other species
            exclusion_notes = note_unknown_names(excluded, estimates, settings.leave_out)
        filters.append((f"named in {settings.leave_out.name}", lambda rows: drop_excluded(rows, excluded)))
    filters.append(("outside deployments and hours", lambda rows: keep_while_working(rows, sites, starts.dated)))
    if not is_triggered:
        filters.append(
            ("in photos within an interval of an earlier one", lambda rows: keep_first_photos(rows, sites, starts.all))
        )
    kept, filter_notes = apply_filters(measured, filters)
    return kept, (*filter_notes, *exclusion_notes)


def _weigh(
    kept: Sequence[Estimate],
    everything: Sequence[Estimate],
    sites: Mapping[str, StationEffort],
    starts: MediaStarts,
    settings: DensitySettings,
) -> WeighedPhotographs:
    photographs = {site_id: taken for site_id, taken in starts.by_site(everything).items() if site_id in sites}
    unknown = {
        (row.observation.site_id, row.observation.media_id)
        for row in everything
        if row.status in (Status.UNKNOWN, Status.FAILED)
        and row.observation.media_id in photographs.get(row.observation.site_id, {})
    }
    animals = [(row.observation.site_id, row.observation.media_id) for row in kept]
    return weigh_photographs(sites, photographs, animals, settings, unknown=unknown)


def _read_estimates(settings: DensitySettings) -> tuple[list[Estimate], list[Estimate], dict[int, Row]]:
    """All estimates, those of the species (without a species column, all), and the row of each by its id."""
    path, species = settings.file, settings.requested_species
    column = find_species_column(path, settings.species_column, species)
    rows = read_distances_with_rows(path, () if column is None else (column,))
    everything = [estimate for estimate, _ in rows]
    by_id = {id(estimate): row for estimate, row in rows}
    if column is None:
        return everything, everything, by_id
    names = [row.optional_text(column) for _, row in rows]
    named = list(zip(everything, names, strict=True))
    check_species(path, column, (name for row, name in named if row.distance is not None), species)
    return everything, [row for row, name in named if row.distance is None or is_requested(name, species)], by_id


def _observed_columns(
    kept: Sequence[Estimate], rows: Mapping[int, Row], deployments: Path, settings: DensitySettings
) -> dict[str, list[str]]:
    """The requested columns that the table of distances has, for each animal; the deployments must have the others.

    Raises:
        InputError: neither has one of them, or a cell is empty.
    """
    found, others = read_columns(settings.file), read_columns(deployments)
    for name in settings.columns:
        if name not in (*found, *others):
            raise missing_column(name, [settings.file, deployments], (*found, *others))
    own = [rows[id(estimate)] for estimate in kept]
    return {
        name: [check_value(row.where, name, row.value_text(name)) for row in own]
        for name in settings.columns
        if name in found
    }


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
