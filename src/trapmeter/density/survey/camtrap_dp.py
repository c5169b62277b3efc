"""Reads a survey from a Camtrap DP data package.

Howe et al. (2017) count an animal at every snapshot in which it is detected. Media-based observations are such snapshots if
media are at least an interval apart; of closer ones the first in each interval counts, with all animals at that time. Without
an interval, the effort of photographs follows from their triggers (`photographs`).
Event-based observations give one distance for an animal's whole stay; they count only if no media-based one has a distance.
An observation with a count above 1 is a group at one distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.columns import check_value, missing_column
from trapmeter.density.survey.effort import (
    StationEffort,
    build_survey,
    check_has_deployment,
    compute_effort,
    keep_one_medium_per_interval,
    read_periods,
    without_known_gaps,
)
from trapmeter.density.survey.photographs import WeighedPhotographs, counts_triggers, in_seconds, weigh_photographs
from trapmeter.density.survey.silence import SilenceRule, judge_silence
from trapmeter.density.survey.species import (
    SPECIES_COLUMN,
    Filter,
    apply_filters,
    check_species,
    is_requested,
    nothing_counts,
)
from trapmeter.density.survey.survey import Survey
from trapmeter.errors import InputError
from trapmeter.records import MediumKind
from trapmeter.tables.camtrapdp.observation_cells import is_measured_by_person
from trapmeter.tables.camtrapdp.package import ObservationRow, Package, read_package
from trapmeter.tables.deployments import Deployment, deployment_from_row
from trapmeter.tables.flatfile import SIZE_COLUMN
from trapmeter.tables.times import TimeReader

ANIMAL = "animal"
_OWN_NAMES = {SPECIES_COLUMN: "scientificName", SIZE_COLUMN: "count"}
"""Columns of observations by the names of other tables."""


def read_camtrap_survey(settings: DensitySettings) -> Survey:
    """Reads the package that `settings.file` names.

    Raises:
        InputError: a table is invalid, photographs contradict their burst, or no animal counts.
    """
    times = TimeReader(settings.timezone)
    package = read_package(settings.file, times)
    is_photos = {row.kind for row in package.media if row.kind} == {MediumKind.PHOTO}
    deployments, effort_notes = _read_deployments(package, settings, times, is_photos=is_photos)
    is_triggered = counts_triggers(settings, deployments, is_photos=is_photos)
    if is_triggered:
        deployments, interval_notes = in_seconds(deployments)
        effort_notes = (*effort_notes, *interval_notes)
    sites = compute_effort(deployments, settings)
    measured, measured_notes = _select_measured(package, settings.requested_species)
    rows, level_notes = _select_level(measured)
    if is_triggered:
        _check_photographs(package, rows, is_photos=is_photos)
    tags = {tag.casefold() for tag in settings.leave_out_tags}
    unknown = sorted(tags - {tag.casefold() for row in rows for tag in row.tags})
    tag_notes = [f"no measured animal has the tag {', '.join(unknown)}; check the spelling"] if unknown else []
    sites_of_deployments = {deployment.deployment_id: sites[deployment.site_id] for deployment in package.deployments}
    taken = {row.media_id: row.time for row in package.media}
    filters: list[Filter[ObservationRow]] = [
        (f"tagged {', '.join(settings.leave_out_tags)}", lambda rows: _drop_tagged(rows, tags)),
        (
            "outside deployments and hours",
            lambda rows: _keep_while_working(rows, sites_of_deployments, taken if is_triggered else {}),
        ),
    ]
    if not is_triggered:
        filters.append(
            ("within an interval of an earlier one", lambda rows: _keep_at_snapshots(rows, sites_of_deployments))
        )
    kept, filter_notes = apply_filters(rows, filters)
    if not kept:
        raise nothing_counts(settings.file, len(measured))
    notes = (*package.notes, *effort_notes, *measured_notes, *level_notes, *tag_notes, *filter_notes)
    station_ids = [sites_of_deployments[row.deployment_id].station.station_id for row in kept]
    weighed = _weigh(package, kept, station_ids, sites, settings) if is_triggered else None
    return build_survey(
        weighed.sites if weighed else sites,
        station_ids,
        np.array([[row.radius_m] for row in kept], np.float64),
        is_by_person=[is_measured_by_person(row) for row in kept],
        settings=settings,
        notes=(*notes, *(weighed.notes if weighed else ())),
        weight=weighed.weight if weighed else None,
        basis=weighed.basis if weighed else "",
        observed=_observed_columns(kept, sites, settings),
        sizes=np.array([row.count or 1 for row in kept], np.float64),
    )


def _observed_columns(
    kept: Sequence[ObservationRow], sites: Mapping[str, StationEffort], settings: DensitySettings
) -> dict[str, list[str]]:
    """The requested columns of observations by name; `species` and `size` stand for scientificName and count.

    Raises:
        InputError: neither observations nor deployments have one of them, or a cell is empty.
    """
    of_observations = kept[0].row.cells.keys() | _OWN_NAMES.keys()
    of_deployments = next(iter(sites.values())).deployments[0].row.cells.keys()
    observed = {}
    for name in settings.columns:
        if name in of_observations:
            column = _OWN_NAMES.get(name, name)
            texts = [row.row.value_text(column) or ("1" if column == "count" else "") for row in kept]
            observed[name] = [check_value(row.where, column, text) for row, text in zip(kept, texts, strict=True)]
        elif name not in of_deployments:
            raise missing_column(name, [settings.file], sorted(of_observations | of_deployments))
    return observed


def _read_deployments(
    package: Package, settings: DensitySettings, times: TimeReader, *, is_photos: bool
) -> tuple[list[Deployment], tuple[str, ...]]:
    """The deployments without the times in which cameras had stopped, and notes."""
    if settings.deployments is None:
        deployments = [deployment_from_row(row, times.zone) for row in package.deployments]
        notes: tuple[str, ...] = ()
    else:
        deployments, notes = read_periods(settings.deployments, settings, times)
        by_site = {deployment.site_id: deployment for deployment in deployments}
        for row in package.deployments:
            check_has_deployment(
                row.site_id,
                by_site,
                where=row.row.where,
                deployments=settings.deployments,
                advice="Use the package's locationID as site_id",
            )
    deployments, gap_notes = without_known_gaps(deployments, settings, times)
    notes = (*notes, *gap_notes)
    media = _media_by_site(package)
    if not media:
        return deployments, notes
    taken = {site_id: list(of_site.values()) for site_id, of_site in media.items()}
    sites = {row.deployment_id: row.site_id for row in package.deployments}
    for observation in package.observations:  # those of events are of media that a package may leave out
        taken.setdefault(sites[observation.deployment_id], []).append(observation.start)
    rule = settings.silence or SilenceRule.CLEAR
    deployments, silence_notes = judge_silence(
        deployments, taken, rule, snapshot_s=settings.snapshot_s, is_photos=is_photos
    )
    return deployments, (*notes, *silence_notes)


def _media_by_site(package: Package) -> dict[str, dict[str, datetime]]:
    """When the media of each site were taken, by their ids."""
    sites = {row.deployment_id: row.site_id for row in package.deployments}
    media: dict[str, dict[str, datetime]] = {}
    for row in package.media:
        if row.kind is not None:
            media.setdefault(sites[row.deployment_id], {})[row.media_id] = row.time
    return media


def _check_photographs(package: Package, rows: Sequence[ObservationRow], *, is_photos: bool) -> None:
    """Raises InputError unless each measured animal is on a photograph of the package."""
    if not is_photos:
        raise InputError(
            f"{package.path}: its media are not photographs alone, and --burst and --retrigger are for photographs; leave "
            "them out and give the snapshot interval"
        )
    media_ids = {row.media_id for row in package.media}
    other = next((row for row in rows if row.media_id not in media_ids), None)
    if other is not None:
        raise InputError(
            f"{other.where}: expected the mediaID of a photograph, got {other.media_id!r}; the effort of motion-triggered "
            "photographs needs media-based observations. Give a snapshot interval (--snapshot) for those of events"
        )


def _weigh(
    package: Package,
    animals: Sequence[ObservationRow],
    station_ids: Sequence[str],
    sites: Mapping[str, StationEffort],
    settings: DensitySettings,
) -> WeighedPhotographs:
    names = [(site_id, row.media_id) for site_id, row in zip(station_ids, animals, strict=True)]
    return weigh_photographs(sites, _media_by_site(package), names, settings)


def _select_measured(package: Package, species: str | None) -> tuple[list[ObservationRow], tuple[str, ...]]:
    """Observations of the species with a distance, and a note on how many have none."""
    animals = [row for row in package.observations if row.kind == ANIMAL]
    detected = (row.species for row in animals if row.radius_m is not None)
    check_species(package.path / "observations", "scientificName", detected, species)
    requested = [row for row in animals if is_requested(row.species, species)]
    measured = [row for row in requested if row.radius_m is not None]
    if len(measured) == len(requested):
        return measured, ()
    return measured, (
        f"{len(requested) - len(measured):,} of {len(requested):,} animal observations have no individualPositionRadius and "
        "don't count: density is too low if they are animals that nobody measured",
    )


def _select_level(measured: Sequence[ObservationRow]) -> tuple[list[ObservationRow], tuple[str, ...]]:
    """Media-based observations, or event-based ones if there are no others, and notes. Both would count animals twice."""
    media_based = [row for row in measured if row.level == "media"]
    if not media_based and measured:
        return list(measured), (
            "distances are event-based, one per event: effort must count likewise, a snapshot for each time at which an "
            "event could have begun",
        )
    n_events = len(measured) - len(media_based)
    note = f"{n_events:,} event-based observations left out, which repeat the media-based ones"
    return media_based, (note,) if n_events else ()


def _drop_tagged(rows: Sequence[ObservationRow], tags: set[str]) -> list[ObservationRow]:
    return [row for row in rows if not tags & {tag.casefold() for tag in row.tags}]


def _keep_while_working(
    rows: Sequence[ObservationRow], sites: Mapping[str, StationEffort], taken: Mapping[str, datetime]
) -> list[ObservationRow]:
    """The rows while cameras worked. sites: by deployment. taken: when media were taken; else the row's own time counts."""
    return [row for row in rows if sites[row.deployment_id].works_at(taken.get(row.media_id, row.start))]


def _keep_at_snapshots(rows: Sequence[ObservationRow], sites: Mapping[str, StationEffort]) -> list[ObservationRow]:
    """The observations of one medium in each snapshot interval, each named individual once. sites: by deployment."""
    kept = keep_one_medium_per_interval(
        rows, lambda row: (row.deployment_id, row.start, row.media_id), lambda name: sites[name].snapshot_s
    )
    counted: set[tuple[str, datetime, str]] = set()
    unique = []
    for row in kept:
        individual = row.deployment_id, row.start, row.individual_id
        if not row.individual_id or individual not in counted:
            unique.append(row)
            counted.add(individual)
    return unique
