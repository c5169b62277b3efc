"""Rules of the camera: where a pixel looks."""

from __future__ import annotations

import math

DEFAULT_HFOV_DEG = 45.0
"""Horizontal field of view taken when none is given: trail cameras have 38 to 55 degrees."""
FILM_WIDTH_MM = 36.0
"""Across the picture, for focal lengths in 35 mm equivalents."""


def bearing_deg(x: float, hfov_deg: float) -> float:
    """The angle between the camera's axis and a column of the picture, positive to the right.

    x: 0 (left edge) to 1 (right edge); hfov_deg: horizontal field of view, 0 < hfov_deg < 180. Pinhole camera without lens
    distortion: tan(bearing) = (2 x - 1) tan(hfov / 2).
    """
    return math.degrees(math.atan((2.0 * x - 1.0) * math.tan(math.radians(hfov_deg) / 2.0)))
