"""Which facts a network is told about a training window: hidden at random, so that it serves who knows all, some or none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from trapmeter.facts import Facts
from trapmeter.settings import Range, check_ranges

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSettings:
    """How often facts are hidden from a network in training, and how far those that it is told are off."""

    p_none: Annotated[float, Range(0, 1)] = 0.4
    """Share of the windows shown without any fact."""
    p_hidden: Annotated[float, Range(0, 1)] = 0.3
    """Share of the other windows from which each fact is hidden, independently of the others."""
    lens_sd_log: Annotated[float, Range(least=0)] = 0.03
    """Standard deviation of errors in the tangent of half the field of view, in logarithms."""
    shoulder_sd_log: Annotated[float, Range(least=0)] = 0.1
    """Standard deviation of errors in shoulder heights, in logarithms: users know the species, not the individual."""
    camera_height_sd_log: Annotated[float, Range(least=0)] = 0.05
    """Standard deviation of errors in camera heights, in logarithms."""
    pitch_sd_deg: Annotated[float, Range(least=0, unit="degrees")] = 1.0
    """Standard deviation of errors in the camera's pitch."""

    def __post_init__(self) -> None:
        check_ranges(self)


MAX_PITCH_DEG = 90.0


def told_facts(facts: Facts, settings: FactSettings, rng: np.random.Generator) -> Facts:
    """The facts as one window's network is told them: each with its error or None. It always draws as many numbers."""
    shows_none, *hidden = rng.random(5).tolist()
    lens, shoulder, camera_height, pitch = (
        shows_none >= settings.p_none and draw >= settings.p_hidden for draw in hidden
    )
    lens_error, shoulder_error, height_error, pitch_error = rng.standard_normal(4).tolist()
    return replace(
        facts,
        hfov_deg=scaled_hfov_deg(facts.hfov_deg, math.exp(settings.lens_sd_log * lens_error)) if lens else None,
        shoulder_m=_scaled(facts.shoulder_m, math.exp(settings.shoulder_sd_log * shoulder_error)) if shoulder else None,
        camera_height_m=_scaled(facts.camera_height_m, math.exp(settings.camera_height_sd_log * height_error))
        if camera_height
        else None,
        pitch_deg=_shifted(facts.pitch_deg, settings.pitch_sd_deg * pitch_error) if pitch else None,
    )


def scaled_hfov_deg(hfov_deg: float | None, scale: float) -> float | None:
    """The field of view of a lens whose tangent of half of it is scale times as large."""
    if hfov_deg is None:
        return None
    return 2 * math.degrees(math.atan(scale * math.tan(math.radians(hfov_deg) / 2)))


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _shifted(pitch_deg: float | None, shift_deg: float) -> float | None:
    return None if pitch_deg is None else min(max(pitch_deg + shift_deg, -MAX_PITCH_DEG), MAX_PITCH_DEG)
