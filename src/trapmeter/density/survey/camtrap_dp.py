"""Reads a survey from a Camtrap DP data package.

Howe et al. (2017) count an animal at every snapshot in which it is detected. Media-based observations are such snapshots if
media are at least an interval apart; of closer ones the first in each interval counts, with all animals at that time.
Event-based observations give one distance for an animal's whole stay; they count only if no media-based one has a distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.effort import (
    StationEffort,
    build_survey,
    check_has_deployment,
    compute_effort,
    keep_one_medium_per_interval,
    read_effort,
)
from trapmeter.density.survey.species import Filter, apply_filters, check_species, is_any_species, nothing_counts
from trapmeter.density.survey.survey import Survey
from trapmeter.tables.camtrapdp.observation_cells import is_measured_by_person
from trapmeter.tables.camtrapdp.package import ObservationRow, Package, read_package
from trapmeter.tables.deployments import deployment_from_row
from trapmeter.tables.times import TimeReader

ANIMAL = "animal"


def read_camtrap_survey(settings: DensitySettings) -> Survey:
    """Reads the package that `settings.file` names.

    Raises:
        InputError: a table is invalid, or no animal counts.
    """
    times = TimeReader(settings.timezone)
    package = read_package(settings.file, times)
    sites, effort_notes = _read_effort(package, settings, times)
    measured, measured_notes = _select_measured(package, settings.species)
    rows, level_notes = _select_level(measured)
    tags = {tag.casefold() for tag in settings.leave_out_tags}
    unknown = sorted(tags - {tag.casefold() for row in rows for tag in row.tags})
    tag_notes = [f"no measured animal has the tag {', '.join(unknown)}; check the spelling"] if unknown else []
    sites_of_deployments = {deployment.deployment_id: sites[deployment.site_id] for deployment in package.deployments}
    filters: list[Filter[ObservationRow]] = [
        (f"tagged {', '.join(settings.leave_out_tags)}", lambda rows: _drop_tagged(rows, tags)),
        ("outside deployments and hours", lambda rows: _keep_while_working(rows, sites_of_deployments)),
        ("within an interval of an earlier one", lambda rows: _keep_at_snapshots(rows, sites_of_deployments)),
    ]
    kept, filter_notes = apply_filters(rows, filters)
    if not kept:
        raise nothing_counts(settings.file, len(measured))
    # A group is one observation, but each of its animals counts.
    animals = [row for row in kept for _ in range(row.count or 1)]
    n_groups = sum((row.count or 1) > 1 for row in kept)
    group_note = f"{n_groups:,} observations are groups: each animal counts, at the one distance of its group"
    notes = (*package.notes, *effort_notes, *measured_notes, *level_notes, *tag_notes, *filter_notes)
    return build_survey(
        sites,
        [sites_of_deployments[row.deployment_id].station.station_id for row in animals],
        np.array([[row.radius_m] for row in animals], np.float64),
        is_by_person=[is_measured_by_person(row) for row in animals],
        settings=settings,
        notes=(*notes, group_note) if n_groups else notes,
    )


def _read_effort(
    package: Package, settings: DensitySettings, times: TimeReader
) -> tuple[dict[str, StationEffort], tuple[str, ...]]:
    if settings.deployments is None:
        deployments = [deployment_from_row(row, times.zone) for row in package.deployments]
        return compute_effort(deployments, settings), ()
    sites, notes = read_effort(settings.deployments, settings, times)
    for row in package.deployments:
        check_has_deployment(
            row.site_id,
            sites,
            where=row.row.where,
            deployments=settings.deployments,
            advice="Use the package's locationID as site_id",
        )
    return sites, notes


def _select_measured(package: Package, species: str | None) -> tuple[list[ObservationRow], tuple[str, ...]]:
    """Observations of the species with a distance, and a note on how many have none."""
    animals = [row for row in package.observations if row.kind == ANIMAL]
    detected = (row.species for row in animals if row.radius_m is not None)
    check_species(package.path / "observations", "scientificName", detected, species)
    requested = [row for row in animals if is_any_species(species) or row.species == species]
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


def _keep_while_working(rows: Sequence[ObservationRow], sites: Mapping[str, StationEffort]) -> list[ObservationRow]:
    return [row for row in rows if sites[row.deployment_id].works_at(row.start)]


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
