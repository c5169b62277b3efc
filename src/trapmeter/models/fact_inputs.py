"""What is known about an animal and its camera as numbers for a network. Light to import.

A number is NaN where nothing is known. Lengths and lenses are logarithms, since a distance is a product of them: through a
pinhole, an animal of shoulder height S whose box fills the share h of the picture's height is about S / (2 t h) away, where t
is the tangent of half the vertical field of view (Hartley and Zisserman 2004, section 6.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trapmeter.facts import Facts

if TYPE_CHECKING:
    from trapmeter.records import Box

MAX_PITCH_DEG = 85.0
"""Steeper cameras count as this steep, so that the tangent stays finite."""


@dataclass(frozen=True, slots=True)
class FactInput:
    """One number: how it follows from the facts and the animal's box, and its usual mean and standard deviation.

    Networks standardise the number with mean and sd, so neither may change while there are networks that were trained with
    them.
    """

    value: Callable[[Facts, Box | None], float | None]
    mean: float
    sd: float


def _log_tan_half_hfov(facts: Facts, _: Box | None) -> float | None:
    return None if facts.hfov_deg is None else math.log(math.tan(math.radians(facts.hfov_deg) / 2))


def _log_tan_half_vfov(facts: Facts, _: Box | None) -> float | None:
    across = _log_tan_half_hfov(facts, None)
    return None if across is None or facts.aspect_ratio is None else across - math.log(facts.aspect_ratio)


def _tan_pitch(facts: Facts, _: Box | None) -> float | None:
    if facts.pitch_deg is None:
        return None
    return math.tan(math.radians(min(max(facts.pitch_deg, -MAX_PITCH_DEG), MAX_PITCH_DEG)))


def _log(value: float | None) -> float | None:
    return None if value is None else math.log(value)


LOG_TAN_HALF_VFOV, LOG_TAN_HALF_HFOV, TAN_PITCH = "log_tan_half_vfov", "log_tan_half_hfov", "tan_pitch"
LOG_SHOULDER_M, LOG_CAMERA_HEIGHT_M = "log_shoulder_m", "log_camera_height_m"
LOG_BOX_HEIGHT, BOX_BOTTOM = "log_box_height", "box_bottom"

FACT_INPUTS: Mapping[str, FactInput] = {
    # Networks see pictures stretched to their size, so that the vertical field of view tells an animal's height.
    LOG_TAN_HALF_VFOV: FactInput(_log_tan_half_vfov, -1.6, 0.4),
    LOG_TAN_HALF_HFOV: FactInput(_log_tan_half_hfov, -1.0, 0.4),
    LOG_SHOULDER_M: FactInput(lambda facts, _: _log(facts.shoulder_m), -0.5, 0.7),
    LOG_CAMERA_HEIGHT_M: FactInput(lambda facts, _: _log(facts.camera_height_m), -0.2, 0.6),
    TAN_PITCH: FactInput(_tan_pitch, -0.1, 0.15),
    LOG_BOX_HEIGHT: FactInput(lambda _, box: None if box is None else math.log(box.y2 - box.y1), -1.7, 0.8),
    BOX_BOTTOM: FactInput(lambda _, box: None if box is None else box.y2, 0.7, 0.2),
}
"""Every number that a network can take besides its pictures, by name."""

TOLD_LENS = frozenset({LOG_TAN_HALF_VFOV, LOG_TAN_HALF_HFOV})
"""Numbers that tell a network the lens."""
TOLD_MOUNTING = frozenset({LOG_CAMERA_HEIGHT_M, TAN_PITCH})
"""Numbers that together tell a network how the camera is mounted."""


def takes_size(names: Collection[str]) -> bool:
    """Whether a network that takes numbers of these names can tell a distance by size."""
    return not TOLD_LENS.isdisjoint(names) and LOG_SHOULDER_M in names


def fact_values(facts: Facts, box: Box | None, names: tuple[str, ...]) -> tuple[float, ...]:
    """The numbers of these names, in their order; NaN for what is unknown. box: the animal's as the network gets it."""
    values = (FACT_INPUTS[name].value(facts, box) for name in names)
    return tuple(math.nan if value is None else value for value in values)
