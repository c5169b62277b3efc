"""Gives rows their time and event, and each animal one number through the photos of a sequence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import PurePosixPath
from typing import NamedTuple

from trapmeter.detect.photo_tracking import PHOTO_TRACKING, Sighting, follow_animals
from trapmeter.media.discovery import medium_kind
from trapmeter.prediction.clock_checks import find_mixed_sites
from trapmeter.prediction.estimates import BurstPlace
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.recording_times import TimeInputs
from trapmeter.prediction.sequences import MediaSequence, Span, find_sequences
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Box, Estimate, MediumKind, Observation, row_order
from trapmeter.tables.medium_times import MediumTime


@dataclass(frozen=True, slots=True)
class DatedRows:
    """The rows and the media of a run with their events, and notes for the user. sequences: those of several media."""

    estimates: list[Estimate]
    media: list[MediumTime]
    n_events: int = 0
    n_sequences: int = 0
    notes: tuple[str, ...] = ()


def assign_events(
    estimates: Sequence[Estimate],
    media: Sequence[MediumTime],
    results: Sequence[MediumResult],
    inputs: TimeInputs,
    settings: PredictSettings,
) -> DatedRows:
    """Rows with times, events and animal_ids that are unique within an event, in the usual order.

    A medium without a known time or site is an event of its own. If no medium has a time, nothing changes.
    """
    if not any(medium.taken_at for medium in media):
        return DatedRows(list(estimates), list(media))
    rows: dict[str, list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        rows[estimate.observation.media_id].append(estimate)
    # Boxes of leaves and stumps would join all events of a day.
    with_animals = {row.observation.media_id for row in estimates if row.distance is not None and not row.is_static}
    spans = _spans(media, results, with_animals, inputs)
    sequences = find_sequences(spans, settings.burst_gap_s, settings.independence_min * 60)
    event_of = {medium.media_id: medium.media_id for medium in media}
    numbers: dict[str, dict[int, int]] = {}
    n_animals: Counter[str] = Counter()
    for sequence in sequences:
        found = _follow(sequence, lambda media_id: _rows_in(rows.get(media_id, ())), settings.burst_gap_s)
        for span, of_medium in zip(sequence.spans, found, strict=True):
            event_of[span.media_id] = sequence.event_id
            numbers[span.media_id] = {old: new + n_animals[sequence.event_id] for old, new in of_medium.items()}
        n_animals[sequence.event_id] += max((new for of_medium in found for new in of_medium.values()), default=0)
    dated = [
        replace(estimate, observation=_dated(estimate.observation, medium.taken_at, event_of, numbers))
        for medium in media
        for estimate in rows[medium.media_id]
    ]
    events = {estimate.observation.event_id for estimate in dated if estimate.distance is not None}
    return DatedRows(
        sorted(mark_first_positions(dated), key=row_order),
        [replace(medium, event_id=event_of[medium.media_id]) for medium in media],
        len(events),
        sum(len(sequence.spans) > 1 for sequence in sequences),
        _notes(media, spans, settings),
    )


def find_bursts(
    media: Sequence[MediumTime], results: Sequence[MediumResult], inputs: TimeInputs, burst_gap_s: float
) -> dict[tuple[str, int], BurstPlace]:
    """The animals of all photos in bursts of several photos with animals, by media_id and animal_id.

    Videos are left out: their own seconds are enough.
    """
    photos = {
        result.media_id: result
        for result in results
        if medium_kind(PurePosixPath(result.media_id)) is MediumKind.PHOTO
        and any(second.boxes for second in result.seconds)
    }
    dated = [medium for medium in media if medium.media_id in photos]
    places: dict[tuple[str, int], BurstPlace] = {}
    for burst in find_sequences(_spans(dated, results, photos, inputs), burst_gap_s, burst_gap_s):
        if len(burst.spans) < 2:
            continue
        first = burst.spans[0]
        found = _follow(burst, lambda media_id: _boxes_in(photos[media_id]), burst_gap_s)
        for span, numbers in zip(burst.spans, found, strict=True):
            time_s = (span.start - first.start).total_seconds()
            for animal_id, number in numbers.items():
                places[span.media_id, animal_id] = BurstPlace(first.media_id, time_s, number)
    return places


def mark_first_positions(estimates: Iterable[Estimate]) -> list[Estimate]:
    """The rows, with the first position of each animal in its event marked; unchanged if they have no events."""
    estimates = list(estimates)
    if not any(estimate.observation.event_id for estimate in estimates):
        return estimates
    first: dict[tuple[bool, str, int], tuple[str, str, float]] = {}
    for estimate in estimates:
        row = estimate.observation
        if row.animal_id:
            first[row.animal_key] = min(first.get(row.animal_key, _moment(row)), _moment(row))
    return [
        replace(estimate, observation=replace(row, is_first=_moment(row) == first[row.animal_key]))
        if (row := estimate.observation).animal_id
        else replace(estimate, observation=replace(row, is_first=None))
        for estimate in estimates
    ]


def _moment(row: Observation) -> tuple[str, str, float]:
    return "" if row.taken_at is None else row.taken_at.isoformat(), row.media_id, row.time_s


def _dated(
    row: Observation, start: datetime | None, event_of: Mapping[str, str], numbers: Mapping[str, Mapping[int, int]]
) -> Observation:
    media_id = row.media_id
    animal_id = numbers.get(media_id, {}).get(row.animal_id, row.animal_id)
    taken_at = None if start is None else start + timedelta(seconds=row.time_s)
    return replace(row, taken_at=taken_at, event_id=event_of[media_id], animal_id=animal_id)


def _spans(
    media: Sequence[MediumTime],
    results: Sequence[MediumResult],
    with_animals: Collection[str],
    inputs: TimeInputs,
) -> list[Span]:
    cameras = {result.media_id: result.camera for result in results}
    lengths_s = {result.media_id: result.length_s or 0.0 for result in results}
    mixed = find_mixed_sites(media, cameras)
    spans = []
    for medium in media:
        media_id, site_id, start = medium.media_id, medium.site_id, medium.taken_at
        if not site_id or start is None:
            continue
        place = inputs.package_deployments.get(media_id) or inputs.stay_of(medium)
        camera = cameras.get(media_id, "") if site_id in mixed else ""
        has_animal = media_id in with_animals
        stream = site_id, place, camera, start.tzinfo is None
        event_id = inputs.events.get(media_id, "")
        spans.append(Span(media_id, site_id, place, stream, start, lengths_s.get(media_id, 0.0), has_animal, event_id))
    return spans


def _follow(
    sequence: MediaSequence, boxes_in: Callable[[str], Iterable[_BoxOfAnimal]], burst_gap_s: float
) -> list[dict[int, int]]:
    """The number in the sequence of each animal of each medium."""
    first = sequence.spans[0].start
    sightings = [((span.start - first).total_seconds(), _sightings(boxes_in(span.media_id))) for span in sequence.spans]
    # A photo without the animal may lie between.
    return follow_animals(sightings, replace(PHOTO_TRACKING, max_gap_s=max(2 * burst_gap_s, 1.0)))


class _BoxOfAnimal(NamedTuple):
    time_s: float
    animal_id: int
    box: Box
    species: str


def _rows_in(rows: Iterable[Estimate]) -> Iterator[_BoxOfAnimal]:
    for row in (estimate.observation for estimate in rows):
        if row.box is not None and row.animal_id:
            yield _BoxOfAnimal(row.time_s, row.animal_id, row.box, row.species)


def _boxes_in(result: MediumResult) -> Iterator[_BoxOfAnimal]:
    for second in result.seconds:
        for animal_id, box in zip(second.animal_ids, second.boxes, strict=True):
            if box is not None and animal_id:
                yield _BoxOfAnimal(second.time_s, animal_id, box, box.species)


def _sightings(boxes: Iterable[_BoxOfAnimal]) -> list[Sighting]:
    """The animals of a medium, from its boxes in order of time."""
    found: dict[int, Sighting] = {}
    for time_s, animal_id, box, species in boxes:
        first = found[animal_id].first if animal_id in found else box
        found[animal_id] = Sighting(animal_id, first, box, time_s, species)
    return list(found.values())


def _notes(media: Sequence[MediumTime], spans: Sequence[Span], settings: PredictSettings) -> tuple[str, ...]:
    notes = []
    n_without_site = sum(not medium.site_id and medium.taken_at is not None for medium in media)
    if n_without_site:
        notes.append(
            f"{n_without_site:,} media have a time but no site, so each is an event of its own; --site tells which camera "
            "took them"
        )
    by_site: dict[tuple[str, bool], list[Span]] = defaultdict(list)
    for span in spans:
        by_site[span.site_id, span.start.tzinfo is None].append(span)
    split = []
    for (site_id, _), unordered in by_site.items():
        ordered = sorted(unordered, key=lambda span: (span.start, span.media_id))
        pairs = pairwise(ordered)
        split += [
            f"{site_id} ({a.media_id} and {b.media_id})"
            for a, b in pairs
            if a.place != b.place and (b.start - a.end).total_seconds() <= settings.burst_gap_s
        ]
    if split:
        more = f" and {len(split) - 5:,} more" if len(split) > 5 else ""
        notes.append(
            f"photos within {settings.burst_gap_s:g} s belong to different deployments, so they count as different events: "
            f"{', '.join(split[:5])}{more}"
        )
    return tuple(notes)
