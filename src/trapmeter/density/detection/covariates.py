"""Covariates: columns on which the scale of a detection function depends (Marques and Buckland 2003).

The scale is sigma = exp(b0 + b1 x1 + b2 x2 + ...). A number is one x; a factor of k levels is k - 1 of them, which are 1 for
one level and 0 otherwise, as in R. The first level, in alphabetical order, has none.

For the fit, each x is centred and divided by its standard deviation, so that all coefficients are of similar size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.formula import Formula, Term
from trapmeter.density.detection.quadrature import Floats
from trapmeter.errors import InputError

MAX_COEFFICIENT = 5.0
"""Limit of a coefficient of a standardised x: with it, one standard deviation changes the scale by a factor of 150."""


@dataclass(frozen=True, slots=True)
class Covariate:
    """A column of a formula with its levels; () for a number."""

    term: Term
    levels: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """Name of the column."""
        return self.term.column

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of its x as in R: the column, or column and level."""
        return tuple(f"{self.term.name}{level}" for level in self.levels[1:]) or (self.term.name,)

    def x(self, values: Sequence[str]) -> Floats:
        """The x of each observation (n, x), before they are standardised."""
        if not self.levels:
            return np.array([[_number(value) for value in values]], np.float64).T
        return np.array([[float(value == level) for level in self.levels[1:]] for value in values], np.float64)


@dataclass(frozen=True, slots=True)
class ScaleModel:
    """The covariates of a formula. means, sds: of each x over the observations, by which they are standardised."""

    formula: Formula
    covariates: tuple[Covariate, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the coefficients, as in R."""
        return tuple(name for covariate in self.covariates for name in covariate.parameter_names)

    def standardise(self, columns: Mapping[str, Sequence[str]]) -> Floats:
        """The standardised x of each observation (n, x). columns: text of each observation (n), by column."""
        return np.asarray((_x(self.covariates, columns) - self.means) / self.sds)

    def unscale(self, log_sigma: float, coefficients: Floats) -> tuple[float, Floats]:
        """The intercept and the coefficients for x that aren't standardised, as R has them."""
        raw = coefficients / self.sds
        return log_sigma - float(raw @ np.array(self.means)), raw


class Groups(NamedTuple):
    """Observations with equal covariates form a group. x: standardised (groups, x). group: of each observation (n)."""

    x: Floats
    group: NDArray[np.intp]


def group_observations(x: Floats) -> Groups:
    """The groups of observations with these x (n, x)."""
    different, index = np.unique(x, axis=0, return_inverse=True)
    return Groups(different, index.reshape(-1).astype(np.intp))


def resolve_formula(
    formula: Formula,
    columns: Mapping[str, Sequence[str]],
    is_fitted: NDArray[np.bool_],
    station: NDArray[np.intp],
    station_ids: Sequence[str],
) -> ScaleModel:
    """The covariates of a formula, with their levels.

    Args:
        formula: with at least one term.
        columns: text of each observation (n), by column.
        is_fitted: which observations lie inside the truncation (n); levels of others don't count.
        station: index of the station of each observation (n).
        station_ids: names of the stations.

    Raises:
        InputError: a column has one value only, mixes numbers and names, has a level at one station only, or says the same as
            others.
    """
    fitted = {name: np.array(values)[is_fitted].tolist() for name, values in columns.items()}
    covariates = tuple(_resolve_term(term, columns[term.column], fitted[term.column]) for term in formula.terms)
    for covariate in covariates:
        _check_stations(covariate, fitted[covariate.column], station[is_fitted], station_ids)
    x = _x(covariates, fitted)
    means, sds = x.mean(axis=0), x.std(axis=0)
    if np.linalg.matrix_rank((x - means) / sds) < x.shape[1]:
        raise InputError(
            f"the columns of the formula {formula.name!r} say the same about all observations, so their effects can't be "
            "told apart; leave one of them out"
        )
    return ScaleModel(formula, covariates, tuple(means.tolist()), tuple(sds.tolist()))


def _x(covariates: Sequence[Covariate], columns: Mapping[str, Sequence[str]]) -> Floats:
    return np.hstack([covariate.x(columns[covariate.column]) for covariate in covariates])


def _resolve_term(term: Term, values: Sequence[str], fitted: Sequence[str]) -> Covariate:
    """values: of all observations, which show whether they are numbers. fitted: those inside the truncation."""
    different = sorted(set(fitted))
    if len(different) < 2:
        only = f"only the value {different[0]!r}" if different else "no value"
        raise InputError(
            f"column {term.column!r} has {only} among the distances that count, so detection can't depend on it; leave it "
            "out of the formula"
        )
    texts = sorted(value for value in set(values) if not math.isfinite(_number(value)))
    if term.is_factor or len(texts) == len(set(values)):
        return Covariate(term, tuple(different))
    if texts:
        text = texts[0]
        raise InputError(
            f"column {term.column!r} has numbers and also {text!r}; correct it, or write factor({term.column}) in the "
            "formula if its numbers are names"
        )
    return Covariate(term)


def _check_stations(
    covariate: Covariate, values: Sequence[str], station: NDArray[np.intp], station_ids: Sequence[str]
) -> None:
    by_level: dict[str, set[int]] = {level: set() for level in covariate.levels}
    for value, index in zip(values, station.tolist(), strict=True):
        if value in by_level:
            by_level[value].add(index)
    for level, stations in by_level.items():
        if len(stations) < 2:
            (only,) = stations
            raise InputError(
                f"column {covariate.column!r}: the level {level!r} was seen at one station only, {station_ids[only]!r}, so "
                "its effect can't be told from what else is special there; merge it with another level, or leave the column "
                "out of the formula"
            )


def _number(text: str) -> float:
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
