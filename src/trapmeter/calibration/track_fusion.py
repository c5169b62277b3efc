"""Fuses predictions, ground and animal size along each track with a hidden Markov model over distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trapmeter.calibration.animal_size import AnimalSize, SizeSettings, size_likelihood
from trapmeter.calibration.ground_contact import FootSettings, foot_likelihood
from trapmeter.camera.fit import CameraFit
from trapmeter.records import Box, Distance
from trapmeter.uncertainty import DRAW_LEVELS

Floats = NDArray[np.float64]

GRID_LOG = np.linspace(np.log1p(0.3), np.log1p(60.0), 108)
"""The distances considered, in log(1 + metres). With a narrow lens, animals can be measured at 50 m."""
GRID_M = np.expm1(GRID_LOG)
INTERVAL_LEVELS = (0.04, 0.5, 0.96)
"""A little wider than 90 %, which what is known of boxes and tracks promises: so intervals held 90 % at new sites
(docs/results/calibration.md)."""
MIN_SD = 0.12
"""The least standard deviation of a prediction, in log(1 + metres), however close its draws."""
DEFAULT_SD = 0.4
"""The standard deviation of a prediction without draws."""
SAME_ROW = 0.01
"""Lower edges that differ by less lie on the same row, as a fraction of the picture's height."""
SD_BETWEEN_DRAWS = 2.07
"""Standard deviations between the 15 % and 85 % quantiles of a normal distribution."""


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """How animals move, in log(1 + metres)."""

    walk: float = 0.12
    """Mean step in a second; increases with the square root of time."""
    jump: float = 0.02
    """Density of a jump to any other distance, relative to the step: a track may switch to another animal."""


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """Chosen at the training sites of simtrap, see docs/results/calibration.md."""

    prediction_correlation: float = 0.5
    """Correlation of a track's predictions: each of n gets the weight 1 / (1 + prediction_correlation (n - 1))."""
    prediction_correlation_on_ground: float = 0.8
    """The same where the ground is known: its errors and those of the predictions come from the same boxes."""
    box_correlation: float = 0.1
    """The same for boxes whose lower edge stays on its row, as that of a stump does."""
    foot: FootSettings = field(default_factory=FootSettings)
    size: SizeSettings = field(default_factory=SizeSettings)
    walk: MotionSettings = field(default_factory=MotionSettings)


def fuse_track(
    camera: CameraFit | None,
    boxes: Sequence[Box | None],
    distances: Sequence[Distance],
    time_s: Floats,
    repeated: Floats,
    settings: FusionSettings,
    size: AnimalSize | None = None,
) -> list[Distance]:
    """The distances (n) of one animal's seconds, corrected by the ground at its boxes' lower edges and by its size.

    Args:
        camera: the site's, fitted, if known.
        boxes: n.
        distances: n predictions.
        time_s: n, ascending.
        repeated: n, the share of the site's other videos that have the same box.
        settings: how far each source is trusted.
        size: the animal's, if known.
    """
    correlation = settings.prediction_correlation if camera is None else settings.prediction_correlation_on_ground
    weight = 1 / (1 + correlation * (len(distances) - 1))
    evidence = np.stack([_prediction_log_likelihood(distance, size, settings.size) for distance in distances]) * weight
    edges = np.array([np.nan if box is None else box.y2 for box in boxes])
    size_weight = 1 / (1 + settings.size.box_correlation * (np.isfinite(edges).sum() - 1))
    for i, (box, share) in enumerate(zip(boxes, repeated.tolist(), strict=True)):
        if box is not None and camera is not None:
            n_on_row = int((np.abs(edges - box.y2) < SAME_ROW).sum())
            foot_log = np.log(foot_likelihood(camera, box, GRID_M, settings.foot, share))
            evidence[i] += foot_log / (1 + settings.box_correlation * (n_on_row - 1))
        if box is not None and size is not None:
            evidence[i] += size_weight * np.log(size_likelihood(size, box, GRID_M, settings.size, share))
    shares = smooth_along_track(evidence, time_s, settings.walk)
    low, middle, high = quantiles_m(shares, INTERVAL_LEVELS).T
    draws = quantiles_m(shares, DRAW_LEVELS)
    return [
        replace(distance, distance_m=m, low_m=near, high_m=far, draws_m=tuple(row) if distance.draws_m else ())
        for distance, m, near, far, row in zip(
            distances, middle.tolist(), low.tolist(), high.tolist(), draws.tolist(), strict=True
        )
    ]


def smooth_along_track(evidence_log: Floats, time_s: Floats, settings: MotionSettings) -> Floats:
    """The posterior share (n x grid, rows sum to 1) of each distance of GRID_M at each second, given all seconds.

    Forward-backward algorithm. evidence_log: n x grid, the log likelihood of each distance by that second alone, up to a
    constant for each row. time_s: n, ascending.
    """
    evidence = np.exp(evidence_log - evidence_log.max(axis=1, keepdims=True))
    difference = np.abs(GRID_LOG[:, None] - GRID_LOG[None, :])
    steps = []
    for gap_s in np.diff(time_s):
        scale = settings.walk * np.sqrt(max(float(gap_s), 0.1))
        step = np.exp(-difference / scale) + settings.jump * scale
        steps.append(step / step.sum(axis=0))
    forward = np.empty_like(evidence)
    forward[0] = evidence[0] / evidence[0].sum()
    for i, step in enumerate(steps, start=1):
        present = (step @ forward[i - 1]) * evidence[i]
        forward[i] = present / present.sum()
    shares, backward = forward.copy(), np.ones(len(GRID_M))
    for i in range(len(steps) - 1, -1, -1):
        backward = steps[i].T @ (evidence[i + 1] * backward)
        backward /= backward.max()
        shares[i] = forward[i] * backward
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)


def quantiles_m(shares: Floats, levels: tuple[float, ...]) -> Floats:
    """The quantiles (metres, n x levels) of shares (n x grid); levels: 0..1, ascending."""
    cumulative = np.cumsum(shares, axis=1)
    # Each share belongs to a cell that ends half-way to the next distance.
    edges = np.concatenate([(GRID_LOG[1:] + GRID_LOG[:-1]) / 2, GRID_LOG[-1:]])
    return np.asarray(np.expm1(np.stack([np.interp(levels, row, edges) for row in cumulative])), np.float64)


def _prediction_log_likelihood(distance: Distance, size: AnimalSize | None, settings: SizeSettings) -> Floats:
    """A normal density in log(1 + metres), as wide as the draws; if the size is known, shifted and widened."""
    metres, sd = distance.distance_m, DEFAULT_SD
    if distance.draws_m:
        low, high = np.log1p(distance.draws_m[1]), np.log1p(distance.draws_m[8])
        sd = max(float(high - low) / SD_BETWEEN_DRAWS, MIN_SD)
    if size is not None:
        metres *= float(np.exp(size.prediction_shift_log(settings)))
        sd *= settings.prediction_widening
    return np.asarray(-0.5 * ((GRID_LOG - np.log1p(metres)) / sd) ** 2, np.float64)
