"""How much boxes overlap, and which of them are the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Box

SAME_ANIMAL_IOU = 0.3
"""From this overlap on (intersection over union) two boxes show the same animal."""
TIE = 1e-6
"""Of an overlap: too little to outvote any difference between boxes that differ."""


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


def same_animals(
    first: Sequence[Box | None], second: Sequence[Box | None], likelier: NDArray[np.floating] | None = None
) -> list[tuple[int, int]]:
    """Pairs of positions, in first and in second, whose boxes show the same animal, in the order of first.

    Hungarian assignment on IoU, each at least SAME_ANIMAL_IOU; overlaps that are too small weigh nothing, so they can't
    outvote a true match. None overlaps nothing. likelier (first x second, small numbers) decides between equal overlaps.
    """
    from scipy.optimize import linear_sum_assignment

    overlap = iou(_xyxy(first), _xyxy(second))
    overlap[overlap < SAME_ANIMAL_IOU] = 0.0
    if likelier is not None:
        overlap += TIE * likelier * (overlap > 0)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if overlap[i, j] > 0]


def _xyxy(boxes: Sequence[Box | None]) -> NDArray[np.float64]:
    """One row per box; an empty one for None."""
    return np.array([(0.0, 0.0, 0.0, 0.0) if box is None else box.xyxy for box in boxes]).reshape(-1, 4)


def _area(xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = np.clip(xyxy[..., 2:] - xyxy[..., :2], 0.0, None).prod(axis=-1)
    return area
