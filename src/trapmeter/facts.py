"""What is known about an animal and its camera, as models take it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class Facts:
    """Numbers about an animal and its camera at one second; None where nobody knows.

    Every model that takes facts must also answer without any: users know all, some or none.
    """

    hfov_deg: float | None = None
    """The camera's horizontal field of view."""
    aspect_ratio: float | None = None
    """Width over height of the picture."""
    shoulder_m: float | None = None
    """The animal's shoulder height, by its species or as stated."""
    camera_height_m: float | None = None
    """Of the lens above the ground."""
    pitch_deg: float | None = None
    """Of the camera; negative if it looks down."""

    def __post_init__(self) -> None:
        for name in ("hfov_deg", "aspect_ratio", "shoulder_m", "camera_height_m"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be a number above 0, got {value}")
        if self.hfov_deg is not None and self.hfov_deg >= 180:
            raise InputError(f"hfov_deg must be below 180, got {self.hfov_deg}")
        if self.pitch_deg is not None and not -90 <= self.pitch_deg <= 90:
            raise InputError(f"pitch_deg must be -90 to 90, got {self.pitch_deg}")


NO_FACTS = Facts()
