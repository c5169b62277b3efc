"""A camera above sloping ground: which distance each place in its picture shows, and where a distance lies in the picture.

A pinhole with one coefficient of radial distortion (Hartley and Zisserman 2004, chapters 6 and 7.4) stands above a plane. The
fractions x, y of the picture count from its top left corner and may lie beyond it. A distance is measured on the ground, in
metres, from the point below the camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

N_PARAMETERS = 7
"""log tan(hfov / 2), log height, pitch, roll, the ground's slopes along and across (as tangents), and the distortion."""
TAN_LOG, HEIGHT_LOG, PITCH, ROLL, SLOPE_ALONG, SLOPE_ACROSS, DISTORTION = range(N_PARAMETERS)
NEWTON_STEPS = 4


@dataclass(frozen=True, slots=True)
class PinholeCamera:
    """A camera and its ground.

    hfov_deg: horizontal field of view. height_m: of the lens above the ground. pitch_deg: negative if the camera looks down.
    roll_deg: positive if the camera leans to the right. slope_along_deg, slope_across_deg: of the ground, positive where it
    rises away from the camera and to the right. distortion: a place at r half picture widths from the middle appears at the
    angle that r (1 + distortion r^2) / (1 + distortion) has without it, so that the picture's left and right edges stay.
    aspect_ratio: width over height of the picture.
    """

    hfov_deg: float
    height_m: float
    pitch_deg: float
    roll_deg: float = 0.0
    slope_along_deg: float = 0.0
    slope_across_deg: float = 0.0
    distortion: float = 0.0
    aspect_ratio: float = 16 / 9

    @property
    def parameters(self) -> Floats:
        """The parameters of a fit (N_PARAMETERS), angles in radians."""
        return np.array(
            [
                math.log(math.tan(math.radians(self.hfov_deg) / 2)),
                math.log(self.height_m),
                math.radians(self.pitch_deg),
                math.radians(self.roll_deg),
                math.tan(math.radians(self.slope_along_deg)),
                math.tan(math.radians(self.slope_across_deg)),
                self.distortion,
            ]
        )

    @classmethod
    def from_parameters(cls, parameters: Floats, aspect_ratio: float) -> PinholeCamera:
        """The camera with these parameters (N_PARAMETERS)."""
        tan_log, height_log, pitch, roll, along, across, distortion = parameters.tolist()
        return cls(
            hfov_deg=math.degrees(2 * math.atan(math.exp(tan_log))),
            height_m=math.exp(height_log),
            pitch_deg=math.degrees(pitch),
            roll_deg=math.degrees(roll),
            slope_along_deg=math.degrees(math.atan(along)),
            slope_across_deg=math.degrees(math.atan(across)),
            distortion=distortion,
            aspect_ratio=aspect_ratio,
        )

    def distance_m(self, x: float, y: float) -> float:
        """The distance of the ground at a place in the picture; infinite at the horizon and above it."""
        nearness = float(nearness_at(self.parameters, self.aspect_ratio, np.array(x), np.array(y)))
        return 1 / nearness if nearness > 0 else math.inf

    def place(self, distance_m: float, bearing_deg: float, height_m: float = 0.0) -> tuple[float, float]:
        """Where a point above the ground lies in the picture: x, y as fractions; NaN behind the camera.

        bearing_deg: from the camera's axis, positive to the right. height_m: above the ground.
        """
        bearing = np.array(math.radians(bearing_deg))
        x, y = project(self.parameters, self.aspect_ratio, np.array(distance_m), bearing, np.array(height_m))
        return float(x), float(y)

    def distance_line(self, distance_m: float, n: int = 41) -> list[tuple[float, float]]:
        """The line of a distance through the picture, from left to right: up to n places as fractions.

        Places beyond the picture are left out, but for one at either end.
        """
        half = math.radians(self.hfov_deg) / 2 + abs(math.radians(self.roll_deg)) + 0.1
        bearings = np.linspace(-half, half, n)
        x, y = project(self.parameters, self.aspect_ratio, np.full(n, distance_m), bearings, np.zeros(n))
        with np.errstate(invalid="ignore"):
            inside = np.flatnonzero((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1))
        if inside.size == 0:
            return []
        kept = range(max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 2, n))
        return [(float(x[i]), float(y[i])) for i in kept if math.isfinite(x[i]) and math.isfinite(y[i])]


def nearness_at(parameters: Floats, aspect_ratio: float, x: Floats, y: Floats) -> Floats:
    """1/d (1/m) of the ground at places of the picture; 0 at the horizon, negative above it.

    parameters: ... x N_PARAMETERS; x, y: fractions, of shapes that broadcast to each other and to the rest of parameters.
    """
    right, forward, up = _rays(parameters, aspect_ratio, x, y)
    rise = parameters[..., SLOPE_ACROSS] * right + parameters[..., SLOPE_ALONG] * forward
    along_ground = np.sqrt(right**2 + forward**2 + rise**2)
    return np.asarray((rise - up) / (np.exp(parameters[..., HEIGHT_LOG]) * np.maximum(along_ground, 1e-9)))


def project(
    parameters: Floats, aspect_ratio: float, distance_m: Floats, bearing: Floats, height_m: Floats
) -> tuple[Floats, Floats]:
    """x, y (fractions) of points at a height above the ground; NaN behind the camera.

    parameters: ... x N_PARAMETERS; the others broadcast to each other and to the rest of parameters. bearing: in radians
    from the camera's axis, positive to the right.
    """
    along, across = parameters[..., SLOPE_ALONG], parameters[..., SLOPE_ACROSS]
    right, forward = np.sin(bearing), np.cos(bearing)
    rise = across * right + along * forward
    horizontal_m = distance_m / np.sqrt(1 + rise**2)
    up_m = horizontal_m * rise + height_m - np.exp(parameters[..., HEIGHT_LOG])
    pitch, roll = parameters[..., PITCH], parameters[..., ROLL]
    depth = horizontal_m * forward * np.cos(pitch) + up_m * np.sin(pitch)
    level_up = up_m * np.cos(pitch) - horizontal_m * forward * np.sin(pitch)
    level_right = horizontal_m * right
    across_m = np.cos(roll) * level_right - np.sin(roll) * level_up
    above_m = np.sin(roll) * level_right + np.cos(roll) * level_up
    scale = np.exp(parameters[..., TAN_LOG]) * np.where(depth > 1e-6, depth, np.nan)
    u, v = _distort(across_m / scale, above_m / scale, parameters[..., DISTORTION])
    return (u + 1) / 2, (1 - v * aspect_ratio) / 2


def _rays(parameters: Floats, aspect_ratio: float, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Where each place of the picture looks: to the right, forward and up, in a frame that stands upright."""
    u, v = 2 * x - 1, (1 - 2 * y) / aspect_ratio
    distortion = parameters[..., DISTORTION]
    factor = np.exp(parameters[..., TAN_LOG]) * (1 + distortion * (u**2 + v**2)) / (1 + distortion)
    across, above = factor * u, factor * v
    pitch, roll = parameters[..., PITCH], parameters[..., ROLL]
    level_right = np.cos(roll) * across + np.sin(roll) * above
    level_up = np.cos(roll) * above - np.sin(roll) * across
    return (
        level_right,
        np.cos(pitch) - np.sin(pitch) * level_up,
        np.sin(pitch) + np.cos(pitch) * level_up,
    )


def _distort(u: Floats, v: Floats, distortion: Floats) -> tuple[Floats, Floats]:
    """Where the lens shows what a pinhole would show at u, v (half picture widths from the middle), by Newton's method."""
    target = np.sqrt(u**2 + v**2)
    radius = target
    for _ in range(NEWTON_STEPS):
        value = radius * (1 + distortion * radius**2) / (1 + distortion)
        slope = (1 + 3 * distortion * radius**2) / (1 + distortion)
        radius = radius - (value - target) / np.maximum(slope, 0.2)
    ratio = np.where(target > 1e-12, radius / np.maximum(target, 1e-12), 1 + distortion)
    return u * ratio, v * ratio


def draw_distances(camera: PinholeCamera, distances_m: Sequence[float]) -> dict[float, list[tuple[float, float]]]:
    """The line of each distance that the picture shows, see `PinholeCamera.distance_line`."""
    lines = {metres: camera.distance_line(metres) for metres in distances_m}
    return {metres: line for metres, line in lines.items() if len(line) > 1}
