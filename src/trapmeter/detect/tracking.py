"""Following animals from second to second: which boxes are the same animal.

Each second's boxes are matched with the animals seen last by the Hungarian method (Kuhn 1955), on a cost of distance,
change of size and lack of overlap. Nobody looks at pixels, and nobody predicts motion: carrying an animal on at its last
speed wins with perfect boxes and loses with a detector's (simtrap: 99.0 to 99.2 % of links right, but 97.3 to 95.9 %
with boxes jittered by a tenth and a fifth of them missing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError
from trapmeter.geometry import iou
from trapmeter.records import Box


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How far an animal may go and still be the same one."""

    max_gap_s: float = 12.0
    """An animal unseen for longer than this gets a new id."""
    reach: float = 2.0
    """How far a centre may move in one second, in box sizes (width for x, height for y)."""
    reach_growth: float = 0.5
    """Power of the time gap by which reach grows: 0 not at all, 0.5 as in a random walk, 1 as in a straight run."""
    max_size_ratio: float = 4.0
    """How many times larger or smaller (root of the area) a box may become in one second; grows like reach."""
    overlap_weight: float = 0.5
    """Cost of no overlap at all, against 1 for a move by reach or a change of size by max_size_ratio."""
    age_weight: float = 0.1
    """Cost of each second that an animal has been out of sight: who was there just now goes on first."""

    def __post_init__(self) -> None:
        if not (self.max_gap_s > 0 and self.reach > 0 and self.max_size_ratio > 1):
            raise InputError(f"tracking needs max_gap_s > 0, reach > 0 and max_size_ratio > 1, got {self}")
        if not (0 <= self.reach_growth <= 1 and self.overlap_weight >= 0 and self.age_weight >= 0):
            raise InputError(f"tracking needs reach_growth in 0..1 and weights >= 0, got {self}")


@dataclass(frozen=True, slots=True)
class _TrackedAnimal:
    """Where and when an animal was seen last."""

    time_s: float
    box: Box
    animal_id: int


def track_animals(
    seconds: Sequence[tuple[float, Sequence[Box]]], settings: TrackSettings = TrackSettings()
) -> list[list[int]]:
    """Animal ids of the boxes of one medium, aligned with the boxes.

    Ids count from 1 in order of first appearance, within a second in the order of the boxes given. An id occurs at most
    once in a second. The order of boxes within a second changes the numbering alone, not what belongs together.

    Args:
        seconds: (time_s, boxes of that picture), times ascending; steps may vary and boxes may be missing.
        settings: how far an animal may go.

    Raises:
        InputError: times don't ascend.

    Example:
        >>> near, far = Box(0.1, 0.1, 0.3, 0.3, 0.9), Box(0.7, 0.7, 0.9, 0.9, 0.8)
        >>> track([(0.0, [near]), (1.0, [far, near])])
        [[1], [2, 1]]
    """
    ids: list[list[int]] = []
    seen: list[_TrackedAnimal] = []
    count = 0
    before = -np.inf
    for time_s, boxes in seconds:
        if not time_s > before:
            raise InputError(f"tracking needs ascending times, got {time_s:g} s after {before:g} s")
        before = time_s
        seen = [animal for animal in seen if time_s - animal.time_s <= settings.max_gap_s]
        matches = _match(seen, boxes, time_s, settings)
        now = []
        for index in range(len(boxes)):
            if index not in matches:
                count += 1
            now.append(matches.get(index, count))
        ids.append(now)
        fresh = [_TrackedAnimal(time_s, box, animal_id) for box, animal_id in zip(boxes, now, strict=True)]
        seen = [animal for animal in seen if animal.animal_id not in now] + fresh
    return ids


def _match(
    seen: Sequence[_TrackedAnimal], boxes: Sequence[Box], time_s: float, settings: TrackSettings
) -> dict[int, int]:
    """Animal id of every box (by its index) that continues an animal."""
    if not seen or not boxes:
        return {}
    # Sorted by place so that the order given can't decide between equally good matches.
    animals = sorted(seen, key=lambda animal: (animal.time_s, animal.box.xyxy))
    order = sorted(range(len(boxes)), key=lambda index: boxes[index].xyxy)
    gaps_s = np.array([time_s - animal.time_s for animal in animals])
    cost, possible = _costs(
        np.array([animal.box.xyxy for animal in animals]),
        np.array([boxes[index].xyxy for index in order]),
        gaps_s,
        settings,
    )
    # One impossible pair costs more than all possible ones together: as many animals as possible go on.
    forbidden = 1.0 + float(cost[possible].sum())
    return {
        order[column]: animals[row].animal_id
        for row, column in _assigned(np.where(possible, cost, forbidden))
        if possible[row, column]
    }


def _assigned(cost: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The pairs of rows and columns with the least sum of costs."""
    if cost.size == 1:
        return [(0, 0)]
    # Takes two thirds of a worker's start, and most media show one animal.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _costs(
    last: NDArray[np.float64], now: NDArray[np.float64], gaps_s: NDArray[np.float64], settings: TrackSettings
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cost of every animal (n) being every box (m), and whether it can be: both n x m.

    Args:
        last: n x 4, where the animals were.
        now: m x 4.
        gaps_s: n, since when.
        settings: limits.
    """
    sides_last, sides_now = last[:, None, 2:] - last[:, None, :2], now[None, :, 2:] - now[None, :, :2]
    moved = (now[None, :, :2] + now[None, :, 2:] - last[:, None, :2] - last[:, None, 2:]) / 2
    # Each axis in the box's own sides: fractions of a picture don't know its aspect.
    move = np.linalg.norm(moved / ((sides_last + sides_now) / 2), axis=-1)
    growth = np.abs(np.log(sides_now.prod(axis=-1) / sides_last.prod(axis=-1))) / 2
    move_share, growth_share = move / settings.reach, growth / np.log(settings.max_size_ratio)
    # Time widens what is possible, not what is likely: else an animal long gone would be the cheapest match.
    widen = np.maximum(gaps_s[:, None], 1.0) ** settings.reach_growth
    possible = (move_share <= widen) & (growth_share <= widen)
    unlike = settings.overlap_weight * (1 - iou(last, now)) + settings.age_weight * gaps_s[:, None]
    return move_share + growth_share + unlike, possible
