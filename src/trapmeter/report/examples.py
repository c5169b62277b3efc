"""Chooses the example seconds that the report shows: the most doubtful, and others from near to far."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter.records import Distance, Estimate
from trapmeter.report.words import counted, seconds_text

N_DOUBTFUL = 24
N_OTHERS = 12
MAX_PER_MEDIUM = 3
"""More seconds of one medium are shown only if there are too few media to fill the sheet."""
MAX_CAPTION_ANIMALS = 4
"""A caption lists the distances of this many animals; the labels in the picture show all."""


@dataclass(frozen=True, slots=True)
class ExampleSecond:
    """A second of a medium and all animals measured in it, the nearest first.

    ways: where each of them stood in the photos of its sequence up to this one, as fractions of the picture; () elsewhere.
    """

    media_id: str
    time_s: float
    site_id: str
    animals: tuple[Estimate, ...]
    ways: tuple[tuple[tuple[float, float], ...], ...] = ()

    @property
    def key(self) -> tuple[str, float]:
        """The medium and the time: no two seconds share both."""
        return self.media_id, self.time_s

    @property
    def nearest_m(self) -> float:
        """The distance of the nearest animal (metres)."""
        return _measured_distance(self.animals[0]).distance_m

    @property
    def doubt_reason(self) -> str:
        """Why the second is doubtful: the reasons given in its rows, or else a wide interval."""
        reasons = dict.fromkeys(animal.doubts for animal in self.animals if animal.doubts)
        return "; ".join(reasons) or "wide interval"

    @property
    def caption(self) -> str:
        """The distances in the picture; a long list is cut short."""
        listed = [_distance_text(animal) for animal in self.animals[:MAX_CAPTION_ANIMALS]]
        n_more = len(self.animals) - len(listed)
        return ", ".join(listed) + (f" and {n_more} more" if n_more else "")

    @property
    def alt_text(self) -> str:
        """Describes the picture for those who can't see it."""
        n = counted(len(self.animals), "animal", "animals")
        distances = ", ".join(map(_distance_text, self.animals))
        return f"{self.media_id} at {seconds_text(self.time_s)} s with {n} marked: {distances}"


def doubt_key(animals: Sequence[Estimate]) -> tuple[bool, float]:
    """How doubtful one or several measured rows are: a key to sort by, larger for more doubtful rows.

    Rows with a reason (a box unlike the training boxes, a damaged picture) are the most doubtful; what a reviewer noted is no
    reason. Among equals, the row with the widest interval is. The detector's score plays no part: it says whether there is an
    animal, not how far away it is.
    """
    return (
        any(animal.doubts for animal in animals),
        max(log_interval_width(_measured_distance(animal)) for animal in animals),
    )


def log_interval_width(distance: Distance) -> float:
    """The width of the 90 % interval in log(1 + metres), where errors have about one size near and far."""
    return math.log1p(distance.high_m) - math.log1p(distance.low_m)


def measured_seconds(estimates: Sequence[Estimate]) -> list[ExampleSecond]:
    """All seconds with measured animals, sorted by media_id and time; the order of the rows doesn't matter."""
    by_second: dict[tuple[str, float], list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        if estimate.distance is not None:
            by_second[estimate.observation.media_id, estimate.observation.time_s].append(estimate)
    return [
        ExampleSecond(media_id, time_s, rows[0].observation.site_id, tuple(sorted(rows, key=_nearest_first)))
        for (media_id, time_s), rows in sorted(by_second.items())
    ]


def pick_varied(seconds: Sequence[ExampleSecond], n: int) -> list[ExampleSecond]:
    """Up to n seconds that show many media, sites and distances, from near to far.

    Each pick comes from the medium picked least often, then from the site picked least often, and lies as far as possible in
    distance from the earlier picks. No medium gives more than MAX_PER_MEDIUM or, where media are few, its share of n.
    """
    if not seconds:
        return []
    media, medium_of = np.unique([second.media_id for second in seconds], return_inverse=True)
    sites, site_of = np.unique([second.site_id for second in seconds], return_inverse=True)
    limit = _limit_per_medium(len(media), n)
    n_of_medium, n_of_site = np.zeros(len(media), dtype=int), np.zeros(len(sites), dtype=int)
    nearest_m = np.array([second.nearest_m for second in seconds])
    gap_m = np.full(len(seconds), np.inf)
    is_free = np.ones(len(seconds), dtype=bool)
    picked: list[ExampleSecond] = []
    while len(picked) < n and is_free.any():
        free = np.flatnonzero(is_free)
        free = free[n_of_medium[medium_of[free]] == n_of_medium[medium_of[free]].min()]
        free = free[n_of_site[site_of[free]] == n_of_site[site_of[free]].min()]
        best = int(free[np.argmax(gap_m[free])])
        if n_of_medium[medium_of[best]] >= limit:
            break
        picked.append(seconds[best])
        n_of_medium[medium_of[best]] += 1
        n_of_site[site_of[best]] += 1
        is_free[best] = False
        gap_m = np.minimum(gap_m, np.abs(nearest_m - nearest_m[best]))
    return sorted(picked, key=lambda second: (second.nearest_m, *second.key))


def most_doubtful(seconds: Sequence[ExampleSecond], n: int) -> list[ExampleSecond]:
    """The n seconds that most need checking, the most doubtful first by `doubt_key`, equal ones in the given order.

    A medium gives as many as in `pick_varied`.
    """
    limit = _limit_per_medium(len({second.media_id for second in seconds}), n)
    n_of_medium: Counter[str] = Counter()
    picked: list[ExampleSecond] = []
    for second in sorted(seconds, key=lambda second: doubt_key(second.animals), reverse=True):
        if len(picked) < n and n_of_medium[second.media_id] < limit:
            n_of_medium[second.media_id] += 1
            picked.append(second)
    return picked


def choose_examples(estimates: Sequence[Estimate]) -> tuple[list[ExampleSecond], list[ExampleSecond]]:
    """The most doubtful seconds, and some of the others from near to far; no second is in both lists."""
    seconds = measured_seconds(estimates)
    doubtful = most_doubtful(seconds, N_DOUBTFUL)
    shown = {second.key for second in doubtful}
    return doubtful, pick_varied([second for second in seconds if second.key not in shown], N_OTHERS)


def _limit_per_medium(n_media: int, n: int) -> int:
    return max(MAX_PER_MEDIUM, math.ceil(n / max(1, n_media)))


def _measured_distance(estimate: Estimate) -> Distance:
    assert estimate.distance is not None, "example seconds hold measured rows"
    return estimate.distance


def _distance_text(animal: Estimate) -> str:
    """A distance and its interval, such as "4.2 m (3.1–5.9)"."""
    d = _measured_distance(animal)
    return f"{d.distance_m:.1f} m ({d.low_m:.1f}–{d.high_m:.1f})"


def _nearest_first(estimate: Estimate) -> tuple[float, int]:
    return _measured_distance(estimate).distance_m, estimate.observation.animal_id
