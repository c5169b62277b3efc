"""What a key function is: the share of animals seen at a distance, before any adjustment. One file holds each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_SIGMA_IN_W = 10.0
"""A half-normal that is ten times as wide as the truncation falls by 0.5 % inside it: no data tell it from a wider one."""


class Key(ABC):
    """A key function g(r) with g(0) = 1 that never rises, told by logarithms of its parameters.

    Logarithms keep parameters positive without a bound and make them of about one size, as an optimiser wants.
    """

    name: ClassVar[str]
    parameter_names: ClassVar[tuple[str, ...]]
    """The first is log_sigma (of metres) where the key has a scale."""

    @abstractmethod
    def g(self, r_m: Floats, parameters: Floats) -> tuple[Floats, Floats]:
        """The function at distances (m, metres) and its slopes in the parameters (m, parameters)."""

    @abstractmethod
    def bounds(self, left_m: float, right_m: float) -> list[tuple[float, float]]:
        """The least and the greatest value of each parameter, given the truncation (metres)."""

    @abstractmethod
    def starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """Parameters from which the best fit may be sought, given the right truncation (metres)."""

    def adjusted_starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """Parameters from which the best fit may be sought where terms bend the key besides."""
        return self.starts(right_m)
