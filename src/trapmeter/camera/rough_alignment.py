"""A rough alignment of two pictures: tries scales and rotations, and for each finds the best shift at once.

The shift is found by correlating edge directions through the Fourier transform (orientation correlation; Fitch, Kadyrov,
Christmas and Kittler 2002). Nothing is detected or matched, so it works on pictures with few distinct points, as at night.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.camera.edges import Plane, edge_directions, grey_picture, warp
from trapmeter.camera.homography import Homography, inverse
from trapmeter.records import Pixels

WIDTH_PX = 160
SCALES = tuple(1.077**step for step in range(-3, 4))
ROTATIONS_DEG = (-6.0, -3.0, 0.0, 3.0, 6.0)
MAX_SHIFT = 0.35
"""Share of the view's width and height."""
MIN_SHARE = 0.25
"""Share of a picture's edges below which an overlap counts as if it had that share, so that slivers don't win."""


@dataclass(frozen=True, slots=True)
class RoughAlignment:
    """A candidate: maps reference to view, both in fractions. score: correlation of edge directions, at most 1."""

    homography: Homography
    score: float
    scale: float
    rotation_deg: float
    shift_px: tuple[int, int]


def rough_alignments(reference: Pixels, view: Pixels, n_best: int) -> list[RoughAlignment]:
    """The n_best alignments that differ from each other, best first; scale and rotation are about the centre."""
    from scipy import fft

    shown = grey_picture(view, WIDTH_PX)
    start = grey_picture(reference, WIDTH_PX)
    height, width = shown.size_hw
    size = (fft.next_fast_len(2 * height), fft.next_fast_len(2 * width))

    def spectrum(plane: NDArray[np.generic]) -> NDArray[np.complex64]:
        return fft.fft2(plane.astype(np.complex64), size).astype(np.complex64, copy=False)

    directions = edge_directions(shown)
    energy = (directions**2).sum(axis=-1)
    view_directions, view_energy, view_shown = (spectrum(p) for p in (_complex(directions), energy, shown.shown))
    reach = (int(MAX_SHIFT * height), int(MAX_SHIFT * width))
    found = []
    for scale in SCALES:
        for rotation_deg in ROTATIONS_DEG:
            to_view = _about_centres(start.size_hw, shown.size_hw, scale, rotation_deg)
            turned = warp(start, inverse(to_view), shown.size_hw)
            turned_directions = edge_directions(turned)
            turned_energy = (turned_directions**2).sum(axis=-1)
            product = fft.ifft2(view_directions * spectrum(_complex(turned_directions)).conj()).real
            # Both are real, so they share one transform: the energy of each picture where the other one shows the scene.
            both = fft.ifft2(
                view_energy * spectrum(turned.shown).conj() + 1j * view_shown * spectrum(turned_energy).conj()
            )
            of_view = np.maximum(both.real, MIN_SHARE * energy.sum())
            of_reference = np.maximum(both.imag, MIN_SHARE * turned_energy.sum())
            score = product / np.sqrt(np.maximum(of_view * of_reference, 1e-6))
            near = np.roll(score, reach, axis=(0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
            row, column = divmod(int(near.argmax()), near.shape[1])
            down, right = row - reach[0], column - reach[1]
            shifted = np.array([[1.0, 0.0, right], [0.0, 1.0, down], [0.0, 0.0, 1.0]]) @ to_view
            homography = inverse(shown.fractions_to_px) @ shifted @ start.fractions_to_px
            found.append(RoughAlignment(homography, float(near[row, column]), scale, rotation_deg, (down, right)))
    return _distinct(found, n_best)


def _complex(directions: Plane) -> NDArray[np.complex64]:
    return directions.view(np.complex64)[..., 0]


def _about_centres(from_hw: tuple[int, int], to_hw: tuple[int, int], scale: float, rotation_deg: float) -> Homography:
    """Scales and rotates, in pixels, and puts the centre of the first picture onto that of the second."""
    centre = ((from_hw[1] - 1) / 2, (from_hw[0] - 1) / 2)
    matrix = np.vstack([cv2.getRotationMatrix2D(centre, rotation_deg, scale), (0.0, 0.0, 1.0)])
    matrix[:2, 2] += (to_hw[1] - from_hw[1]) / 2, (to_hw[0] - from_hw[0]) / 2
    return matrix


def _distinct(found: list[RoughAlignment], n_best: int) -> list[RoughAlignment]:
    """The best of them, without the neighbours of better ones."""
    kept: list[RoughAlignment] = []
    for candidate in sorted(found, key=lambda alignment: -alignment.score):
        if not any(_is_near(candidate, better) for better in kept):
            kept.append(candidate)
        if len(kept) == n_best:
            break
    return kept


def _is_near(a: RoughAlignment, b: RoughAlignment) -> bool:
    shift_px = abs(a.shift_px[0] - b.shift_px[0]) + abs(a.shift_px[1] - b.shift_px[1])
    return abs(math.log(a.scale / b.scale)) < 0.1 and abs(a.rotation_deg - b.rotation_deg) <= 3.0 and shift_px <= 8
