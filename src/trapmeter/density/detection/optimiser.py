"""The optimiser: finds the parameters of a detection function that maximise the likelihood.

Adjusted functions are kept from rising: a function that rises with distance is no detection function, and near the camera a
rise would make Pa, and with it density, arbitrary (Buckland et al. 2001, chapter 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from trapmeter.density.detection.covariates import MAX_COEFFICIENT as MAX_COVARIATE_COEFFICIENT
from trapmeter.density.detection.distances import BinnedDistances, Distances
from trapmeter.density.detection.function import Adjustment, DetectionFunction, monotonicity_points
from trapmeter.density.detection.likelihood import Likelihood, make_likelihood
from trapmeter.density.detection.quadrature import Floats
from trapmeter.errors import InputError

LNL_TOLERANCE = 1e-12
"""A search ends when the log-likelihood per observation improves by less."""
RISE_TOLERANCE = 1e-7
"""A function may rise this much between two checked points: the tolerance of the search itself."""
N_STARTS = 3
"""Searches per fit, from the best of all starting points."""
SAME_OPTIMUM = 1e-8
"""Log-likelihoods per observation that differ by less belong to one optimum."""
MAX_COEFFICIENT = 100.0
"""Limit of the coefficients of adjustment terms; sensible functions have coefficients of about 1."""
BOUND_TOLERANCE = 1e-6


class Optimum(NamedTuple):
    """The best parameters, the names of those that ended on a bound, and whether the search converged."""

    parameters: Floats
    at_bound: tuple[str, ...]
    is_converged: bool


def maximise_likelihood(
    likelihood: Likelihood, distances: Distances, *, start: Sequence[float] | None, is_monotone: bool
) -> Optimum:
    """Searches from several starts, or from the given one (missing parameters are 0); see `fit_detection`.

    Raises:
        InputError: the distances don't determine the parameters, or no function that never rises explains them.
    """
    function = likelihood.function
    _check_data(function, distances)
    names, bounds = function.parameter_names, _bounds(likelihood)
    if not names:
        return Optimum(np.zeros(0), (), True)
    starts = _default_starts(function, distances, is_monotone) if start is None else [_pad_start(start, len(names))]
    clipped = [np.clip(point, *np.array(bounds).T) for point in starts]
    parameters, is_converged = _search(likelihood, clipped, bounds, is_monotone)
    at_bound = tuple(
        name
        for name, value, limits in zip(names, parameters, bounds, strict=True)
        if min(abs(value - limit) for limit in limits) < BOUND_TOLERANCE
    )
    return Optimum(parameters, at_bound, is_converged)


def _check_data(function: DetectionFunction, distances: Distances) -> None:
    n_parameters = len(function.parameter_names)
    if isinstance(distances, BinnedDistances):
        n_different, what = int((distances.counts > 0).sum()), "bin"
        # Each group of equal covariates has bins of its own.
        n_of_bins = n_parameters if function.scale is None else len(function.key.parameter_names)
        if len(distances.counts) <= n_of_bins:
            raise InputError(
                f"{function.name} has {n_of_bins} parameters and needs {n_of_bins + 1} bins, got "
                f"{len(distances.counts)}; give more cutpoints or leave out adjustments"
            )
    else:
        n_different, what = len(np.unique(distances.distance_m)), "distance"
    if n_parameters and n_different < 2:
        raise InputError(
            f"all {distances.n:g} observations are in the same {what}, so they don't show how detection falls with "
            "distance; check the column of distances, or give finer cutpoints"
        )
    if distances.n <= n_parameters:
        raise InputError(
            f"{distances.n:g} observations are too few for the {n_parameters} parameters of {function.name}; Buckland et al. "
            "(2001, chapter 7) advise 60 to 80"
        )


def _bounds(likelihood: Likelihood) -> list[tuple[float, float]]:
    function = likelihood.function
    key_bounds = function.key.bounds(likelihood.left_m, likelihood.right_m)
    most = MAX_COEFFICIENT if function.scale is None else MAX_COVARIATE_COEFFICIENT
    return key_bounds + [(-most, most)] * (len(function.parameter_names) - len(key_bounds))


def _default_starts(function: DetectionFunction, distances: Distances, is_monotone: bool) -> list[Floats]:
    """For a key alone, its own starts; otherwise the best fit with one term less or without covariates, and others.

    A narrow key widened by terms and a wide one narrowed by them may be two maxima of the likelihood. So each start of the
    key is combined with the coefficients that come closest to the smaller fit.
    """
    if function.scale is not None:
        plain = DetectionFunction(function.key)
        likelihood = make_likelihood(plain, distances)
        alone = maximise_likelihood(likelihood, distances, start=None, is_monotone=is_monotone).parameters
        n_parameters = len(function.parameter_names)
        own = [np.array(start) for start in function.key.starts(distances.right_m)]
        return [_pad_start(start.tolist(), n_parameters) for start in (alone, *own)]
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
        # g is linear in the coefficients. Weighted by r, like the number of animals.
        key, slopes = function.g(r, zeros, reach_m)
        terms = slopes[:, len(start) :]
        coefficients = np.linalg.lstsq(r[:, None] * terms, r * (target - key), rcond=1e-6)[0]
        starts.append(np.concatenate([start, np.clip(coefficients, -MAX_COEFFICIENT, MAX_COEFFICIENT)]))
    return starts


def _pad_start(start: Sequence[float], n_parameters: int) -> Floats:
    if len(start) > n_parameters:
        raise InputError(
            f"expected a start with at most {n_parameters} parameters, got {len(start)}; start from a fit of the same "
            "function or of one with fewer terms"
        )
    return np.concatenate([np.asarray(start, np.float64), np.zeros(n_parameters - len(start))])


def _search(
    likelihood: Likelihood, starts: list[Floats], bounds: list[tuple[float, float]], is_monotone: bool
) -> tuple[Floats, bool]:
    """The best parameters of several searches, and whether a search converged to them."""
    from scipy.optimize import minimize

    def cost(parameters: Floats) -> tuple[float, Floats]:
        # Per observation, so that the end of a search doesn't depend on the size of the survey.
        lnl, slopes = likelihood.lnl(parameters)
        return float(-lnl / likelihood.n), -slopes / likelihood.n

    constraints = _constraints(likelihood, is_monotone)
    is_allowed = [_is_allowed(constraints, start) for start in starts]
    ends = [(cost(start)[0], start, False) for start, allowed in zip(starts, is_allowed, strict=True) if allowed]
    # Allowed starts first: one that breaks the constraints may look better than any possible fit.
    ranked = sorted(range(len(starts)), key=lambda index: (not is_allowed[index], cost(starts[index])[0]))
    for start in (starts[index] for index in ranked[:N_STARTS]):
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
            # Status 8: the line search finds no improvement, as happens at an optimum exact to the last digit.
            ends.append((float(result.fun), result.x, result.status in {0, 8}))
    if not ends:
        raise InputError(
            f"no {likelihood.function.name} that never rises explains the distances; use fewer adjustments"
        )
    least, parameters, _ = min(ends, key=lambda end: end[0])
    # A start itself may be the best, for example if a term is of no use. It counts as converged if a search ended there too.
    return np.asarray(parameters), any(
        has_converged and value <= least + SAME_OPTIMUM for value, _, has_converged in ends
    )


def _constraints(likelihood: Likelihood, is_monotone: bool) -> list[Any]:
    """The constraints of an adjusted function in scipy's form: numbers >= 0 and their slopes. A key alone never rises."""
    function, reach_m = likelihood.function, likelihood.reach_m
    if function.adjustment is None:
        return []
    points = monotonicity_points(reach_m)
    constrain = _decreases if is_monotone else np.asarray
    return [
        {
            "type": "ineq",
            "fun": lambda parameters: constrain(function.g(points, parameters, reach_m)[0]),
            "jac": lambda parameters: constrain(function.g(points, parameters, reach_m)[1]),
        }
    ]


def _decreases(values: Floats) -> Floats:
    """The fall of values from each point to the next, and from the last to 0: (points) or (points, parameters)."""
    return np.concatenate([values[:-1] - values[1:], values[-1:]])


def _is_allowed(constraints: list[Any], parameters: Floats) -> bool:
    return all(float(constraint["fun"](parameters).min()) >= -RISE_TOLERANCE for constraint in constraints)
