"""Chooses the sequences of photos that the report shows, with the way of each animal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trapmeter.records import Box, Estimate
from trapmeter.report.examples import ExampleSecond, measured_seconds

N_SEQUENCES = 4
MAX_PHOTOS = 4
"""Of longer sequences, photos are chosen evenly; the way of an animal shows all of them."""


@dataclass(frozen=True, slots=True)
class ExampleSequence:
    """Photos and videos of an event in order of time, each by its first second with an animal."""

    event_id: str
    n_media: int
    seconds: tuple[ExampleSecond, ...]

    @property
    def caption(self) -> str:
        """The distances of each animal from picture to picture."""
        metres: dict[int, list[str]] = defaultdict(list)
        for second in self.seconds:
            for animal in second.animals:
                metres[animal.observation.animal_id].append(f"{animal.measured_distance.distance_m:.1f}")
        return "; ".join(f"animal {number}: {', '.join(found)} m" for number, found in sorted(metres.items()))


def choose_sequences(estimates: Sequence[Estimate]) -> list[ExampleSequence]:
    """The events in which an animal was followed through most media, at most one of each site while there are others."""
    events: dict[str, dict[str, ExampleSecond]] = defaultdict(dict)
    for second in measured_seconds([row for row in estimates if row.observation.event_id and not row.is_static]):
        events[second.animals[0].observation.event_id].setdefault(second.media_id, second)
    found = [
        (event_id, sorted(seconds.values(), key=_time))
        for event_id, seconds in sorted(events.items())
        if _longest_way(seconds.values()) > 1
    ]
    found.sort(key=lambda event: -_longest_way(event[1]))
    n_before: dict[str, int] = defaultdict(int)
    ranked = []
    for rank, (event_id, seconds) in enumerate(found):
        ranked.append((n_before[seconds[0].site_id], rank, event_id, seconds))
        n_before[seconds[0].site_id] += 1
    return [_example(event_id, seconds) for _, _, event_id, seconds in sorted(ranked)[:N_SEQUENCES]]


def _example(event_id: str, seconds: Sequence[ExampleSecond]) -> ExampleSequence:
    """The photos to show, each with the way of its animals up to then."""
    feet: dict[int, list[tuple[float, float]]] = defaultdict(list)
    with_ways = []
    for second in seconds:
        for animal in second.animals:
            if animal.observation.box is not None:
                feet[animal.observation.animal_id].append(_foot(animal.observation.box))
        ways = tuple(tuple(feet[animal.observation.animal_id]) for animal in second.animals)
        with_ways.append(replace(second, ways=ways))
    n_shown = min(MAX_PHOTOS, len(seconds))
    shown = np.linspace(0, len(seconds) - 1, n_shown).round().astype(int).tolist()
    return ExampleSequence(event_id, len(seconds), tuple(with_ways[number] for number in shown))


def _longest_way(seconds: Iterable[ExampleSecond]) -> int:
    """In how many media the animal that was followed longest was seen."""
    counts: dict[int, int] = defaultdict(int)
    for second in seconds:
        for animal in second.animals:
            counts[animal.observation.animal_id] += animal.observation.box is not None
    return max(counts.values(), default=0)


def _foot(box: Box) -> tuple[float, float]:
    return (box.x1 + box.x2) / 2, box.y2


def _time(second: ExampleSecond) -> tuple[str, str]:
    taken_at = second.animals[0].observation.taken_at
    return "" if taken_at is None else taken_at.isoformat(), second.media_id
