"""Errors of the demo's distances, in metres, for all animals and for near and far ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter import metrics
from trapmeter.records import Estimate
from trapmeter.tables.truth import TruthRow, match_truth

FAR_M = 6.0
"""From this distance on an animal counts as far; one of the band edges of every report."""


@dataclass(frozen=True, slots=True)
class Score:
    """Mean absolute error (metres) of n rows; coverage: share (0..1) of true distances inside their 90 % interval."""

    n: int
    mae_m: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Of all animals, those nearer than FAR_M, and the others; None if there are none."""

    all: Score | None
    near: Score | None
    far: Score | None


def score(estimates: Sequence[Estimate], truth: Sequence[TruthRow]) -> Scores:
    """Scores of the estimates whose true distance is known; the others don't count.

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
    """Scores of always predicting the same distance, for the animals that the estimates measured; ignore their coverage."""
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
