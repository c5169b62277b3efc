"""The uniform key function, which is of use with adjustments only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trapmeter.density.keys import Floats, Key


@dataclass(frozen=True)
class Uniform(Key):
    """g(r) = 1."""

    name: ClassVar[str] = "uniform"
    parameter_names: ClassVar[tuple[str, ...]] = ()

    def g(self, r_m: Floats, parameters: Floats) -> tuple[Floats, Floats]:
        """Ones (m) and no slopes (m, 0)."""
        return np.ones_like(r_m), np.zeros((len(r_m), 0))

    def bounds(self, left_m: float, right_m: float) -> list[tuple[float, float]]:
        """No parameters."""
        return []

    def starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """No parameters."""
        return [()]
