"""The detection function: how likely an animal is seen, by its distance. A key function, perhaps with adjustments.

Books tell g(r) = k(r) (1 + sum_j a_j p_j(r)), divided by the same at 0 so that g(0) = 1 (Buckland et al. 2001, chapter 2).
Here the same functions are told as g(r) = k(r) (1 + sum_j b_j (p_j(r) - p_j(0))): linear in b_j, with no scaling, and without
coefficients that grow beyond all bounds, as a_j do where the 1 is of no use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.adjustments import Adjustment, Series, default_orders
from trapmeter.density.half_normal import HalfNormal
from trapmeter.density.hazard_rate import HazardRate
from trapmeter.density.keys import Key
from trapmeter.density.uniform import Uniform
from trapmeter.errors import InputError

Floats = NDArray[np.float64]

KEYS: Mapping[str, Key] = {key.name: key for key in (HalfNormal(), HazardRate(), Uniform())}


@dataclass(frozen=True, slots=True)
class DetectionFunction:
    """The form of a detection function; its parameters come from a fit.

    Parameters are in one array: those of the key as `Key` tells, then a coefficient b_j for each order. right_m is the
    truncation w (metres), by which terms may be scaled.
    """

    key: Key
    adjustment: Adjustment | None = None

    def __post_init__(self) -> None:
        if self.adjustment is None:
            return
        (lowest,) = default_orders(self.adjustment.series, 1, key_is_uniform=self.is_uniform)
        if self.adjustment.orders[0] < lowest:
            raise InputError(
                f"beside the {self.key.name} key the {self.adjustment.series} series starts at order {lowest}, got "
                f"{list(self.adjustment.orders)}: lower terms repeat what the key does; leave them out"
            )
        if self.is_uniform and self.adjustment.scaled_by == "sigma":
            raise InputError("the uniform key has no sigma to scale terms by; scale them by width")

    @property
    def is_uniform(self) -> bool:
        """Whether there is no key but 1."""
        return not self.key.parameter_names

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Those of the key, then b2, b3 and so on by order."""
        orders = () if self.adjustment is None else self.adjustment.orders
        return (*self.key.parameter_names, *(f"b{order}" for order in orders))

    @property
    def name(self) -> str:
        """Such as 'half-normal + cosine(2, 3)'."""
        if self.adjustment is None:
            return self.key.name
        return f"{self.key.name} + {self.adjustment.series}({', '.join(map(str, self.adjustment.orders))})"

    def g(self, r_m: Floats, parameters: Floats, right_m: float) -> tuple[Floats, Floats]:
        """The share (0..1) of animals at distances (m, metres) that are seen, and its slopes (m, parameters)."""
        n_key = len(self.key.parameter_names)
        key, key_slopes = self.key.g(r_m, parameters[:n_key])
        if self.adjustment is None:
            return key, key_slopes
        is_by_sigma = self.adjustment.scaled_by == "sigma"
        z = r_m * (np.exp(-parameters[0]) if is_by_sigma else 1 / right_m)
        terms, term_slopes = self.adjustment.terms(z)
        factor = 1.0 + terms @ parameters[n_key:]
        slopes = np.concatenate([key_slopes * factor[:, None], key[:, None] * terms], axis=1)
        if is_by_sigma:
            slopes[:, 0] -= key * z * (term_slopes @ parameters[n_key:])
        return key * factor, slopes

    def coefficients(self, parameters: Floats) -> Floats:
        """The coefficients a_j as books and R's mrds tell them, one for each order: a_j = b_j / (1 - sum_i b_i p_i(0))."""
        if self.adjustment is None:
            return np.zeros(0)
        b = parameters[len(self.key.parameter_names) :]
        return np.asarray(b / (1.0 - b @ self.adjustment.at_0))


def detection_function(key: str, series: Series | None = None, n_terms: int = 0) -> DetectionFunction:
    """A detection function by name: `detection_function("half-normal", "cosine", 2)` has cosines of orders 2 and 3.

    Args:
        key: half-normal, hazard-rate or uniform.
        series: cosine, hermite or polynomial; None for no adjustment.
        n_terms: how many terms, from the lowest order that goes with the key.

    Raises:
        InputError: there is no such key or series, or terms without a series.
    """
    if key not in KEYS:
        raise InputError(f"expected the key {', '.join(KEYS)}, got {key!r}; choose one of them")
    if (series is None) != (n_terms == 0):
        raise InputError(f"expected a series and its number of terms, or neither, got {series!r} with {n_terms} terms")
    found = DetectionFunction(KEYS[key])
    if series is None:
        return found
    return DetectionFunction(
        found.key, Adjustment(series, default_orders(series, n_terms, key_is_uniform=found.is_uniform))
    )


def monotone_points(right_m: float) -> Floats:
    """Where a detection function is checked not to rise and not to be negative: w (i / 10)^1.5 for i in 0..10, metres.

    Denser near the camera, where a rise would do most harm to Pa. From 0 m on even with left truncation, as R's Distance has
    it: what is fitted beyond the left truncation tells how many would be seen nearer.
    """
    return np.asarray(right_m * (np.arange(11) / 10) ** 1.5)
