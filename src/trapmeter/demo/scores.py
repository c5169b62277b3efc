"""How far each way to a distance lies from the truth, over all animals, near ones and far ones. All in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter import metrics
from trapmeter.records import Estimate
from trapmeter.tables.truth import TruthRow, match_truth

FAR_M = 6.0
"""From here on an animal counts as far; an edge of the bands that every report uses."""


@dataclass(frozen=True, slots=True)
class Score:
    """Mean absolute error (metres) over n animals and seconds; coverage: share (0..1) of truths in their 90 % interval."""

    n: int
    mae_m: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Scores:
    """All animals, those nearer than FAR_M, and the others; None if there are none."""

    all: Score | None
    near: Score | None
    far: Score | None


def score(estimates: Sequence[Estimate], truth: Sequence[TruthRow]) -> Scores:
    """Scores of the estimates that belong to a known distance; the others don't count.

    Raises:
        InputError: a name is ambiguous between estimates and truth.
    """
    rows = [
        (estimate.distance.low_m, estimate.distance.distance_m, estimate.distance.high_m, row.distance_m)
        for estimate, row in match_truth(estimates, truth)
        if estimate.distance is not None
    ]
    return _scores(rows)


def score_constant(metres: float, estimates: Sequence[Estimate], truth: Sequence[TruthRow]) -> Scores:
    """Scores of one and the same distance for each animal that the estimates measured. Its coverage has no meaning."""
    return _scores([(metres, metres, metres, row.distance_m) for _, row in match_truth(estimates, truth)])


def _scores(rows: Sequence[tuple[float, float, float, float]]) -> Scores:
    near = [row for row in rows if row[3] < FAR_M]
    far = [row for row in rows if row[3] >= FAR_M]
    return Scores(_score(rows), _score(near), _score(far))


def _score(rows: Sequence[tuple[float, float, float, float]]) -> Score | None:
    if not rows:
        return None
    low, estimate, high, truth = np.array(rows).T
    return Score(len(rows), metrics.mae(estimate, truth), metrics.coverage(low, high, truth))
