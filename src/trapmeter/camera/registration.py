"""Registers a reference photograph to a later picture of the same site, whose camera may have moved, or refuses to.

First the camera is taken to be where it was. If the pictures don't fit like that, rough alignments are tried. Each is refined
by finding patches of the reference in the view. The test of the result is how many of the patches that both pictures show are
found exactly where it expects them, against the number that chance gives. `docs/results/registration.md` has the figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trapmeter.camera.homography import MIN_OVERLAP, Homography, implausible_motion, largest_shift, overlap_share
from trapmeter.camera.patches import FoundPatches, PatchSearch, find_patches
from trapmeter.camera.refinement import FINE, ROUGH, Refined, refine
from trapmeter.camera.rough_alignment import rough_alignments
from trapmeter.records import Pixels

TEST = PatchSearch(480, 40, 40, 8)
"""Patches that don't overlap, each of which chance finds at any of 17 x 17 places."""
MAX_OFFSET_PX = 1.5
CHANCE = 9 / (2 * TEST.reach_px + 1) ** 2
"""The share of the places within MAX_OFFSET_PX."""
MIN_EVIDENCE = 8.0
"""Twice what the likest of 200 pairs of different sites reached."""
SURE_EVIDENCE = 25.0
"""Evidence from which no other alignment is tried."""
MIN_INLIERS = 10
MIN_CELLS = 3
"""Of the 3 x 3 cells of the reference, those in which inliers must lie: one thing that both pictures show is no view."""
MIN_IN_MIDDLE = 4
"""Inliers in the middle third of the height: strips of text that are higher than those left out lie at the top and bottom."""
MAX_ERROR = 0.02
SAME_VIEW_SHIFT = 0.01
"""Largest shift, in picture heights, up to which the view counts as the same."""
N_ROUGH = 6
N_FINE = 2
"""How many rough alignments are refined roughly, and how many of these to the end."""
IDENTITY: Homography = np.eye(3)


class Verdict(StrEnum):
    """What a registration found out.

    same_view: the camera has not moved. shifted: it has, and the homography says how. unrelated: the pictures can't be
    registered, because the camera looks elsewhere or too little is to be seen.
    """

    SAME_VIEW = "same_view"
    SHIFTED = "shifted"
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True)
class Registration:
    """Where a view shows what a reference photograph shows.

    homography: maps positions in the reference to those in the view, both in fractions of width and height; None if the
    verdict is unrelated. n_inliers, n_patches: patches found where it expects them, and those looked for. error: its typical
    error where both show the scene, as a fraction of the view's height; inf without homography. overlap: the share of the
    reference that the view shows, 0..1. evidence: chance gives as many inliers in one of 10 ** evidence cases. reason: why
    the pictures can't be registered, or how the camera has moved; "" for the same view.
    """

    verdict: Verdict
    homography: Homography | None
    n_inliers: int
    n_patches: int
    error: float
    overlap: float
    evidence: float
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.verdict is Verdict.UNRELATED) != (self.homography is None):
            raise ValueError(f"only related pictures have a homography, got {self.verdict} and {self.homography}")


def register(reference: Pixels, view: Pixels) -> Registration:
    """Registers the reference photograph to the view. The pictures may differ in size and light; no random numbers are used.

    Best are pictures without animals, as `trapmeter.camera.background` makes them. The strips at the top and bottom of both,
    with date and logo, are left out. A camera may have turned so that up to a third of the picture's width or height is lost,
    rotated by up to 8 degrees, and been zoomed by up to a quarter.
    """
    best = _tested(reference, view, refine(reference, view, IDENTITY, (*ROUGH, *FINE)))
    if best.doubt or best.evidence < SURE_EVIDENCE:
        starts = rough_alignments(reference, view, N_ROUGH)
        rough = [refine(reference, view, start.homography, ROUGH) for start in starts]
        likely = sorted((found for found in rough if found is not None), key=lambda found: -found.support)[:N_FINE]
        fine = [refine(reference, view, found.homography, FINE) for found in likely]
        others = [_tested(reference, view, found) for found in fine]
        best = max([best, *others], key=lambda candidate: (not candidate.doubt, candidate.evidence))
    overlap = 0.0 if best.homography is None else overlap_share(best.homography)
    figures = (best.n_inliers, best.n_patches, best.error, overlap, best.evidence)
    if best.doubt or best.homography is None:
        return Registration(Verdict.UNRELATED, None, *figures[:2], math.inf, *figures[3:], best.doubt)
    shift = largest_shift(best.homography, view.shape[1] / view.shape[0])
    if shift <= SAME_VIEW_SHIFT:
        return Registration(Verdict.SAME_VIEW, best.homography, *figures)
    return Registration(
        Verdict.SHIFTED, best.homography, *figures, f"the view has shifted by up to {shift:.1%} of the picture's height"
    )


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A refined homography with its test; doubt: why it is refused, or ""."""

    homography: Homography | None
    doubt: str
    n_inliers: int = 0
    n_patches: int = 0
    error: float = math.inf
    evidence: float = 0.0


def _tested(reference: Pixels, view: Pixels, refined: Refined | None) -> _Candidate:
    """The homography with its test."""
    if refined is None:
        return _Candidate(None, "too little is to be seen that both pictures show")
    if implausible := implausible_motion(refined.in_widths):
        return _Candidate(None, f"the pictures don't show the same view ({implausible})")
    tested = find_patches(reference, view, refined.homography, TEST)
    is_inlier = tested.is_inside & (np.hypot(*tested.offsets_px.T) <= MAX_OFFSET_PX)
    n_inliers, n_patches = int(is_inlier.sum()), len(is_inlier)
    evidence = binomial_evidence(n_inliers, n_patches, CHANCE)
    doubt = _doubt(tested, is_inlier, evidence, refined.error, overlap_share(refined.homography))
    return _Candidate(refined.homography, doubt, n_inliers, n_patches, refined.error, evidence)


def _doubt(tested: FoundPatches, is_inlier: NDArray[np.bool_], evidence: float, error: float, overlap: float) -> str:
    """Why a homography is refused; "" if it is accepted."""
    n_inliers = int(is_inlier.sum())
    if overlap < MIN_OVERLAP:
        return f"the pictures would share only {overlap:.0%} of what they show"
    if n_inliers < MIN_INLIERS or evidence < MIN_EVIDENCE:
        return f"the pictures don't show the same view ({n_inliers} of {len(is_inlier)} patches agree)"
    cells = {(int(3 * x), int(3 * y)) for x, y in tested.reference[is_inlier]}
    n_in_middle = int((np.abs(tested.reference[is_inlier, 1] - 0.5) < 1 / 6).sum())
    if len(cells) < MIN_CELLS or n_in_middle < MIN_IN_MIDDLE:
        return "the pictures agree in one part only"
    if not error <= MAX_ERROR:
        return f"the camera's shift is too uncertain (error of {error:.1%} of the picture's height)"
    return ""


def binomial_evidence(n_hits: int, n_tries: int, chance: float) -> float:
    """How unlikely so many hits are by chance: -log10 of the bound of Hoeffding (1963, theorem 1) on their probability."""
    share = n_hits / n_tries if n_tries else 0.0
    if share <= chance:
        return 0.0
    divergence = share * math.log(share / chance)
    if share < 1.0:
        divergence += (1 - share) * math.log((1 - share) / (1 - chance))
    return n_tries * divergence / math.log(10)
