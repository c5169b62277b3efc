"""Overlap between boxes, and the removal of boxes that say the same thing twice.

Boxes are rows x1, y1, x2, y2 in any one unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def iou(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of every box in a (n x 4) with every box in b (m x 4): n x m, 0..1.

    A pair without any area between them counts 0.
    """
    first = np.asarray(a, dtype=np.float64).reshape(-1, 1, 4)
    second = np.asarray(b, dtype=np.float64).reshape(1, -1, 4)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.clip(sides, 0.0, None).prod(axis=-1)
    total = _area(first) + _area(second) - shared
    overlap: NDArray[np.float64] = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return overlap


def _area(xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = np.clip(xyxy[..., 2:] - xyxy[..., :2], 0.0, None).prod(axis=-1)
    return area


def nms(xyxy: NDArray[np.floating], scores: NDArray[np.floating], iou_threshold: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the boxes to keep, best score first.

    A box goes when it overlaps a kept one by more than iou_threshold. Among equal scores the earlier box wins.

    Args:
        xyxy: n x 4.
        scores: n.
        iou_threshold: 0..1.
    """
    boxes = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    waiting = np.argsort(-np.asarray(scores), kind="stable")
    kept: list[int] = []
    while waiting.size:
        best, waiting = waiting[0], waiting[1:]
        kept.append(int(best))
        waiting = waiting[iou(boxes[best : best + 1], boxes[waiting])[0] <= iou_threshold]
    return np.asarray(kept, dtype=np.intp)
