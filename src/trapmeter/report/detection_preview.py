"""A preview of the detection function from a run's distances; not a density, because effort is unknown here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter.density.detection.distances import BinnedDistances, bin_distances
from trapmeter.density.detection.fit import DetectionFit, fit_detection
from trapmeter.density.detection.function import detection_function
from trapmeter.errors import InputError
from trapmeter.records import Estimate

MIN_MEASUREMENTS = 60
"""Buckland et al. (2001, section 7.3) advise at least 60 to 80 detections for a detection function."""
KEYS = ("half-normal", "hazard-rate")
KEPT_SHARE = 0.95
"""The farthest 5 % of distances are left out, as is usual: they contribute little and distort the curve."""
MIN_BINS = 4


@dataclass(frozen=True, slots=True)
class DetectionPreview:
    """Fits of both keys, the one with the least AIC first, or the reason for their absence.

    n_rows: measurements used. has_draws: whether each counts as its ten draws, or as a point estimate.
    """

    n_rows: int
    has_draws: bool = False
    fits: tuple[DetectionFit, ...] = ()
    distances: BinnedDistances | None = None
    reason: str = ""


def preview_detection(estimates: Sequence[Estimate]) -> DetectionPreview:
    """Fits half-normal and hazard-rate to the draws of all measured rows, like `trapmeter density` without --errors."""
    known = [estimate.distance for estimate in estimates if estimate.distance is not None]
    has_draws = any(distance.draws_m for distance in known)
    if len(known) < MIN_MEASUREMENTS:
        reason = f"a detection function needs {MIN_MEASUREMENTS} measurements or more, but there are {len(known):,}"
        return DetectionPreview(len(known), has_draws, reason=reason)
    draws = [distance.draws_m or (distance.distance_m,) for distance in known]
    metres = np.concatenate(draws)
    weights = np.concatenate([np.full(len(row), 1.0 / len(row)) for row in draws])
    try:
        distances = bin_distances(metres, preview_cutpoints(float(np.quantile(metres, KEPT_SHARE))), weights)
        fits = [fit_detection(detection_function(key), distances) for key in KEYS]
    except InputError as error:
        return DetectionPreview(len(known), has_draws, reason=str(error))
    return DetectionPreview(len(known), has_draws, tuple(sorted(fits, key=lambda fit: fit.aic)), distances)


def preview_cutpoints(farthest_m: float) -> list[float]:
    """Cutpoints from 0 m to just beyond a distance: bins of 1 m, or of 2 or 3 m to keep their number near 12."""
    width = min(3, max(1, math.ceil(farthest_m / 12)))
    n_bins = max(MIN_BINS, math.ceil(farthest_m / width))
    return [float(width * index) for index in range(n_bins + 1)]
