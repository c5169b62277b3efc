"""Tracks animals from second to second: finds the boxes of the same animal.

The boxes of each second are matched with the latest boxes of the animals by the Hungarian method (Kuhn 1955). The cost
combines distance, change of size and lack of overlap. It uses neither pixels nor predicted motion: assuming the last
speed helps with perfect boxes (simtrap: 99.2 instead of 99.0 % of links correct) but not with a detector's (95.9 instead
of 97.3 % with boxes jittered by a tenth and a fifth of them missing).
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
    """Limits and costs of matching a box with an animal."""

    max_gap_s: float = 12.0
    """An animal undetected for longer than this gets a new id."""
    reach: float = 2.0
    """The farthest that a box's centre may move in one second, in box sizes (width for x, height for y)."""
    reach_growth: float = 0.5
    """Power of the gap in seconds that multiplies reach: 0 constant, 0.5 a random walk, 1 a straight run."""
    max_size_ratio: float = 4.0
    """The largest factor by which the square root of a box's area may change in one second; grows like reach."""
    overlap_weight: float = 0.5
    """Cost of no overlap; a move by reach or a change of size by max_size_ratio costs 1."""
    age_weight: float = 0.1
    """Cost of each second without a detection: animals detected recently are matched first."""

    def __post_init__(self) -> None:
        if not (self.max_gap_s > 0 and self.reach > 0 and self.max_size_ratio > 1):
            raise InputError(f"tracking needs max_gap_s > 0, reach > 0 and max_size_ratio > 1, got {self}")
        if not (0 <= self.reach_growth <= 1 and self.overlap_weight >= 0 and self.age_weight >= 0):
            raise InputError(f"tracking needs reach_growth in 0..1 and weights >= 0, got {self}")


@dataclass(frozen=True, slots=True)
class TrackedAnimal:
    """Time and box of an animal's latest detection."""

    time_s: float
    box: Box
    animal_id: int


def track_animals(
    seconds: Sequence[tuple[float, Sequence[Box]]], settings: TrackSettings = TrackSettings()
) -> list[list[int]]:
    """The animal ids of the boxes of one video or photo, in the order of the boxes.

    Ids count from 1 in order of first appearance, and within a second in the order of the boxes. An id occurs at most
    once in a second. The order of boxes within a second affects the numbers only, not which boxes share one.

    Args:
        seconds: pairs of time_s and the boxes at that time, times ascending; steps may vary and boxes may be missing.
        settings: limits and costs of a match.

    Raises:
        InputError: the times don't ascend.

    Example:
        >>> near, far = Box(0.1, 0.1, 0.3, 0.3, 0.9), Box(0.7, 0.7, 0.9, 0.9, 0.8)
        >>> track_animals([(0.0, [near]), (1.0, [far, near])])
        [[1], [2, 1]]
    """
    ids: list[list[int]] = []
    animals: list[TrackedAnimal] = []
    n_animals = 0
    previous_s = -np.inf
    for time_s, boxes in seconds:
        if not time_s > previous_s:
            raise InputError(f"tracking needs ascending times, got {time_s:g} s after {previous_s:g} s")
        previous_s = time_s
        animals = [animal for animal in animals if time_s - animal.time_s <= settings.max_gap_s]
        matches = match_animals(animals, boxes, time_s, settings)
        present = []
        for index in range(len(boxes)):
            if index not in matches:
                n_animals += 1
            present.append(matches.get(index, n_animals))
        ids.append(present)
        updated = [TrackedAnimal(time_s, box, animal_id) for box, animal_id in zip(boxes, present, strict=True)]
        animals = [animal for animal in animals if animal.animal_id not in present] + updated
    return ids


def match_animals(
    animals: Sequence[TrackedAnimal], boxes: Sequence[Box], time_s: float, settings: TrackSettings
) -> dict[int, int]:
    """The animal id of each box (by its index) that matches an animal."""
    if not animals or not boxes:
        return {}
    # Sorted, so that their order doesn't decide between equally good matches.
    animals = sorted(animals, key=lambda animal: (animal.time_s, animal.box.xyxy))
    order = sorted(range(len(boxes)), key=lambda index: boxes[index].xyxy)
    gaps_s = np.array([time_s - animal.time_s for animal in animals])
    cost, possible = match_costs(
        np.array([animal.box.xyxy for animal in animals]),
        np.array([boxes[index].xyxy for index in order]),
        gaps_s,
        settings,
    )
    # An impossible pair costs more than all possible ones together, so that as many animals as possible are matched.
    forbidden = 1.0 + float(cost[possible].sum())
    return {
        order[column]: animals[row].animal_id
        for row, column in _assigned(np.where(possible, cost, forbidden))
        if possible[row, column]
    }


def _assigned(cost: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The pairs of rows and columns with the least total cost."""
    if cost.size == 1:
        return [(0, 0)]
    # Imported late: it takes two thirds of a worker's start, and most videos show one animal.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def match_costs(
    last: NDArray[np.float64], now: NDArray[np.float64], gaps_s: NDArray[np.float64], settings: TrackSettings
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The cost of matching each animal (n) with each box (m), and whether they can match: both n x m.

    Args:
        last: n x 4, the animals' latest boxes.
        now: m x 4, the boxes.
        gaps_s: n, the seconds since the animals' latest boxes.
        settings: limits and costs.
    """
    sides_last, sides_now = last[:, None, 2:] - last[:, None, :2], now[None, :, 2:] - now[None, :, :2]
    moved = (now[None, :, :2] + now[None, :, 2:] - last[:, None, :2] - last[:, None, 2:]) / 2
    # In units of the box's sides, since the picture's aspect ratio is unknown.
    move = np.linalg.norm(moved / ((sides_last + sides_now) / 2), axis=-1)
    growth = np.abs(np.log(sides_now.prod(axis=-1) / sides_last.prod(axis=-1))) / 2
    move_share, growth_share = move / settings.reach, growth / np.log(settings.max_size_ratio)
    # A gap widens the limits but not the costs; otherwise animals long gone would be the cheapest match.
    widen = np.maximum(gaps_s[:, None], 1.0) ** settings.reach_growth
    possible = (move_share <= widen) & (growth_share <= widen)
    unlike = settings.overlap_weight * (1 - iou(last, now)) + settings.age_weight * gaps_s[:, None]
    return move_share + growth_share + unlike, possible
