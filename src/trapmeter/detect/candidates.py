"""Candidates: boxes of both looks at a picture, down to low scores, with what moves in and around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.detect.megadetector_lite import NMS_IOU
from trapmeter.geometry import iou
from trapmeter.records import Box


@dataclass(frozen=True, slots=True)
class Candidate:
    """A box that may show an animal.

    first, second: the box in the picture as it is and in the one that highlights movement; None where it was not found.
    moving, moving_around: the mean movement (0..1) in the box, and in a frame around it that is half as wide as the box.
    """

    first: Box | None
    second: Box | None
    moving: float
    moving_around: float

    @property
    def likelier(self) -> Box:
        """The box with the better score."""
        if self.first is None or self.second is None:
            box = self.first or self.second
            assert box is not None, "a candidate was seen in one of the looks"
            return box
        return self.first if self.first.score >= self.second.score else self.second

    def box(self, min_score: float) -> Box:
        """The box to report: of the first look if it stands on its own there, else the likelier one."""
        return self.first if self.first is not None and self.first.score >= min_score else self.likelier


def make_candidates(
    first: Sequence[Box], second: Sequence[Box], movement: NDArray[np.floating]
) -> tuple[Candidate, ...]:
    """The candidates of a picture, best score first. Each box of either look is in exactly one of them.

    movement: height x width, 0..1, as from `Scene.movement`.
    """
    sums = np.asarray(cv2.integral(np.asarray(movement, np.float64)), np.float64)
    candidates = []
    for one, other in _pairs(first, second):
        candidate = Candidate(one, other, 0.0, 0.0)
        candidates.append(Candidate(one, other, *_movement_of(candidate.likelier, sums)))
    return tuple(candidates)


def _pairs(first: Sequence[Box], second: Sequence[Box]) -> list[tuple[Box | None, Box | None]]:
    """Boxes of the two looks that show the same animal. The best box chooses first; boxes without a partner are alone."""
    overlap = iou(np.array([box.xyxy for box in first]), np.array([box.xyxy for box in second]))
    looks = ([*first], [*second])
    order = sorted(
        ((look, i) for look in (0, 1) for i in range(len(looks[look]))), key=lambda k: -looks[k[0]][k[1]].score
    )
    paired: set[tuple[int, int]] = set()
    pairs: list[tuple[Box | None, Box | None]] = []
    for look, i in order:
        if (look, i) in paired:
            continue
        overlaps = overlap[i] if look == 0 else overlap[:, i]
        free = [j for j in range(len(looks[1 - look])) if (1 - look, j) not in paired and overlaps[j] >= NMS_IOU]
        partner = max(free, key=lambda j: overlaps[j], default=None)
        paired.add((look, i))
        boxes: list[Box | None] = [None, None]
        boxes[look] = looks[look][i]
        if partner is not None:
            paired.add((1 - look, partner))
            boxes[1 - look] = looks[1 - look][partner]
        pairs.append((boxes[0], boxes[1]))
    return pairs


def _movement_of(box: Box, sums: NDArray[np.float64]) -> tuple[float, float]:
    """The mean movement in a box and around it, from the movement's sums above and left of each pixel."""
    half_width, half_height = (box.x2 - box.x1) / 2, (box.y2 - box.y1) / 2
    inside, area = _sum_within(sums, box.xyxy)
    wider = (box.x1 - half_width, box.y1 - half_height, box.x2 + half_width, box.y2 + half_height)
    all_of_it, wider_area = _sum_within(sums, wider)
    around = (all_of_it - inside) / max(wider_area - area, 1)
    return min(max(inside / area, 0.0), 1.0), min(max(around, 0.0), 1.0)


def _sum_within(sums: NDArray[np.float64], xyxy: tuple[float, float, float, float]) -> tuple[float, int]:
    """The sum of the movement over the pixels that a box touches, and their number (at least 1)."""
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    left, top = min(max(int(xyxy[0] * width), 0), width - 1), min(max(int(xyxy[1] * height), 0), height - 1)
    right = min(max(int(np.ceil(xyxy[2] * width)), left + 1), width)
    bottom = min(max(int(np.ceil(xyxy[3] * height)), top + 1), height)
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return float(total), (right - left) * (bottom - top)
