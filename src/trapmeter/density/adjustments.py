"""Adjustment series: sums of terms that bend a key function towards the data (Buckland et al. 2001, chapter 2).

Distances are scaled before they enter a term: by the truncation w, as R's Distance does unless told otherwise, or by sigma.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError

Floats = NDArray[np.float64]
Series = Literal["cosine", "hermite", "polynomial"]
ScaledBy = Literal["width", "sigma"]
Orders = NDArray[np.int64]
Terms = Callable[[Floats, Orders], tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The terms of one series with these orders: cos(j pi z), Hermite's He_j(z) or z^j, with z the scaled distance.

    Which orders go with which key is checked where the two meet, in `DetectionFunction`.
    """

    series: Series
    orders: tuple[int, ...]
    scaled_by: ScaledBy = "width"

    def __post_init__(self) -> None:
        if self.series not in get_args(Series):
            raise InputError(
                f"expected the series {', '.join(get_args(Series))}, got {self.series!r}; choose one of them"
            )
        if self.scaled_by not in get_args(ScaledBy):
            raise InputError(
                f"expected terms scaled by {' or '.join(get_args(ScaledBy))}, got {self.scaled_by!r}; choose one of them"
            )
        if not self.orders or list(self.orders) != sorted(set(self.orders)) or self.orders[0] < 1:
            raise InputError(
                f"expected rising orders of 1 or more, such as 2, 3, got {list(self.orders)}; correct them"
            )
        if self.series != "cosine" and any(order % 2 for order in self.orders):
            raise InputError(
                f"the {self.series} series has even orders only, got {list(self.orders)}; an odd one would give the "
                "function a slope at 0 m"
            )

    def terms(self, z: Floats) -> tuple[Floats, Floats]:
        """By how much the terms differ at scaled distances z (m) from those at 0, and their slopes in z, both (m, orders)."""
        terms, slopes = _TERMS[self.series](z[:, None], np.array(self.orders))
        return terms - self.at_0, slopes

    @property
    def at_0(self) -> Floats:
        """The terms at 0 m (orders)."""
        return _at_0(self.series, self.orders)


def default_orders(series: Series, n_terms: int, *, key_is_uniform: bool) -> tuple[int, ...]:
    """The n_terms lowest orders that go with a key.

    A half-normal or hazard-rate key already has the shape that the lowest term would give: cosines start at 2 beside them and
    at 1 beside the uniform, polynomials at 4 and at 2.
    """
    if n_terms < 1:
        raise InputError(f"expected 1 or more adjustment terms, got {n_terms}; leave the series out for none")
    lowest, step = 1 if key_is_uniform else 2, 1 if series == "cosine" else 2
    return tuple(step * (lowest + number) for number in range(n_terms))


def _cosine(z: Floats, orders: Orders) -> tuple[Floats, Floats]:
    angle = np.pi * orders * z
    return np.asarray(np.cos(angle)), np.asarray(-np.pi * orders * np.sin(angle))


def _hermite(z: Floats, orders: Orders) -> tuple[Floats, Floats]:
    """The polynomials that are orthogonal under the normal density (probabilists'), as in Buckland (1992)."""
    from scipy.special import eval_hermitenorm

    return np.asarray(eval_hermitenorm(orders, z)), np.asarray(orders * eval_hermitenorm(orders - 1, z))


def _polynomial(z: Floats, orders: Orders) -> tuple[Floats, Floats]:
    return np.asarray(z**orders, np.float64), np.asarray(orders * z ** (orders - 1), np.float64)


@cache
def _at_0(series: Series, orders: tuple[int, ...]) -> Floats:
    return np.asarray(_TERMS[series](np.zeros((1, 1)), np.array(orders))[0][0])


_TERMS: Mapping[str, Terms] = {"cosine": _cosine, "hermite": _hermite, "polynomial": _polynomial}
