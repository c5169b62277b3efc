"""Homographies between pictures of one site: applying, joining, and judging whether a camera can have moved like that.

A turned camera changes its picture by a homography (Hartley and Zisserman 2004, section 8.4). So does one that has also
shifted by a little, for all that is much farther away than it shifted.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Homography: TypeAlias = NDArray[np.float64]
"""3 x 3: maps positions in one picture to those in another, both in fractions of width and height."""
Floats = NDArray[np.float64]

SCALES = (0.7, 1.4)
MAX_ROTATION_DEG = 12.0
MAX_SHEAR = 0.12
"""Difference of the two singular values, as a share of their mean: a turned camera hardly stretches its picture."""
MAX_PERSPECTIVE = 0.35
"""Change of scale across the picture's width. Turning by 15 degrees with a field of view of 60 degrees gives 0.3."""
MIN_OVERLAP = 0.4
GRID = 9


def carry_points(points: ArrayLike, homography: Homography) -> Floats:
    """The positions (n x 2) that a homography maps to, in fractions of the second picture's width and height.

    points: n x 2, in fractions of the first picture. Results may lie outside 0..1, where the second picture doesn't reach. A
    point that the second camera has behind it becomes nan.
    """
    given = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    mapped = np.column_stack([given, np.ones(len(given))]) @ homography.T
    depth = np.where(mapped[:, 2:] > 1e-9, mapped[:, 2:], np.nan)
    carried: Floats = mapped[:, :2] / depth
    return carried


def join(first: Homography, second: Homography) -> Homography:
    """The homography that applies `first` and then `second`."""
    joined = second @ first
    result: Homography = joined / joined[2, 2]
    return result


def inverse(matrix: Floats) -> Floats:
    """The inverse of a matrix, such as the homography from the second picture back to the first."""
    return np.linalg.inv(matrix).astype(np.float64, copy=False)


def picture_grid() -> Floats:
    """Positions spread evenly over a picture: n x 2 fractions."""
    steps = (np.arange(GRID) + 0.5) / GRID
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def overlap_share(homography: Homography) -> float:
    """The share of the first picture that the second one shows, 0..1."""
    carried = carry_points(picture_grid(), homography)
    return float(((carried >= 0) & (carried <= 1)).all(axis=1).mean())


def largest_shift(homography: Homography, aspect: float) -> float:
    """How far the homography moves a position at most, in picture heights, over what both pictures show; inf for nothing.

    aspect: the second picture's width over its height.
    """
    grid = picture_grid()
    carried = carry_points(grid, homography)
    is_shown = ((carried >= 0) & (carried <= 1)).all(axis=1)
    shifts = np.hypot(*((carried - grid)[is_shown] * (aspect, 1.0)).T)
    return float(shifts.max(initial=0.0)) if is_shown.any() else math.inf


def to_widths(aspect: float) -> Floats:
    """Maps fractions of a picture to widths from its centre: square units, which a camera's turn does not stretch.

    aspect: the picture's width over its height.
    """
    return np.array([[1.0, 0.0, -0.5], [0.0, 1.0 / aspect, -0.5 / aspect], [0.0, 0.0, 1.0]])


def implausible_motion(in_widths: Homography) -> str:
    """Why a moved camera can't give this homography; "" if it can.

    in_widths: the homography between positions in widths from each picture's centre.
    """
    linear = _linear_part(in_widths)
    if np.linalg.det(linear) <= 0:
        return "it would be a mirror image"
    large, small = np.linalg.svd(linear, compute_uv=False)
    scale = math.sqrt(large * small)
    if not SCALES[0] <= scale <= SCALES[1]:
        return f"it would be magnified {scale:.2f} times"
    rotation_deg = math.degrees(math.atan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
    if abs(rotation_deg) > MAX_ROTATION_DEG:
        return f"it would be rotated by {abs(rotation_deg):.0f} degrees"
    if (large - small) / scale > MAX_SHEAR:
        return "it would be stretched"
    if math.hypot(in_widths[2, 0], in_widths[2, 1]) / abs(in_widths[2, 2]) > MAX_PERSPECTIVE:
        return "its perspective would be too strong"
    return ""


def _linear_part(homography: Homography) -> Floats:
    """The derivative at the centre of the first picture: 2 x 2."""
    matrix = homography / homography[2, 2]
    linear: Floats = matrix[:2, :2] - np.outer(matrix[:2, 2], matrix[2, :2])
    return linear
