"""Chooses the example seconds that the report shows: the most doubtful, and others from near to far."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter.records import Distance, Estimate

N_DOUBTFUL = 24
N_OTHERS = 12
MAX_PER_MEDIUM = 3
"""More of one medium are shown only where there are too few media to fill the sheet."""


@dataclass(frozen=True, slots=True)
class ExampleSecond:
    """A second of a medium and all animals that were measured in it, the nearest first."""

    media_id: str
    time_s: float
    site_id: str
    animals: tuple[Estimate, ...]

    @property
    def nearest_m(self) -> float:
        """The distance of the nearest animal (metres)."""
        return _nearest_first(self.animals[0])[0]


def measured_seconds(estimates: Sequence[Estimate]) -> list[ExampleSecond]:
    """All seconds with measured animals, in the order of media_id and time, whatever the order of the rows."""
    found: dict[tuple[str, float], list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        if estimate.distance is not None:
            found[estimate.observation.media_id, estimate.observation.time_s].append(estimate)
    return [
        ExampleSecond(media_id, time_s, rows[0].observation.site_id, tuple(sorted(rows, key=_nearest_first)))
        for (media_id, time_s), rows in sorted(found.items())
    ]


def pick_varied(left: Sequence[ExampleSecond], n: int) -> list[ExampleSecond]:
    """Up to n moments that show many media, sites and distances; from near to far.

    Each next one is of the medium that was chosen least often, then of the site chosen least often, then as far as possible
    in distance from those chosen. No medium gives more than MAX_OF_A_MEDIUM, or than its share of n where media are few.
    """
    if not left:
        return []
    media, medium_of = np.unique([moment.media_id for moment in left], return_inverse=True)
    sites, site_of = np.unique([moment.site_id for moment in left], return_inverse=True)
    limit = max(MAX_PER_MEDIUM, math.ceil(n / len(media)))
    n_of_medium, n_of_site = np.zeros(len(media), dtype=int), np.zeros(len(sites), dtype=int)
    nearest_m = np.array([moment.nearest_m for moment in left])
    gap_m = np.full(len(left), np.inf)
    is_free = np.ones(len(left), dtype=bool)
    chosen: list[ExampleSecond] = []
    while len(chosen) < n and is_free.any():
        free = np.flatnonzero(is_free)
        free = free[n_of_medium[medium_of[free]] == n_of_medium[medium_of[free]].min()]
        free = free[n_of_site[site_of[free]] == n_of_site[site_of[free]].min()]
        best = int(free[np.argmax(gap_m[free])])
        if n_of_medium[medium_of[best]] >= limit:
            break
        chosen.append(left[best])
        n_of_medium[medium_of[best]] += 1
        n_of_site[site_of[best]] += 1
        is_free[best] = False
        gap_m = np.minimum(gap_m, np.abs(nearest_m - nearest_m[best]))
    return sorted(chosen, key=lambda moment: (moment.nearest_m, moment.media_id, moment.time_s))


def most_doubtful(every: Sequence[ExampleSecond], n: int) -> list[ExampleSecond]:
    """The n moments that most need a look, the most doubtful first.

    Those with a reason written beside a distance come first (a box unlike the training's, a damaged picture), then those
    with the widest interval, told in log(1 + metres), in which errors are of about one size. A medium gives no more than
    in `pick_varied`.
    """
    limit = max(MAX_PER_MEDIUM, math.ceil(n / max(1, len({moment.media_id for moment in every}))))
    n_of: Counter[str] = Counter()
    chosen: list[ExampleSecond] = []
    for moment in sorted(every, key=_doubt_order):
        if len(chosen) < n and n_of[moment.media_id] < limit:
            n_of[moment.media_id] += 1
            chosen.append(moment)
    return chosen


def choose_examples(estimates: Sequence[Estimate]) -> tuple[list[ExampleSecond], list[ExampleSecond]]:
    """The most doubtful moments, and some of the others from near to far; no moment is in both."""
    every = measured_seconds(estimates)
    doubtful = most_doubtful(every, N_DOUBTFUL)
    taken = {(moment.media_id, moment.time_s) for moment in doubtful}
    return doubtful, pick_varied([one for one in every if (one.media_id, one.time_s) not in taken], N_OTHERS)


def doubt_reason(moment: ExampleSecond) -> str:
    """What is doubtful about it: the reasons beside its distances, else that an interval is wide."""
    reasons = dict.fromkeys(animal.doubts for animal in moment.animals if animal.doubts)
    return "; ".join(reasons) or "wide interval"


def log_interval_width(distance: Distance) -> float:
    """How wide an interval is, in log(1 + metres)."""
    return math.log1p(distance.high_m) - math.log1p(distance.low_m)


def _doubt_order(moment: ExampleSecond) -> tuple[bool, float, str, float]:
    """Sorts the most doubtful first."""
    has_reason = any(animal.doubts for animal in moment.animals)
    width = max(log_interval_width(_known(animal)) for animal in moment.animals)
    return not has_reason, -width, moment.media_id, moment.time_s


def _known(estimate: Estimate) -> Distance:
    assert estimate.distance is not None, "moments hold measured rows"
    return estimate.distance


def _nearest_first(estimate: Estimate) -> tuple[float, int]:
    return _known(estimate).distance_m, estimate.observation.animal_id
