"""Reads a survey from a Camtrap DP data package.

Howe et al. (2017) count an animal at every snapshot in which it is seen. Observations of media are such snapshots where media
are an interval apart; from closer ones the first of each interval counts, with all animals at that moment. Observations of
events tell one distance for all the time that an animal stayed, and are taken where none of media have a distance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from trapmeter.density.detection.held_out_errors import exempt_known_distances
from trapmeter.density.detection.measurement_error import MeasurementError
from trapmeter.density.survey.effort import (
    EffortSettings,
    StationEffort,
    collect_areas,
    compute_effort,
    find_common_hours,
    read_effort,
)
from trapmeter.density.survey.species import ALL_SPECIES, check_species
from trapmeter.density.survey.survey import Survey
from trapmeter.errors import InputError
from trapmeter.tables.camtrapdp.observation_cells import is_measured_by_person
from trapmeter.tables.camtrapdp.package import ObservationRow, Package, read_package
from trapmeter.tables.deployments import deployment_from_row

ANIMAL = "animal"


@dataclass(frozen=True, slots=True, kw_only=True)
class CamtrapDpSettings(EffortSettings):
    """Who counts, and what stands in no package; see `DensitySettings` for the meaning of each."""

    species: str | None = None
    deployments: Path | None = None
    leave_out_tags: tuple[str, ...] = ()
    errors: MeasurementError | None = None


def read_camtrap_survey(path: Path, settings: CamtrapDpSettings) -> Survey:
    """Reads a package: its folder, zip archive or datapackage.json.

    Raises:
        InputError: a table is not what it should be, or nothing is left to estimate from.
    """
    package = read_package(path)
    notes: list[str] = []
    sites = _read_effort(package, settings, notes)
    kept = _select_level(_select_measured(package, settings, notes), notes)
    tags = {tag.casefold() for tag in settings.leave_out_tags}
    unknown = tags - {tag.casefold() for one in kept for tag in one.tags}
    if unknown:
        notes.append(
            f"no measured animal is tagged {', '.join(sorted(unknown))}, so that none was left out for it; check the spelling"
        )
    _note_left_out(
        f"tagged {', '.join(settings.leave_out_tags)}",
        kept,
        kept := [one for one in kept if not tags & {tag.casefold() for tag in one.tags}],
        notes,
    )
    place = {one.deployment_id: one.site_id for one in package.deployments}
    _note_left_out(
        "outside of deployments and hours", kept, kept := [one for one in kept if _is_on(one, place, sites)], notes
    )
    _note_left_out("within an interval of an earlier one", kept, kept := _keep_at_snapshots(kept, place, sites), notes)
    if not kept:
        raise InputError(
            f"{path} has no animal with an individualPositionRadius that counts; check species, tags, deployments and "
            "whether distances were measured"
        )
    counts = [one.count or 1 for one in kept]
    if max(counts) > 1:
        notes.append(
            f"{sum(count > 1 for count in counts):,} observations are of groups: each animal of a group counts, all at the "
            "group's one distance"
        )
    number = {site_id: index for index, site_id in enumerate(sites)}
    return Survey(
        stations=tuple(site.station for site in sites.values()),
        station=np.repeat(np.array([number[place[one.deployment_id]] for one in kept], np.intp), counts),
        distance_m=np.repeat(np.array([[one.radius_m] for one in kept], np.float64), counts, axis=0),
        areas=collect_areas(sites) if settings.has_strata else {},
        errors=exempt_known_distances(
            settings.errors, np.repeat([is_measured_by_person(one) for one in kept], counts).tolist(), notes
        ),
        hours=find_common_hours(sites, notes),
        notes=tuple(notes),
    )


def _read_effort(package: Package, settings: CamtrapDpSettings, notes: list[str]) -> dict[str, StationEffort]:
    if settings.deployments is None:
        return compute_effort([deployment_from_row(one) for one in package.deployments], settings)
    sites = read_effort(settings.deployments, settings, notes)
    for one in package.deployments:
        if one.site_id not in sites:
            raise InputError(
                f"{one.row.where}: {settings.deployments} has no deployment of {one.site_id!r}; there are "
                f"{', '.join(map(repr, list(sites)[:10]))}. Use the package's locationID as site_id"
            )
    return sites


def _select_measured(package: Package, settings: CamtrapDpSettings, notes: list[str]) -> list[ObservationRow]:
    """Observations of the species with a distance; how many have none is noted."""
    animals = [one for one in package.observations if one.kind == ANIMAL]
    with_radius = [one for one in animals if one.radius_m is not None]
    path = package.path / "observations"
    check_species(path, "scientificName", (one.species for one in with_radius), settings.species)
    is_any = settings.species in (None, ALL_SPECIES)
    kept = [one for one in with_radius if is_any or one.species == settings.species]
    n_all = sum(is_any or one.species == settings.species for one in animals)
    if n_all > len(kept):
        notes.append(
            f"{n_all - len(kept):,} of {n_all:,} animal observations have no individualPositionRadius and don't count: "
            "density is too low by them where they stand for animals that nobody measured"
        )
    return kept


def _select_level(measured: Sequence[ObservationRow], notes: list[str]) -> list[ObservationRow]:
    """Those of media, or where there are none those of events: both would count animals twice."""
    of_media = [one for one in measured if one.level == "media"]
    if not of_media and measured:
        notes.append(
            "distances are those of events, one for each: effort must count likewise, a snapshot for each time at which an "
            "event could have begun"
        )
        return list(measured)
    if len(of_media) < len(measured):
        notes.append(f"{len(measured) - len(of_media):,} observations of events left out: those of media tell the same")
    return of_media


def _is_on(one: ObservationRow, place: Mapping[str, str], sites: Mapping[str, StationEffort]) -> bool:
    return any(deployment.is_working_at(one.start) for deployment in sites[place[one.deployment_id]].deployments)


def _keep_at_snapshots(
    sightings: Sequence[ObservationRow], place: Mapping[str, str], sites: Mapping[str, StationEffort]
) -> list[ObservationRow]:
    """Those at moments an interval apart, each named individual once a moment, in time's order at each deployment.

    Of several media of one second, as of a burst, the first counts: they show the same animals.
    """
    by_deployment: dict[str, list[ObservationRow]] = defaultdict(list)
    for one in sightings:
        by_deployment[one.deployment_id].append(one)
    kept = []
    for deployment_id, rows in by_deployment.items():
        interval_s = sites[place[deployment_id]].snapshot_s
        moment: datetime | None = None
        media_id = ""
        seen: set[str] = set()
        for one in sorted(rows, key=lambda row: row.start):
            if moment is None or (one.start - moment).total_seconds() >= interval_s:
                moment, media_id, seen = one.start, one.media_id, set()
            if (one.start, one.media_id) != (moment, media_id) or one.individual_id in seen:
                continue
            kept.append(one)
            if one.individual_id:
                seen.add(one.individual_id)
    return kept


def _note_left_out(
    what: str, before: Sequence[ObservationRow], after: Sequence[ObservationRow], notes: list[str]
) -> None:
    if len(after) < len(before):
        notes.append(f"{len(before) - len(after):,} of {len(before):,} measured animals left out: {what}")
