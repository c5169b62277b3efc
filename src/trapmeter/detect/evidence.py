"""How likely a candidate shows an animal: from both looks, from movement, and from the seconds before and after.

Two logistic rules, learned by `benchmarks/learn_evidence.py` on rendered videos. The first judges a candidate alone. The
second adds whether likely candidates continue it in the neighbouring seconds, whether the same place has a box all the time,
and whether a likelier box covers it. So a doubtful box that continues a track counts, and one in which nothing moves doesn't.
The size of a box is no feature: it would teach the rules how large rendered animals are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.detect.candidates import Candidate
from trapmeter.detect.tracking import TrackSettings, match_costs
from trapmeter.geometry import iou

WEIGHTS = Path(__file__).parent / "embedded" / "evidence.json"
LEAST_PROBABILITY, MOST_PROBABILITY = 0.003, 0.997
"""Limits of the scores' and likelihoods' log odds."""
NEIGHBOURS = 2
"""How many pictures before and after a candidate are searched for ones that continue it."""
STILL_IOU = 0.7
"""Overlap from which a candidate of another second is in the same place."""

CandidateSecond = tuple[float, Sequence[Candidate]]
"""time_s, and the candidates of that second."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A logistic rule: the log odds are intercept plus the sum of weights times features."""

    intercept: float
    weights: tuple[float, ...]

    def likelihood(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The likelihood (n) of n x features."""
        odds = self.intercept + features @ np.array(self.weights)
        likelihood: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0)))
        return likelihood


@dataclass(frozen=True, slots=True)
class Evidence:
    """Both rules, and the likelihoods from which candidates count as animals.

    least: for one that doesn't reach the threshold of scores on its own, at the default threshold; least_own: for one that
    does, since nothing moves in a thing that the detector takes for an animal.
    """

    alone: Rule
    in_context: Rule
    least: float
    least_own: float

    def likelihoods(self, seconds: Sequence[CandidateSecond]) -> list[NDArray[np.float64]]:
        """How likely each candidate of each second (times ascending) shows an animal, 0..1."""
        alone = [self.alone.likelihood(features_alone(candidates)) for _, candidates in seconds]
        contexts = features_in_context(seconds, alone)
        return [self.in_context.likelihood(features) for features in contexts]


@cache
def embedded_evidence() -> Evidence:
    """The rules that come with the package."""
    content: dict[str, Any] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    rules = [Rule(content[name]["intercept"], tuple(content[name]["weights"])) for name in ("alone", "in_context")]
    return Evidence(rules[0], rules[1], content["least"], content["least_own"])


def log_odds(probability: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """ln(p / (1 - p)), with p kept within LEAST_PROBABILITY and MOST_PROBABILITY."""
    kept = np.clip(np.asarray(probability, np.float64), LEAST_PROBABILITY, MOST_PROBABILITY)
    odds: NDArray[np.float64] = np.log(kept / (1.0 - kept))
    return odds


ALONE = ("first score", "second score", "moving", "moving around", "moving x second score")


def features_alone(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """The features ALONE of each candidate: n x 5."""
    rows = np.zeros((len(candidates), len(ALONE)))
    for i, candidate in enumerate(candidates):
        first, second = (0.0 if found is None else found.score for found in (candidate.first, candidate.second))
        rows[i] = (
            log_odds(first),
            log_odds(second),
            np.sqrt(candidate.moving),
            np.sqrt(candidate.moving_around),
            candidate.moving * np.tanh(log_odds(second) / 2),
        )
    return rows


IN_CONTEXT = (
    "alone",
    "likelier neighbour",
    "less likely neighbour",
    "later or earlier neighbour",
    "still",
    "still x moving",
    "covered",
)


def features_in_context(
    seconds: Sequence[CandidateSecond], alone: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """The features IN_CONTEXT of each second's candidates: n x 7 each. alone: their likelihoods by themselves."""
    corners = [np.array([c.likelier.xyxy for c in candidates]).reshape(-1, 4) for _, candidates in seconds]
    times_s = [time_s for time_s, _ in seconds]
    features = []
    for i, (_, candidates) in enumerate(seconds):
        support = np.zeros((2 * NEIGHBOURS, len(candidates)))
        for k, step in enumerate((-1, 1, -2, 2)):
            if candidates and 0 <= i + step < len(seconds):
                gap_s = abs(times_s[i + step] - times_s[i])
                support[k] = _support(corners[i], corners[i + step], alone[i + step], gap_s)
        still = _still_share(corners, i)
        moving = np.sqrt(np.array([candidate.moving for candidate in candidates]))
        columns = (
            log_odds(alone[i]),
            support[:2].max(axis=0),
            support[:2].min(axis=0),
            support[2:].max(axis=0),
            still,
            still * moving,
            _covered(corners[i], alone[i]),
        )
        features.append(np.stack(columns, axis=1))
    return features


def _support(
    boxes: NDArray[np.float64], others: NDArray[np.float64], likelihood: NDArray[np.float64], gap_s: float
) -> NDArray[np.float64]:
    """The best likelihood of a box of another second that continues each box (n), less for one that fits worse."""
    if not len(others):
        return np.zeros(len(boxes))
    cost, possible = match_costs(boxes, others, np.full(len(boxes), gap_s), TrackSettings())
    best: NDArray[np.float64] = np.where(possible, np.exp(-cost) * likelihood, 0.0).max(axis=1)
    return best


def _still_share(corners: Sequence[NDArray[np.float64]], i: int) -> NDArray[np.float64]:
    """The share of the other seconds with a candidate in the same place, for each candidate of second i (n)."""
    found = np.zeros(len(corners[i]))
    for j, others in enumerate(corners):
        if j != i and len(others) and len(found):
            found += iou(corners[i], others).max(axis=1) > STILL_IOU
    return found / max(len(corners) - 1, 1)


def _covered(boxes: NDArray[np.float64], likelihood: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of each box (n), or of a likelier one if that is smaller, both share: 0..1, times that one's likelihood."""
    if not len(boxes):
        return np.zeros(0)
    sides = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    shared = np.clip(sides, 0.0, None).prod(axis=-1) / np.minimum(areas[:, None], areas[None])
    is_likelier = likelihood[None] > likelihood[:, None]
    covered: NDArray[np.float64] = np.where(is_likelier, shared * likelihood[None], 0.0).max(axis=1)
    return covered
