"""Flip, distortion, rotation and zoom as a single resampling of frames and boxes.

A warp is a map (float32, height x width x 2): for each pixel of the result, the x and y of its source in the frame, in
pixels. The result is black if the source is outside the frame. The map of successive warps is the first map, sampled at the
sources of the second.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Box, Pixels
from trapmeter.training.augment.plan import (
    AugmentPlan,
    Distortion,
    GridDistortion,
    OpticalDistortion,
    PiecewiseAffine,
    Turn,
)

SourceMap = NDArray[np.float32]
"""height x width x 2."""

AffineMatrix = NDArray[np.float64]
"""2 x 3."""

NO_SECOND_MAP = np.empty((0, 0), np.float32)
FAR_OUTSIDE_PX = -1e4
MIN_BOX_PX = 2.0
"""Smaller boxes are widened to this before the warp: otherwise no pixel of the result might have its source inside."""


class Warp:
    """A map prepared for OpenCV's fixed-point resampling, which is a quarter faster than with the map itself."""

    def __init__(self, sources: SourceMap) -> None:
        self._sources = sources
        self._integers, self._fractions = cv2.convertMaps(sources, NO_SECOND_MAP, cv2.CV_16SC2)

    def frame(self, frame: Pixels) -> Pixels:
        """A copy of the frame, resampled bilinearly."""
        return np.asarray(
            cv2.remap(frame, self._integers, self._fractions, cv2.INTER_LINEAR, borderValue=(0, 0, 0)), np.uint8
        )

    def box(self, box: Box) -> Box | None:
        """The smallest box around all pixels with a source inside the given box; None without any."""
        height, width = self._sources.shape[:2]
        middle = np.array([(box.x1 + box.x2) * width, (box.y1 + box.y2) * height]) / 2.0
        half = np.maximum(np.array([(box.x2 - box.x1) * width, (box.y2 - box.y1) * height]), MIN_BOX_PX) / 2.0
        # Boxes count from the edge of the first pixel, maps from its centre.
        low, high = np.maximum(middle - half, 0.0) - 0.5, np.minimum(middle + half, (width, height)) - 0.5
        within = cv2.inRange(self._sources, (*low.tolist(), 0.0, 0.0), (*high.tolist(), 0.0, 0.0))
        left, top, n_columns, n_rows = cv2.boundingRect(within)
        if not n_columns:
            return None
        return Box(left / width, top / height, (left + n_columns) / width, (top + n_rows) / height, box.score)


def make_warp(plan: AugmentPlan) -> Warp | None:
    """The plan's distortion, turn, zoom and flip; None without the first three, as a flip alone needs no resampling."""
    matrix = _affine_matrix(plan)
    height, width = plan.size_hw
    if plan.distortion is None:
        if matrix is None:
            return None
        sources = affine_map(matrix, plan.size_hw)
    else:
        sources = distortion_map(plan.distortion, plan.size_hw)
        if matrix is not None:
            outside = (FAR_OUTSIDE_PX, FAR_OUTSIDE_PX, 0.0, 0.0)
            sources = np.asarray(cv2.warpAffine(sources, matrix, (width, height), borderValue=outside), np.float32)
    if plan.flip:
        sources[..., 0] = (width - 1) - sources[..., 0]
    return Warp(sources)


def _affine_matrix(plan: AugmentPlan) -> AffineMatrix | None:
    """The turn followed by the zoom, 2 x 3; None without both."""
    turn = None if plan.turn is None else turn_matrix(plan.turn, plan.size_hw)
    if plan.zoom is None:
        return turn
    height, width = plan.size_hw
    zoom = np.array(
        cv2.getRotationMatrix2D((plan.zoom.x * width, plan.zoom.y * height), 0.0, plan.zoom.scale), np.float64
    )
    return zoom if turn is None else zoom @ np.vstack([turn, [0.0, 0.0, 1.0]])


def flip_box(box: Box) -> Box:
    """The box in the mirrored picture."""
    right = 1.0 - box.x1
    # Rounding would leave a box much thinner than a pixel without width.
    return Box(min(1.0 - box.x2, math.nextafter(right, 0.0)), box.y1, right, box.y2, box.score)


def turn_matrix(turn: Turn, size_hw: tuple[int, int]) -> AffineMatrix:
    """The matrix, 2 x 3, from pixels of the frame to pixels of the result."""
    height, width = size_hw
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), turn.angle_deg, turn.scale), np.float64)
    matrix[:, 2] += np.array([turn.shift_x * width, turn.shift_y * height])
    return matrix


def affine_map(matrix: AffineMatrix, size_hw: tuple[int, int]) -> SourceMap:
    """The map of a matrix from pixels of the frame to pixels of the result."""
    (xx, xy, x0), (yx, yy, y0) = cv2.invertAffineTransform(matrix).tolist()
    columns, rows = _pixel_grid(size_hw)
    return _stack_xy(xx * columns + (xy * rows + x0), yx * columns + (yy * rows + y0))


def distortion_map(distortion: Distortion, size_hw: tuple[int, int]) -> SourceMap:
    """The map of a distortion."""
    match distortion:
        case PiecewiseAffine():
            return _piecewise_map(distortion, size_hw)
        case OpticalDistortion(coefficient):
            return _optical_map(coefficient, size_hw)
        case GridDistortion(stretch_x, stretch_y):
            height, width = size_hw
            xs, ys = _stretched_positions(stretch_x, width), _stretched_positions(stretch_y, height)
            return _stack_xy(*np.broadcast_arrays(xs, ys[:, None]))


def _piecewise_map(piecewise: PiecewiseAffine, size_hw: tuple[int, int]) -> SourceMap:
    """Bilinear between the shifted points, which stay in the picture; albumentations uses two triangles per cell."""
    height, width = size_hw
    moves_x, moves_y = np.array(piecewise.moves_x), np.array(piecewise.moves_y)
    n_rows, n_columns = moves_x.shape
    points_x = np.clip(np.linspace(0, width, n_columns) + moves_x * width, 0, width - 1)
    points_y = np.clip(np.linspace(0, height, n_rows)[:, None] + moves_y * height, 0, height - 1)
    across, down = _hat_weights(width, n_columns), _hat_weights(height, n_rows)
    return _stack_xy(*(down @ points.astype(np.float32) @ across.T for points in (points_x, points_y)))


def _hat_weights(length: int, n_points: int) -> NDArray[np.float32]:
    """Weights (length x n_points) of linear interpolation between equidistant points over 0..length."""
    at = np.arange(length)[:, None] * ((n_points - 1) / length)
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(at - np.arange(n_points))), np.float32)


def _optical_map(coefficient: float, size_hw: tuple[int, int]) -> SourceMap:
    """The map of a radial distortion; radii are in picture widths from the middle.

    albumentations 1.0.3 also shifts the picture by half a pixel in x and in y, since it counts the middle of the source from
    pixels' corners and that of the result from their centres.
    """
    height, width = size_hw
    columns, rows = _pixel_grid(size_hw)
    x, y = columns - width / 2, rows - height / 2
    r2 = (x * x + y * y) / np.float32(width * width)
    factor = 1.0 + coefficient * (r2 + r2 * r2)
    return _stack_xy(x * factor + width / 2, y * factor + height / 2)


def _stretched_positions(stretch: tuple[float, ...], length: int) -> NDArray[np.float32]:
    """Sources of the pixels along one side: regular steps read stretched ones, from 0 on; the far end may be outside."""
    regular = np.linspace(0.0, length, len(stretch) + 1)
    stretched = np.concatenate(([0.0], np.cumsum(stretch))) * (length / len(stretch))
    return np.interp(np.arange(length), regular, stretched).astype(np.float32)


def _pixel_grid(size_hw: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixel numbers as a row and as a column."""
    height, width = size_hw
    return np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]


def _stack_xy(x: NDArray[np.floating], y: NDArray[np.floating]) -> SourceMap:
    sources = np.empty((*x.shape, 2), np.float32)
    sources[..., 0], sources[..., 1] = x, y
    return sources
