"""The half-normal key function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trapmeter.density.keys import MAX_SIGMA_IN_W, Floats, Key


@dataclass(frozen=True)
class HalfNormal(Key):
    """g(r) = exp(-r^2 / (2 sigma^2)) (Buckland et al. 2001, chapter 2)."""

    name: ClassVar[str] = "half-normal"
    parameter_names: ClassVar[tuple[str, ...]] = ("log_sigma",)

    def g(self, r_m: Floats, parameters: Floats) -> tuple[Floats, Floats]:
        """The function (m) and its slope (m, 1)."""
        half_square = 0.5 * (r_m * math.exp(-parameters[0])) ** 2
        g = np.exp(-half_square)
        return g, (2.0 * half_square * g)[:, None]

    def bounds(self, left_m: float, right_m: float) -> list[tuple[float, float]]:
        """Beyond these, nothing is seen inside the truncation, or all is."""
        return [(math.log(max(right_m / 1000, left_m / 10)), math.log(MAX_SIGMA_IN_W * right_m))]

    def starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """From a sixteenth of the truncation to twice as wide."""
        return [(math.log(share * right_m),) for share in (0.06, 0.12, 0.25, 0.4, 0.7, 2.0)]
