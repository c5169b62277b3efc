"""Overlap between boxes, and the removal of boxes that say the same thing twice.

Boxes are rows x1, y1, x2, y2 in any one unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trapmeter.overlap import iou


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
