"""The optimiser: finds the parameters of a detection function that maximise the likelihood.

Adjusted functions are kept from rising: a function that rises with distance is no detection function, and near the camera it
would make Pa, and with it density, anything (Buckland et al. 2001, chapter 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.distances import BinnedDistances, Distances
from trapmeter.density.detection.function import Adjustment, DetectionFunction, monotonicity_points
from trapmeter.density.detection.likelihood import Likelihood, make_likelihood
from trapmeter.errors import InputError

Floats = NDArray[np.float64]

LNL_TOLERANCE = 1e-12
"""Of the log-likelihood per observation, at which a search ends."""
RISE_TOLERANCE = 1e-7
"""By how much a function may rise between two checked points: the search's own tolerance."""
N_STARTS = 3
"""Searches per fit, from the best of all starting points."""
SAME_OPTIMUM = 1e-8
"""Two log-likelihoods per observation that differ by less are of one optimum."""
MAX_COEFFICIENT = 100.0
"""Of an adjustment term. Sensible functions have coefficients of about 1."""
BOUND_TOLERANCE = 1e-6


class Optimum(NamedTuple):
    """The best parameters; those that ended on the edge of what is allowed; and whether the search ended as it should."""

    parameters: Floats
    at_bound: tuple[str, ...]
    is_converged: bool


def maximise_likelihood(
    likelihood: Likelihood, distances: Distances, *, start: Sequence[float] | None, is_monotone: bool
) -> Optimum:
    """Searches from several starts, or from the one given (missing parameters are 0); see `fit_detection`.

    Raises:
        InputError: the distances can't tell the parameters, or no function that never rises explains them.
    """
    function = likelihood.function
    _check_data(function, distances)
    names, bounds = function.parameter_names, _bounds(likelihood)
    if not names:
        return Optimum(np.zeros(0), (), True)
    starts = _default_starts(function, distances, is_monotone) if start is None else [_pad_start(start, len(names))]
    inside = [np.clip(one, *np.array(bounds).T) for one in starts]
    parameters, is_converged = _search(likelihood, inside, bounds, is_monotone)
    at_bound = tuple(
        name
        for name, value, ends in zip(names, parameters, bounds, strict=True)
        if min(abs(value - end) for end in ends) < BOUND_TOLERANCE
    )
    return Optimum(parameters, at_bound, is_converged)


def _check_data(function: DetectionFunction, distances: Distances) -> None:
    n_parameters = len(function.parameter_names)
    if isinstance(distances, BinnedDistances):
        n_different, what = int((distances.counts > 0).sum()), "bin"
        n_free = len(distances.counts) - 1
        if n_free < n_parameters:
            raise InputError(
                f"{function.name} has {n_parameters} parameters, for which {n_parameters + 1} bins are needed, got "
                f"{n_free + 1}; give more cutpoints or leave adjustments out"
            )
    else:
        n_different, what = len(np.unique(distances.distance_m)), "distance"
    if n_parameters and n_different < 2:
        raise InputError(
            f"all {distances.n:g} observations have the same {what}, which tells nothing of how detection falls with "
            "distance; check the column of distances, or give finer cutpoints"
        )
    if distances.n <= n_parameters:
        raise InputError(
            f"{distances.n:g} observations are too few for the {n_parameters} parameters of {function.name}; 60 to 80 are "
            "advised (Buckland et al. 2001, chapter 7)"
        )


def _bounds(likelihood: Likelihood) -> list[tuple[float, float]]:
    function = likelihood.function
    of_key = function.key.bounds(likelihood.left_m, likelihood.right_m)
    return of_key + [(-MAX_COEFFICIENT, MAX_COEFFICIENT)] * (len(function.parameter_names) - len(of_key))


def _default_starts(function: DetectionFunction, distances: Distances, is_monotone: bool) -> list[Floats]:
    """For a key alone what the key proposes; otherwise the best fit with one term less, and what comes close to it.

    A narrow key that terms widen and a wide one that they narrow may be two maxima of the likelihood. So from every start of
    the key the coefficients are taken that come closest to the smaller fit.
    """
    if function.adjustment is None:
        return [np.array(start) for start in function.key.starts(distances.right_m)]
    series, orders, scaled_by = function.adjustment.series, function.adjustment.orders, function.adjustment.scaled_by
    fewer = DetectionFunction(function.key, Adjustment(series, orders[:-1], scaled_by) if len(orders) > 1 else None)
    smaller = maximise_likelihood(
        make_likelihood(fewer, distances), distances, start=None, is_monotone=is_monotone
    ).parameters
    reach_m = distances.reach_m
    r = np.linspace(distances.left_m, reach_m, 41)
    target = fewer.g(r, smaller, reach_m)[0]
    starts = [np.append(smaller, 0.0)]
    for start in function.key.adjusted_starts(distances.right_m):
        zeros = np.concatenate([start, np.zeros(len(orders))])
        # g is linear in the coefficients. Weighted by r, as animals are.
        key, slopes = function.g(r, zeros, reach_m)
        terms = slopes[:, len(start) :]
        coefficients = np.linalg.lstsq(r[:, None] * terms, r * (target - key), rcond=1e-6)[0]
        starts.append(np.concatenate([start, np.clip(coefficients, -MAX_COEFFICIENT, MAX_COEFFICIENT)]))
    return starts


def _pad_start(start: Sequence[float], n_parameters: int) -> Floats:
    if len(start) > n_parameters:
        raise InputError(
            f"expected a start of at most {n_parameters} parameters, got {len(start)}; start from the same function or one "
            "with fewer terms"
        )
    return np.concatenate([np.asarray(start, np.float64), np.zeros(n_parameters - len(start))])


def _search(
    likelihood: Likelihood, starts: list[Floats], bounds: list[tuple[float, float]], is_monotone: bool
) -> tuple[Floats, bool]:
    """The best parameters that several searches find, and whether that search ended as it should."""
    from scipy.optimize import minimize

    def cost(parameters: Floats) -> tuple[float, Floats]:
        # Per observation, so that the size of a survey doesn't change when a search ends.
        lnl, slopes = likelihood.lnl(parameters)
        return float(-lnl / likelihood.n), -slopes / likelihood.n

    constraints = _constraints(likelihood, is_monotone)
    is_allowed = [_is_allowed(constraints, start) for start in starts]
    found = [(cost(start)[0], start, False) for start, allowed in zip(starts, is_allowed, strict=True) if allowed]
    # Allowed ones first, and among them the best: a start that breaks the rules may look better than any fit can be.
    ranked = sorted(range(len(starts)), key=lambda number: (not is_allowed[number], cost(starts[number])[0]))
    for start in (starts[number] for number in ranked[:N_STARTS]):
        result = minimize(
            cost,
            start,
            method="SLSQP",
            jac=True,
            bounds=bounds,
            constraints=constraints,
            options={"ftol": LNL_TOLERANCE, "maxiter": 200},
        )
        if np.isfinite(result.fun) and _is_allowed(constraints, result.x):
            # 8: the line search found nothing better any more, as at an optimum that is told to the last digit.
            found.append((float(result.fun), result.x, result.status in {0, 8}))
    if not found:
        raise InputError(
            f"no {likelihood.function.name} was found that explains the distances and never rises; use fewer adjustments"
        )
    least, parameters, _ = min(found, key=lambda one: one[0])
    # A start may be the best itself, as where a term is of no use; what counts is that a search ended there too.
    return np.asarray(parameters), any(ended and value <= least + SAME_OPTIMUM for value, _, ended in found)


def _constraints(likelihood: Likelihood, is_monotone: bool) -> list[Any]:
    """What an adjusted function must satisfy, as scipy wants it: numbers >= 0 and their slopes. A key alone never rises."""
    function, reach_m = likelihood.function, likelihood.reach_m
    if function.adjustment is None:
        return []
    points = monotonicity_points(reach_m)
    kept = _decreases if is_monotone else np.asarray
    return [
        {
            "type": "ineq",
            "fun": lambda parameters: kept(function.g(points, parameters, reach_m)[0]),
            "jac": lambda parameters: kept(function.g(points, parameters, reach_m)[1]),
        }
    ]


def _decreases(values: Floats) -> Floats:
    """By how much values fall from each point to the next, and at last to 0; (points) or (points, parameters)."""
    return np.concatenate([values[:-1] - values[1:], values[-1:]])


def _is_allowed(constraints: list[Any], parameters: Floats) -> bool:
    return all(float(constraint["fun"](parameters).min()) >= -RISE_TOLERANCE for constraint in constraints)
