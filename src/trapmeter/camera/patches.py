"""Finds each patch of a reference photograph in a view that is already roughly aligned, by correlating edge directions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.camera.edges import Plane, edge_directions, grey_picture, shown_rows, warp
from trapmeter.camera.homography import Floats, Homography, carry_points, inverse
from trapmeter.records import Pixels

MIN_SHOWN = 0.8
"""Share of a patch that both pictures must show."""
MIN_EDGES = 1e-3
"""Mean squared length of edge directions, below which a patch has no edges to be found by."""
MIN_EDGES_FOUND = 0.3
"""Share of the mean energy around it below which a place counts as if it had that share, so that empty places don't win."""


@dataclass(frozen=True, slots=True)
class PatchSearch:
    """How to look for patches: the width to which pictures are scaled, the patch's side, the steps from patch to patch.

    reach_px: how far a patch is looked for, in each direction.
    """

    width_px: int
    patch_px: int
    step_px: int
    reach_px: int


@dataclass(frozen=True, slots=True)
class FoundPatches:
    """Patches that both pictures show and where they were found: n of each.

    reference: centres, n x 2 fractions of the reference. view: where they were found, n x 2 fractions of the view.
    offsets_px: how far from where they were expected, n x 2. likeness: correlation there, about 0..1. is_inside: False if it
    is best at the border of the search, so that the true place may lie beyond it.
    """

    reference: Floats
    view: Floats
    offsets_px: Floats
    likeness: Floats
    is_inside: NDArray[np.bool_]


def find_patches(reference: Pixels, view: Pixels, expected: Homography, search: PatchSearch) -> FoundPatches:
    """Looks for each patch of the reference around the place where the homography expects it."""
    start, end = grey_picture(reference, search.width_px), grey_picture(view, search.width_px)
    to_view_px = end.fractions_to_px @ expected @ inverse(start.fractions_to_px)
    aligned = warp(end, to_view_px, start.size_hw)
    patches, found = edge_directions(start), edge_directions(aligned)
    reach, side = search.reach_px, search.patch_px
    around = cv2.copyMakeBorder(found, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    energies, energies_around, shown = (
        cv2.boxFilter(plane, -1, (side, side), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
        for plane in ((patches**2).sum(axis=-1), (around**2).sum(axis=-1), aligned.shown)
    )
    rows = []
    for top, left in _corners(start.size_hw, search):
        energy = float(energies[top, left])
        if shown[top, left] < MIN_SHOWN * side * side or energy < MIN_EDGES * side * side:
            continue
        patch = patches[top : top + side, left : left + side]
        place = around[top : top + side + 2 * reach, left : left + side + 2 * reach]
        energy_there = energies_around[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
        product: Plane = cv2.matchTemplate(place, patch, cv2.TM_CCORR).astype(np.float32)
        likeness = product / np.sqrt(energy * np.maximum(energy_there, MIN_EDGES_FOUND * energy_there.mean() + 1e-6))
        rows.append((left + (side - 1) / 2, top + (side - 1) / 2, *_best_offset(likeness)))
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    centres_px, offsets_px = table[:, :2], table[:, 2:4]
    return FoundPatches(
        reference=carry_points(centres_px, inverse(start.fractions_to_px)),
        view=carry_points(centres_px + offsets_px, inverse(end.fractions_to_px) @ to_view_px),
        offsets_px=offsets_px,
        likeness=table[:, 4],
        is_inside=table[:, 5] > 0,
    )


def _corners(size_hw: tuple[int, int], search: PatchSearch) -> Iterator[tuple[int, int]]:
    """Top left corners of patches, spread evenly between the strips of text."""
    first, last = shown_rows(size_hw[0])
    for top in _steps(first, last, search):
        for left in _steps(0, size_hw[1], search):
            yield top, left


def _steps(first: int, last: int, search: PatchSearch) -> range:
    n_steps = (last - first - search.patch_px) // search.step_px
    rest = (last - first - search.patch_px) - n_steps * search.step_px
    return range(first + rest // 2, last - search.patch_px + 1, search.step_px)


def _best_offset(likeness: Plane) -> tuple[float, float, float, bool]:
    """Offset to the right and down in pixels, the correlation there, and whether it lies inside the search."""
    row, column = divmod(int(likeness.argmax()), likeness.shape[1])
    reach = likeness.shape[0] // 2
    is_inside = 0 < row < 2 * reach and 0 < column < 2 * reach
    right, down = float(column - reach), float(row - reach)
    if is_inside:
        right += _peak(likeness[row, column - 1 : column + 2])
        down += _peak(likeness[row - 1 : row + 2, column])
    return right, down, float(likeness[row, column]), is_inside


def _peak(values: NDArray[np.floating]) -> float:
    """Where the parabola through three values has its maximum, -0.5..0.5 from the middle one, which is the largest."""
    before, middle, after = (float(value) for value in values)
    curvature = before - 2 * middle + after
    return 0.0 if math.isclose(curvature, 0.0, abs_tol=1e-9) else 0.5 * (before - after) / curvature
