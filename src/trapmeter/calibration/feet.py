"""Answers, the ground and the animal's size weighed against each other, along each animal's track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trapmeter.calibration.ground import FootSettings, Ground, foot_likelihood
from trapmeter.calibration.size import Size, SizeSettings, size_likelihood
from trapmeter.calibration.track import GRID_LOG, GRID_M, Floats, WalkSettings, along_track, quantiles_m
from trapmeter.records import Box, Distance
from trapmeter.uncertainty import LEVELS

INTERVAL = (0.05, 0.5, 0.95)
LEAST_SD = 0.12
"""Of an answer, in log(1 + metres): draws can't promise more."""
DEFAULT_SD = 0.4
"""Of an answer without draws."""
SAME_ROW = 0.01
"""Lower edges that differ by less lie on the same row, as a fraction of the picture's height."""
TENTHS_APART = 2.07
"""Standard deviations between 15 % and 85 % of a bell curve."""


@dataclass(frozen=True, slots=True)
class FeetSettings:
    """Chosen at the training sites of simtrap, see docs/results/calibration.md."""

    answers_alike: float = 0.5
    """Answers of one track are wrong together: n of them count as often as 1 / (1 + answers_alike (n - 1)) says of
    each."""
    boxes_alike: float = 0.2
    """The same of boxes whose edge stays on its row: a stump is seen again and again."""
    foot: FootSettings = field(default_factory=FootSettings)
    size: SizeSettings = field(default_factory=SizeSettings)
    walk: WalkSettings = field(default_factory=WalkSettings)


def weigh_track(
    ground: Ground | None,
    boxes: Sequence[Box | None],
    distances: Sequence[Distance],
    time_s: Floats,
    repeated: Floats,
    settings: FeetSettings,
    size: Size | None = None,
) -> list[Distance]:
    """The distances (n) of one animal's seconds, with what the ground tells of its boxes' lower edges.

    size: the animal's, which then tells of its boxes' heights; either of ground and size may be unknown.

    time_s: n, ascending. repeated: n, for each box the share of the site's other videos that have the same.
    """
    trust = 1 / (1 + settings.answers_alike * (len(distances) - 1))
    evidence = np.stack([_answer_evidence(distance, size, settings.size) for distance in distances]) * trust
    edges = np.array([np.nan if box is None else box.y2 for box in boxes])
    by_size = 1 / (1 + settings.size.alike * (np.isfinite(edges).sum() - 1))
    for i, (box, share) in enumerate(zip(boxes, repeated.tolist(), strict=True)):
        if box is not None and ground is not None:
            n_alike = int((np.abs(edges - box.y2) < SAME_ROW).sum())
            told = np.log(foot_likelihood(ground, box, GRID_M, settings.foot, share))
            evidence[i] += told / (1 + settings.boxes_alike * (n_alike - 1))
        if box is not None and size is not None:
            evidence[i] += by_size * np.log(size_likelihood(size, box, GRID_M, settings.size, share))
    shares = along_track(evidence, time_s, settings.walk)
    low, middle, high = quantiles_m(shares, INTERVAL).T
    draws = quantiles_m(shares, LEVELS)
    return [
        replace(distance, distance_m=m, low_m=near, high_m=far, draws_m=tuple(row) if distance.draws_m else ())
        for distance, m, near, far, row in zip(
            distances, middle.tolist(), low.tolist(), high.tolist(), draws.tolist(), strict=True
        )
    ]


def _answer_evidence(distance: Distance, size: Size | None, settings: SizeSettings) -> Floats:
    """A bell curve in log(1 + metres) around the answer, as wide as its draws; with a known size moved and widened."""
    metres, sd = distance.distance_m, DEFAULT_SD
    if distance.draws_m:
        low, high = np.log1p(distance.draws_m[1]), np.log1p(distance.draws_m[8])
        sd = max(float(high - low) / TENTHS_APART, LEAST_SD)
    if size is not None:
        metres *= float(np.exp(size.lean_log(settings)))
        sd *= settings.answer_widened
    return np.asarray(-0.5 * ((GRID_LOG - np.log1p(metres)) / sd) ** 2, np.float64)
