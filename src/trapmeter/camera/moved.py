"""Decides for each background of a site whether the reference photograph's positions can be carried to it, and how.

A background that can't be registered to the reference may be registered to another one that can: a night to the day before
it, and the day to the reference. The errors of such a chain add up, so chains are short, their summed error is limited, and a
second chain must lead to the same place where there is one. A background that is registered to the reference itself never
depends on others: over a long survey, errors do not grow with time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np

from trapmeter.camera.background import Background
from trapmeter.camera.homography import Homography, carry_points, join, overlap_share, picture_grid
from trapmeter.camera.registration import Registration, register
from trapmeter.records import Pixels

Register: TypeAlias = Callable[[Pixels, Pixels], Registration]
MAX_LINKS = 3
"""Registrations in a chain, at most."""
MAX_CHAIN_ERROR = 0.02
"""Sum of the errors of a chain, as a fraction of the picture's height."""
MIN_CHAIN_OVERLAP = 0.3
MAX_DISAGREEMENT = 0.01
"""How far two chains may lead apart, as a fraction of the height, beyond the errors that they claim."""
N_NEIGHBOURS = 4
"""Placed backgrounds tried for one that is not, nearest in time first."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a background shows the positions of the reference photograph.

    homography: maps positions in the reference to those in the background, in fractions; None if the camera moved or the
    background can't be judged. through: positions in the list of backgrounds that the chain leads through, () if it is
    registered to the reference itself. error: typical error as a fraction of the height, summed over the chain; inf without
    homography. overlap: the share of the reference that it shows, 0..1. reason: how the camera moved, or why there is no
    homography.
    """

    homography: Homography | None
    through: tuple[int, ...]
    error: float
    overlap: float
    reason: str

    @property
    def is_usable(self) -> bool:
        """Whether positions of the reference can be carried to the background."""
        return self.homography is not None


def place_backgrounds(
    reference: Pixels, backgrounds: Sequence[Background], register: Register = register
) -> tuple[Placement, ...]:
    """The placement of each background, in their order.

    backgrounds: of one site, in order of time. register: registers its first picture to its second.
    """
    placed: dict[int, Placement] = {}
    reasons: dict[int, str] = {}
    for i, background in enumerate(backgrounds):
        found = register(reference, background.pixels)
        reasons[i] = found.reason
        if found.homography is not None:
            placed[i] = Placement(found.homography, (), found.error, found.overlap, found.reason)
    registered: dict[tuple[int, int], Registration] = {}

    def register_once(j: int, i: int) -> Registration:
        if (j, i) not in registered:
            registered[j, i] = register(backgrounds[j].pixels, backgrounds[i].pixels)
        return registered[j, i]

    disagreements: dict[int, str] = {}
    for _ in range(MAX_LINKS - 1):
        # Only through what was placed before this round: each round makes chains longer by one link.
        newly: dict[int, Placement] = {}
        for i in set(range(len(backgrounds))) - set(placed):
            through = (_chained(j, placed[j], register_once(j, i)) for j in _nearest(i, backgrounds, placed))
            chains = list(islice(filter(None, through), 2))
            disagreements[i] = _disagreement(chains, _aspect(backgrounds[i]))
            if chains and not disagreements[i]:
                newly[i] = min(chains, key=lambda chain: chain.error)
        if not newly:
            break
        placed |= newly
    for i in set(range(len(backgrounds))) - set(placed):
        reason = "; ".join(filter(None, (reasons[i], disagreements.get(i, ""))))
        placed[i] = Placement(None, (), math.inf, 0.0, _moved_reason(i, backgrounds, placed, reason))
    return tuple(placed[i] for i in range(len(backgrounds)))


def placement_by_medium(backgrounds: Sequence[Background], placements: Sequence[Placement]) -> dict[str, Placement]:
    """The placement of each medium, by media_id: that of the background that it is part of."""
    pairs = zip(backgrounds, placements, strict=True)
    return {media_id: placement for background, placement in pairs for media_id in background.media_ids}


def _nearest(i: int, backgrounds: Sequence[Background], placed: dict[int, Placement]) -> list[int]:
    """Placed backgrounds nearest in time, those of the same light first among equally near ones."""
    light = backgrounds[i].is_night
    return sorted(placed, key=lambda j: (abs(i - j), backgrounds[j].is_night != light, j))[:N_NEIGHBOURS]


def _chained(j: int, before: Placement, link: Registration) -> Placement | None:
    """The placement through background j; None if it is not good enough."""
    if before.homography is None or link.homography is None:
        return None
    homography = join(before.homography, link.homography)
    error, overlap = before.error + link.error, overlap_share(homography)
    if error > MAX_CHAIN_ERROR or overlap < MIN_CHAIN_OVERLAP:
        return None
    return Placement(
        homography, (*before.through, j), error, overlap, "; ".join(filter(None, (before.reason, link.reason)))
    )


def _disagreement(chains: Sequence[Placement], aspect: float) -> str:
    """How far the first two chains lead apart, if that is too far; else ""."""
    if len(chains) < 2:
        return ""
    first, second = chains[0].homography, chains[1].homography
    assert first is not None
    assert second is not None
    carried = carry_points(picture_grid(), first)
    is_shown = ((carried >= 0) & (carried <= 1)).all(axis=1)
    apart = ((carried - carry_points(picture_grid(), second)) * (aspect, 1.0))[is_shown]
    distance = float(np.sqrt((apart**2).sum(axis=1).mean()))
    allowed = MAX_DISAGREEMENT + chains[0].error + chains[1].error
    return "" if distance <= allowed else f"two ways through other pictures lead {distance:.1%} of the height apart"


def _moved_reason(i: int, backgrounds: Sequence[Background], placed: dict[int, Placement], reason: str) -> str:
    """Why a background has no placement, with the last one before it that has."""
    usable = [j for j in placed if placed[j].is_usable]
    before = [j for j in usable if j < i]
    if not before:
        return f"no picture up to this time shows the view of the reference photograph: {reason}"
    last = backgrounds[max(before)].last
    since = "" if last is None else f" since {last:%Y-%m-%d %H:%M}"
    if any(j > i for j in usable):
        return f"the camera may have moved for a while: this picture doesn't show the view, but later ones do: {reason}"
    return f"the camera moved{since}: {reason}"


def _aspect(background: Background) -> float:
    height, width = background.pixels.shape[:2]
    return float(width / height)
