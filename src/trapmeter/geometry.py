"""Geometry of boxes and of the camera: overlap, matching, suppression and bearing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Box

DEFAULT_HFOV_DEG = 45.0
"""Assumed horizontal field of view if none is given: trail cameras have 38 to 55 degrees."""
FILM_WIDTH_MM = 36.0
"""Width of the film, for focal lengths in 35 mm equivalents."""


def bearing_deg(x: float, hfov_deg: float) -> float:
    """The angle between the camera's axis and a column of the picture, positive to the right.

    x: 0 (left edge) to 1 (right edge). hfov_deg: horizontal field of view, 0 < hfov_deg < 180. For a pinhole camera without
    lens distortion: tan(bearing) = (2 x - 1) tan(hfov / 2).
    """
    return math.degrees(math.atan((2.0 * x - 1.0) * math.tan(math.radians(hfov_deg) / 2.0)))


SAME_ANIMAL_IOU = 0.3
"""Least overlap (intersection over union) of two boxes of the same animal."""
TIE_BREAK = 1e-6
"""Weight of a preference: too small to outweigh any difference in overlap."""


def iou(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of every box in a (n x 4) with every box in b (m x 4): n x m, 0..1.

    It is 0 for a pair without area.
    """
    first = np.asarray(a, dtype=np.float64).reshape(-1, 1, 4)
    second = np.asarray(b, dtype=np.float64).reshape(1, -1, 4)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.clip(sides, 0.0, None).prod(axis=-1)
    total = _area(first) + _area(second) - shared
    overlap: NDArray[np.float64] = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return overlap


def match_boxes(
    first: Sequence[Box | None], second: Sequence[Box | None], likelier: NDArray[np.floating] | None = None
) -> list[tuple[int, int]]:
    """Pairs of positions, in first and in second, whose boxes show the same animal, in the order of first.

    Hungarian assignment on overlaps of at least SAME_ANIMAL_IOU; smaller ones count as 0, so they can't outweigh a true
    match. None overlaps nothing. likelier (first x second, small numbers) decides between equal overlaps.
    """
    from scipy.optimize import linear_sum_assignment

    overlap = iou(_xyxy(first), _xyxy(second))
    overlap[overlap < SAME_ANIMAL_IOU] = 0.0
    if likelier is not None:
        overlap += TIE_BREAK * likelier * (overlap > 0)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if overlap[i, j] > 0]


def _xyxy(boxes: Sequence[Box | None]) -> NDArray[np.float64]:
    """The corners as n x 4; zeros for None."""
    return np.array([(0.0, 0.0, 0.0, 0.0) if box is None else box.xyxy for box in boxes]).reshape(-1, 4)


def _area(xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = np.clip(xyxy[..., 2:] - xyxy[..., :2], 0.0, None).prod(axis=-1)
    return area


def nms(xyxy: NDArray[np.floating], scores: NDArray[np.floating], iou_threshold: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the boxes to keep, best score first.

    Drops a box that overlaps a kept one by more than iou_threshold. Among equal scores the earlier box wins.

    Args:
        xyxy: n x 4.
        scores: n.
        iou_threshold: 0..1.
    """
    boxes = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    left = np.argsort(-np.asarray(scores), kind="stable")
    kept: list[int] = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(int(best))
        left = left[iou(boxes[best : best + 1], boxes[left])[0] <= iou_threshold]
    return np.asarray(kept, dtype=np.intp)
