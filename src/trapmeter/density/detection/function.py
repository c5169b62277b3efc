"""The detection function g(r): a key function, with an adjustment series, with covariates in its scale, or with neither.

Books write g(r) = k(r) (1 + sum_j a_j p_j(z)), divided by its value at 0 so that g(0) = 1 (Buckland et al. 2001, chapter 2).
Here the same functions are written g(r) = k(r) (1 + sum_j b_j (p_j(z) - p_j(0))): linear in b_j, without scaling, and without
coefficients that grow without bound, as a_j do when the 1 contributes nothing. z is the distance scaled by the truncation w,
R's default, or by sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.covariates import ScaleModel
from trapmeter.density.detection.key_functions import HalfNormal, HazardRate, KeyFunction, Uniform
from trapmeter.density.detection.quadrature import Floats
from trapmeter.errors import InputError

AdjustmentSeries = Literal["cosine", "hermite", "polynomial"]
AdjustmentScale = Literal["width", "sigma"]
Orders = NDArray[np.int64]
TermsFunction = Callable[[Floats, Orders], tuple[Floats, Floats]]

R_SERIES_NAMES: Mapping[AdjustmentSeries, str] = {"cosine": "cos", "hermite": "herm", "polynomial": "poly"}
"""Abbreviations in R's package Distance."""
R_KEY_NAMES: Mapping[str, str] = {"half-normal": "hn", "hazard-rate": "hr", "uniform": "unif"}
"""Abbreviations in R's package Distance."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Terms of one series with the given orders j: cos(j pi z), Hermite's He_j(z) or z^j, with z the scaled distance.

    `DetectionFunction` checks which orders suit which key.
    """

    series: AdjustmentSeries
    orders: tuple[int, ...]
    scaled_by: AdjustmentScale = "width"

    def __post_init__(self) -> None:
        if self.series not in get_args(AdjustmentSeries):
            raise InputError(f"expected the series {', '.join(get_args(AdjustmentSeries))}, got {self.series!r}")
        if self.scaled_by not in get_args(AdjustmentScale):
            raise InputError(
                f"expected terms scaled by {' or '.join(get_args(AdjustmentScale))}, got {self.scaled_by!r}"
            )
        if not self.orders or list(self.orders) != sorted(set(self.orders)) or self.orders[0] < 1:
            raise InputError(
                f"expected rising orders of 1 or more, such as 2, 3, got {list(self.orders)}; correct them"
            )
        if self.series != "cosine" and any(order % 2 for order in self.orders):
            raise InputError(
                f"the {self.series} series has even orders only, got {list(self.orders)}; an odd order would give the "
                "function a slope at 0 m"
            )

    @property
    def name(self) -> str:
        """Such as 'cosine(2, 3)'."""
        return f"{self.series}({', '.join(map(str, self.orders))})"

    def terms(self, z: Floats) -> tuple[Floats, Floats]:
        """The terms at scaled distances z (m) less those at 0, and their slopes in z: both (m, orders)."""
        terms, slopes = _TERM_FUNCTIONS[self.series](z[:, None], np.array(self.orders))
        return terms - self.at_0, slopes

    @property
    def at_0(self) -> Floats:
        """The terms at 0 m (orders)."""
        return _terms_at_0(self.series, self.orders)


MAX_TERMS = 5
"""More terms follow the sampling error of the distances, and take long to fit; R's Distance tries no more either."""


def default_orders(series: AdjustmentSeries, n_terms: int, *, key_is_uniform: bool) -> tuple[int, ...]:
    """The n_terms lowest orders that suit a key.

    A half-normal or hazard-rate key already has the shape that the lowest term would add: with them cosines start at order 2
    and polynomials at 4; with the uniform key cosines start at 1 and polynomials at 2.

    Raises:
        InputError: there are no terms, or more than MAX_TERMS.
    """
    if not 1 <= n_terms <= MAX_TERMS:
        raise InputError(f"expected 1 to {MAX_TERMS} adjustment terms, got {n_terms}; leave the series out for none")
    lowest, step = 1 if key_is_uniform else 2, 1 if series == "cosine" else 2
    return tuple(step * (lowest + index) for index in range(n_terms))


def _cosine(z: Floats, orders: Orders) -> tuple[Floats, Floats]:
    angle = np.pi * orders * z
    return np.asarray(np.cos(angle)), np.asarray(-np.pi * orders * np.sin(angle))


def _hermite(z: Floats, orders: Orders) -> tuple[Floats, Floats]:
    """Probabilists' Hermite polynomials, orthogonal under the normal density, as in Buckland (1992)."""
    from scipy.special import eval_hermitenorm

    return np.asarray(eval_hermitenorm(orders, z)), np.asarray(orders * eval_hermitenorm(orders - 1, z))


def _polynomial(z: Floats, orders: Orders) -> tuple[Floats, Floats]:
    return np.asarray(z**orders, np.float64), np.asarray(orders * z ** (orders - 1), np.float64)


@cache
def _terms_at_0(series: AdjustmentSeries, orders: tuple[int, ...]) -> Floats:
    return np.asarray(_TERM_FUNCTIONS[series](np.zeros((1, 1)), np.array(orders))[0][0])


_TERM_FUNCTIONS: Mapping[str, TermsFunction] = {"cosine": _cosine, "hermite": _hermite, "polynomial": _polynomial}


KEY_FUNCTIONS: Mapping[str, KeyFunction] = {key.name: key for key in (HalfNormal(), HazardRate(), Uniform())}


@dataclass(frozen=True, slots=True)
class DetectionFunction:
    """The form of a detection function; its parameters come from a fit.

    Parameters stand in one array: those of the key (see `KeyFunction`), then a coefficient b_j for each order, or one for
    each standardised x of the covariates. With covariates, log_sigma is that of their means.
    """

    key: KeyFunction
    adjustment: Adjustment | None = None
    scale: ScaleModel | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and (self.is_uniform or self.adjustment is not None):
            raise InputError(
                "covariates change the scale of a half-normal or hazard-rate key without adjustments; choose one of these"
            )
        if self.adjustment is None:
            return
        (lowest,) = default_orders(self.adjustment.series, 1, key_is_uniform=self.is_uniform)
        if self.adjustment.orders[0] < lowest:
            raise InputError(
                f"with the {self.key.name} key the {self.adjustment.series} series starts at order {lowest}, got "
                f"{list(self.adjustment.orders)}; leave out the lower terms, which repeat the shape of the key"
            )
        if self.is_uniform and self.adjustment.scaled_by == "sigma":
            raise InputError("the uniform key has no sigma to scale terms by; scale them by width")

    @property
    def is_uniform(self) -> bool:
        """Whether the key is constant."""
        return not self.key.parameter_names

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the key's parameters, then b2, b3 and so on by order, or those of the covariates."""
        if self.scale is not None:
            return (*self.key.parameter_names, *self.scale.parameter_names)
        orders = () if self.adjustment is None else self.adjustment.orders
        return (*self.key.parameter_names, *(f"b{order}" for order in orders))

    @property
    def name(self) -> str:
        """Such as 'half-normal + cosine(2, 3)' or 'half-normal ~ species + season'."""
        if self.scale is not None:
            return f"{self.key.name} ~ {self.scale.formula.name}"
        return self.key.name if self.adjustment is None else f"{self.key.name} + {self.adjustment.name}"

    def g(self, r_m: Floats, parameters: Floats, right_m: float) -> tuple[Floats, Floats]:
        """The share (0..1) of animals detected at distances (m, metres), and its slopes in the parameters (m, parameters).

        right_m: the truncation w (metres), by which terms may be scaled. With covariates, see `g_scaled`.
        """
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

    def log_sigma(self, parameters: Floats, x: Floats) -> Floats:
        """The logarithm of the scale (metres) for standardised covariates x (groups, x): (groups)."""
        return np.asarray(parameters[0] + x @ parameters[len(self.key.parameter_names) :])

    def g_scaled(self, r_m: Floats, log_sigma: Floats, parameters: Floats) -> tuple[Floats, Floats]:
        """As `g` of the key at distances (m, metres) with a scale for each (m), and the slopes in the key's parameters.

        The key depends on r / sigma only, so the slope in the first parameter is that in log_sigma.
        """
        shape = np.concatenate([[0.0], parameters[1 : len(self.key.parameter_names)]])
        return self.key.g(r_m * np.exp(-log_sigma), shape)

    def reported(self, parameters: Floats) -> dict[str, float]:
        """The parameters by name; with covariates, for x that aren't standardised, as in R."""
        values = np.array(parameters, np.float64)
        if self.scale is not None:
            n_key = len(self.key.parameter_names)
            values[0], values[n_key:] = self.scale.unscale(float(values[0]), values[n_key:])
        return dict(zip(self.parameter_names, values.tolist(), strict=True))

    def coefficients(self, parameters: Floats) -> Floats:
        """The coefficients a_j of books and R's mrds, one for each order: a_j = b_j / (1 - sum_i b_i p_i(0))."""
        if self.adjustment is None:
            return np.zeros(0)
        b = parameters[len(self.key.parameter_names) :]
        return np.asarray(b / (1.0 - b @ self.adjustment.at_0))


def detection_function(key: str, series: AdjustmentSeries | None = None, n_terms: int = 0) -> DetectionFunction:
    """A detection function by name: `detection_function("half-normal", "cosine", 2)` has cosines of orders 2 and 3.

    Args:
        key: half-normal, hazard-rate or uniform.
        series: cosine, hermite or polynomial; None for no adjustment.
        n_terms: number of terms, from the lowest order that suits the key.

    Raises:
        InputError: there is no such key or series, or terms without a series.
    """
    if key not in KEY_FUNCTIONS:
        raise InputError(f"expected the key {', '.join(KEY_FUNCTIONS)}, got {key!r}")
    if (series is None) != (n_terms == 0):
        raise InputError(f"expected a series and its number of terms, or neither, got {series!r} with {n_terms} terms")
    plain = DetectionFunction(KEY_FUNCTIONS[key])
    if series is None:
        return plain
    orders = default_orders(series, n_terms, key_is_uniform=plain.is_uniform)
    return DetectionFunction(plain.key, Adjustment(series, orders))


def monotonicity_points(right_m: float) -> Floats:
    """Distances at which a detection function must neither rise nor be negative: w (i / 10)^1.5 for i in 0..10, metres.

    They are denser near the camera, where a rise would harm Pa most. They start at 0 m even with left truncation, as in R's
    Distance: the fit beyond the left truncation determines how many animals would be detected nearer.
    """
    return np.asarray(right_m * (np.arange(11) / 10) ** 1.5)
