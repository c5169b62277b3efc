"""Refines a rough homography step by step, by finding patches of the reference in the view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter.camera.homography import Homography, carry_points, inverse, picture_grid, to_widths
from trapmeter.camera.homography_fit import FittedHomography, fit_homography, position_sd
from trapmeter.camera.patches import PatchSearch, find_patches
from trapmeter.records import Pixels

ROUGH = (PatchSearch(240, 32, 16, 12), PatchSearch(240, 32, 16, 8))
FINE = (PatchSearch(480, 40, 40, 10), PatchSearch(480, 40, 20, 6))
SHARED_PATCHES = 4.0
"""Patches that overlap by half share their pixels, so that four of them tell as much as one."""
MIN_SPREAD_PX = 0.3
"""A patch can't be found more exactly."""
MIN_ERROR = 0.001
"""What the lens and interpolation add to the error, in picture heights, however many patches are found."""


@dataclass(frozen=True, slots=True)
class Refined:
    """A refined homography.

    homography: maps reference to view, in fractions. in_widths: the same, in widths from each picture's centre. support: the
    sum of the patches' weights. error: its typical error where both pictures show the scene, as a fraction of the view's
    height.
    """

    homography: Homography
    in_widths: Homography
    support: float
    error: float


def refine(reference: Pixels, view: Pixels, start: Homography, searches: Sequence[PatchSearch]) -> Refined | None:
    """The homography refined from a start, by one search after the other; None if too few patches can be found."""
    from_reference = to_widths(reference.shape[1] / reference.shape[0])
    from_view = to_widths(view.shape[1] / view.shape[0])
    homography, fit, error = start, None, math.inf
    for search in searches:
        patches = find_patches(reference, view, homography, search)
        first = carry_points(patches.reference[patches.is_inside], from_reference)
        second = carry_points(patches.view[patches.is_inside], from_view)
        trust = np.clip(patches.likeness[patches.is_inside], 0.0, 1.0) ** 2
        in_widths = from_view @ homography @ inverse(from_reference)
        fit = fit_homography(first, second, in_widths, 1.0 / search.width_px, trust)
        if fit is None:
            return None
        homography = inverse(from_view) @ fit.homography @ from_reference
        homography = homography / homography[2, 2]
        error = _typical_error(fit, homography, from_reference, MIN_SPREAD_PX / search.width_px)
    assert fit is not None
    in_heights = math.hypot(error * view.shape[1] / view.shape[0], MIN_ERROR)
    return Refined(homography, fit.homography, float(fit.weights.sum()), in_heights)


def _typical_error(
    fit: FittedHomography, homography: Homography, from_reference: Homography, min_spread: float
) -> float:
    """Root mean square of the fit's error where both pictures show the scene, in widths; inf if they share nothing."""
    grid = picture_grid()
    carried = carry_points(grid, homography)
    shared = grid[((carried >= 0) & (carried <= 1)).all(axis=1)]
    if not len(shared):
        return math.inf
    variance = float((position_sd(fit, carry_points(shared, from_reference)) ** 2).mean())
    return math.sqrt(SHARED_PATCHES * variance) * max(fit.spread, min_spread) / fit.assumed_spread
