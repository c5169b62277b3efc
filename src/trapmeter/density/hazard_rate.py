"""The hazard-rate key function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trapmeter.density.keys import Floats, Key

MAX_EXPONENT = 700.0
"""exp() of more overflows; the key is 1 to the last digit long before."""
MAX_SHAPE = 50.0
"""From here on the key is a step for any data, and integrals on fixed points would lose their digits."""


@dataclass(frozen=True)
class HazardRate(Key):
    """g(r) = 1 - exp(-(r / sigma)^-b) (Buckland et al. 2001, chapter 2)."""

    name: ClassVar[str] = "hazard-rate"
    parameter_names: ClassVar[tuple[str, ...]] = ("log_sigma", "log_shape")

    def g(self, r_m: Floats, parameters: Floats) -> tuple[Floats, Floats]:
        """The function (m) and its slopes (m, 2)."""
        shape = math.exp(parameters[1])
        with np.errstate(divide="ignore"):
            exponent = np.minimum(shape * (parameters[0] - np.log(r_m)), MAX_EXPONENT)
        hazard = np.exp(exponent)
        slope = hazard * np.exp(-hazard)
        return -np.expm1(-hazard), np.stack([shape * slope, exponent * slope], axis=1)

    def bounds(self, left_m: float, right_m: float) -> list[tuple[float, float]]:
        """Sigma not below the left truncation: there its shoulder would lie where nobody looked, and Pa could be anything.

        b >= 1, or there is no shoulder at all (Buckland et al. 2001, chapter 2).
        """
        return [
            (math.log(max(right_m / 1000, left_m)), math.log(10 * right_m)),
            (0.0, math.log(MAX_SHAPE)),
        ]

    def starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """Narrow to wide, each spiked and with a broad shoulder."""
        return [
            (math.log(share * right_m), math.log(shape))
            for share in (0.1, 0.2, 0.4, 0.6, 0.9)
            for shape in (1.5, 3.0, 7.0)
        ]

    def adjusted_starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """Broad shoulders only.

        Terms can undo the long tail of a spike at the camera, which fits some data a little better and means a density many
        times as high. Such a maximum of the likelihood is not sought.
        """
        return [(math.log(share * right_m), math.log(shape)) for share in (0.4, 0.6, 0.9) for shape in (3.0, 7.0)]
