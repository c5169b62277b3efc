"""Key functions: the share of animals detected at each distance, before any adjustment."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trapmeter.density.detection.quadrature import Floats

MAX_SIGMA_IN_W = 10.0
"""A half-normal ten times as wide as the truncation falls by 0.5 % inside it: no data distinguish it from a wider one."""


class KeyFunction(ABC):
    """A key function g(r) with g(0) = 1 that never rises, given by the logarithms of its parameters.

    Logarithms keep parameters positive without a bound and of similar size, which suits an optimiser.
    """

    name: ClassVar[str]
    parameter_names: ClassVar[tuple[str, ...]]
    """The first is log_sigma (of metres) if the key has a scale."""

    @abstractmethod
    def g(self, r_m: Floats, parameters: Floats) -> tuple[Floats, Floats]:
        """The function at distances (m, metres) and its slopes in the parameters (m, parameters)."""

    @abstractmethod
    def bounds(self, left_m: float, right_m: float) -> list[tuple[float, float]]:
        """The lowest and highest value of each parameter for a truncation (metres)."""

    @abstractmethod
    def starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """Starting points of the search for the best fit, for a right truncation (metres)."""

    def adjusted_starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """Starting points of the search when adjustment terms are fitted too."""
        return self.starts(right_m)


@dataclass(frozen=True)
class HalfNormal(KeyFunction):
    """g(r) = exp(-r^2 / (2 sigma^2)) (Buckland et al. 2001, chapter 2)."""

    name: ClassVar[str] = "half-normal"
    parameter_names: ClassVar[tuple[str, ...]] = ("log_sigma",)

    def g(self, r_m: Floats, parameters: Floats) -> tuple[Floats, Floats]:
        """The function (m) and its slope (m, 1)."""
        half_square = 0.5 * (r_m * math.exp(-parameters[0])) ** 2
        g = np.exp(-half_square)
        return g, (2.0 * half_square * g)[:, None]

    def bounds(self, left_m: float, right_m: float) -> list[tuple[float, float]]:
        """Beyond these, nothing or everything is detected inside the truncation."""
        return [(math.log(max(right_m / 1000, left_m / 10)), math.log(MAX_SIGMA_IN_W * right_m))]

    def starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """From a sixteenth of the truncation to twice the truncation."""
        return [(math.log(share * right_m),) for share in (0.06, 0.12, 0.25, 0.4, 0.7, 2.0)]


MAX_EXPONENT = 700.0
"""exp() of more overflows; long before, the key is 1 to the last digit."""
MAX_SHAPE = 50.0
"""Above it the key is a step for any data, and integrals on fixed nodes would lose their digits."""


@dataclass(frozen=True)
class HazardRate(KeyFunction):
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
        """Sigma is at least the left truncation: otherwise the shoulder lies where there are no data, and Pa is arbitrary.

        b >= 1, or there is no shoulder (Buckland et al. 2001, chapter 2).
        """
        return [
            (math.log(max(right_m / 1000, left_m)), math.log(10 * right_m)),
            (0.0, math.log(MAX_SHAPE)),
        ]

    def starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """Narrow to wide, from a spike to a broad shoulder."""
        return [
            (math.log(share * right_m), math.log(shape))
            for share in (0.1, 0.2, 0.4, 0.6, 0.9)
            for shape in (1.5, 3.0, 7.0)
        ]

    def adjusted_starts(self, right_m: float) -> Sequence[tuple[float, ...]]:
        """Broad shoulders only.

        Terms can cancel the long tail of a spike at the camera. That fits some data a little better, but implies a density
        many times as high, so the search avoids such a maximum of the likelihood.
        """
        return [(math.log(share * right_m), math.log(shape)) for share in (0.4, 0.6, 0.9) for shape in (3.0, 7.0)]


@dataclass(frozen=True)
class Uniform(KeyFunction):
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
