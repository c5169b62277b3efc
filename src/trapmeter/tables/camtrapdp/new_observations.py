"""The observations of a new package, from the results of its media."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import uuid5

from trapmeter.records import Estimate, Status
from trapmeter.tables.camtrapdp.new_deployments import format_time
from trapmeter.tables.camtrapdp.observation_cells import (
    NAMESPACE,
    AgreedValues,
    new_row_cells,
    timestamp_at,
    unmeasured_row_cells,
)
from trapmeter.tables.camtrapdp.package import MediumRow
from trapmeter.tables.csvfile import to_cell
from trapmeter.tables.species_names import PERSON, is_animal, is_scientific

Cells = dict[str, str]
AnimalKey = tuple[bool, str, int]
_BOX = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")


def media_observations(
    estimates: Iterable[Estimate], media: Mapping[str, MediumRow], classified_at: str
) -> list[tuple[Estimate, Cells]]:
    """A row for each animal, person and vehicle at each second, and one for each medium without any.

    Boxes that probably show a thing have the type unknown and no position. A medium has the type blank if a detector found
    nothing in it, unclassified if a part of it is unknown.

    estimates: of media that have a time, sorted. media: by media_id.
    """
    by_medium: dict[str, list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        by_medium[estimate.observation.media_id].append(estimate)
    speeds = individual_speeds((row for rows in by_medium.values() for row in rows), media)
    rows: list[tuple[Estimate, Cells]] = []
    for media_id, of_medium in by_medium.items():
        seen = [row for row in of_medium if row.distance is not None or not is_animal(row.observation.species)]
        rows += [(row, _seen_cells(row, media[media_id], speeds, classified_at)) for row in seen]
        if not seen:
            rows.append((of_medium[0], _empty_cells(of_medium, media[media_id], classified_at)))
    return rows


def event_observations(rows: Sequence[tuple[Estimate, Cells]], media: Mapping[str, MediumRow]) -> list[Cells]:
    """A row for each animal of an event, at its first position; one for its people, its vehicles and so on; or a blank one.

    rows: of `media_observations`. Events last from their first medium to the last second of their last one.
    """
    events: dict[tuple[bool, str], list[tuple[Estimate, Cells]]] = defaultdict(list)
    for estimate, cells in rows:
        events[estimate.observation.event_key].append((estimate, cells))
    result = []
    for of_event in events.values():
        has_animals = any(cells["observationType"] == "animal" for _, cells in of_event)
        start = format_time(min(media[row.observation.media_id].time for row, _ in of_event))
        end = format_time(max(_time_of(row, media) for row, _ in of_event))
        first: dict[object, tuple[Estimate, Cells]] = {}
        for estimate, cells in sorted(of_event, key=lambda item: _time_of(item[0], media)):
            kind = cells["observationType"]
            if not has_animals or kind not in ("blank", "unclassified"):
                first.setdefault(estimate.observation.animal_key if kind == "animal" else kind, (estimate, cells))
        for key, (estimate, cells) in first.items():
            identity = json.dumps(["event", *estimate.observation.event_key, str(key)])
            result.append(
                {
                    **cells,
                    **dict.fromkeys(("mediaID", *_BOX), ""),
                    "observationID": str(uuid5(NAMESPACE, identity)),
                    "eventID": cells["eventID"] or cells["mediaID"],
                    "eventStart": start,
                    "eventEnd": max(start, end, key=datetime.fromisoformat),
                    "observationLevel": "event",
                }
            )
    return result


def individual_speeds(estimates: Iterable[Estimate], media: Mapping[str, MediumRow]) -> dict[AnimalKey, float]:
    """The mean speed of each followed animal in metres a second: from its first position to its last, over the time between.

    Animals with fewer than two positions, or with all at one time, are left out. The straight line is a lower bound for
    animals that turn; the sum of all steps would mostly add up the error of the distances.
    """
    tracks: dict[AnimalKey, list[tuple[datetime, float, float]]] = defaultdict(list)
    for row in estimates:
        if row.distance is None or row.angle_deg is None or not row.observation.animal_id or row.is_static:
            continue
        angle = math.radians(row.angle_deg)
        metres = row.distance.distance_m
        place = metres * math.sin(angle), metres * math.cos(angle)
        tracks[row.observation.animal_key].append((_time_of(row, media), *place))
    speeds = {}
    for key, track in tracks.items():
        (start, *first), (end, *last) = min(track), max(track)
        if end > start:
            speeds[key] = math.dist(first, last) / (end - start).total_seconds()
    return speeds


def _time_of(estimate: Estimate, media: Mapping[str, MediumRow]) -> datetime:
    return media[estimate.observation.media_id].time + timedelta(seconds=estimate.observation.time_s)


def _seen_cells(estimate: Estimate, medium: MediumRow, speeds: Mapping[AnimalKey, float], classified_at: str) -> Cells:
    observation = estimate.observation
    if not is_animal(observation.species):
        is_person = observation.species == PERSON
        cells = unmeasured_row_cells(medium, estimate, "human" if is_person else "vehicle", classified_at)
        return {**cells, "scientificName": PERSON if is_person else "", "count": "1"}
    cells = new_row_cells(medium, estimate, AgreedValues(), classified_at)
    if estimate.is_static:
        unknown = unmeasured_row_cells(medium, estimate, "unknown", classified_at)
        return {**unknown, "observationTags": cells["observationTags"], "observationComments": to_cell(estimate.reason)}
    speed = speeds.get(observation.animal_key)
    cells["individualSpeed"] = "" if speed is None else f"{speed:.2f}"
    if observation.species and not is_scientific(observation.species):
        cells["observationComments"] = to_cell(f"species: {observation.species}")
    return cells


def _empty_cells(estimates: Sequence[Estimate], medium: MediumRow, classified_at: str) -> Cells:
    """The row of a medium in which nothing was seen, up to its last known second."""
    is_blank = all(row.status in (Status.NO_ANIMAL, Status.PAST_END) for row in estimates)
    known_s = (row.observation.time_s for row in estimates if row.status is not Status.PAST_END)
    cells = unmeasured_row_cells(medium, estimates[0], "blank" if is_blank else "unclassified", classified_at)
    cells["eventStart"] = medium.row.raw("timestamp")
    cells["eventEnd"] = timestamp_at(cells["eventStart"], max(known_s, default=0.0))
    if not is_blank:
        cells |= dict.fromkeys(("classificationMethod", "classifiedBy", "classificationTimestamp"), "")
    return cells
