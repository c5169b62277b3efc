"""Maximum likelihood fits of detection functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trapmeter.density.detection.covariate_likelihood import CovariateLikelihood, GroupDetection, Grouped
from trapmeter.density.detection.distances import BinnedDistances, Distances, ExactDistances
from trapmeter.density.detection.doubts import delta_variance, find_doubts
from trapmeter.density.detection.function import Adjustment, DetectionFunction
from trapmeter.density.detection.goodness import ChiSquare, ExactGoodness, chi_square, exact_goodness
from trapmeter.density.detection.likelihood import BinnedLikelihood, Likelihood, make_likelihood
from trapmeter.density.detection.optimiser import maximise_likelihood
from trapmeter.density.detection.quadrature import Floats, nodes_between, panel_edges
from trapmeter.errors import InputError

MAX_SCALES = 200
"""Scales of which the average detection function of a fit with covariates is made."""


@dataclass(frozen=True, slots=True)
class DetectionFit:
    """A detection function fitted by maximum likelihood.

    parameters: in the order of `function.parameter_names`. left_m, right_m: truncation. n: observations inside it, the sum of
    their weights. pa: share (0..1) of the animals within right_m that are detected; with an error matrix, the animals
    measured inside the truncation per animal that stands within right_m. pa_se: infinite if the data don't determine any
    parameter. reach_m: how far the function reaches; right_m without an error matrix. at_bound: names of parameters that
    ended on a bound, a sign of a poor model. doubts: reasons not to choose the function by itself, see `find_doubts`.
    pa_slopes: of pa in the parameters. information: their information matrix, whose inverse is their covariance.

    With covariates, pa is the average over the animals, n / sum of 1 / Pa(z), and `g` is the average over the animals too.
    by_group: the same for each group of equal covariates; None without covariates.
    """

    function: DetectionFunction
    parameters: tuple[float, ...]
    left_m: float
    right_m: float
    n: float
    lnl: float
    pa: float
    pa_se: float
    chi_square: ChiSquare | None
    reach_m: float
    at_bound: tuple[str, ...] = ()
    is_converged: bool = True
    doubts: tuple[str, ...] = ()
    pa_slopes: Floats = field(default_factory=lambda: np.zeros(0), compare=False, repr=False)
    information: Floats = field(default_factory=lambda: np.zeros((0, 0)), compare=False, repr=False)
    by_group: GroupDetection | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> str:
        """Name of the key function."""
        return self.function.key.name

    @property
    def adjustment(self) -> Adjustment | None:
        """The adjustment series, if any."""
        return self.function.adjustment

    @property
    def n_parameters(self) -> int:
        """Number of fitted parameters."""
        return len(self.parameters)

    @property
    def aic(self) -> float:
        """Akaike's information criterion: -2 lnl + 2 parameters."""
        return -2 * self.lnl + 2 * self.n_parameters

    @property
    def edr_m(self) -> float:
        """Effective detection radius, metres: as many animals are detected beyond it as are missed within it."""
        return math.sqrt(2 * self.rg_integral_m2)

    @property
    def rg_integral_m2(self) -> float:
        """The integral of r g(r) inside the truncation: w^2 Pa / 2 if distances are measured without error."""
        return float(self._integrals(*nodes_between(panel_edges(self.left_m, self.right_m))).sum())

    @property
    def allows_for_error(self) -> bool:
        """Whether the fit allowed for measurement error."""
        return self.reach_m > self.right_m

    @property
    def pa_cv(self) -> float:
        """The coefficient of variation of pa."""
        return self.pa_se / self.pa

    def g(self, r_m: ArrayLike) -> Floats:
        """The share (0..1) of animals at distances (n, metres) that are detected."""
        r = np.atleast_1d(np.asarray(r_m, np.float64))
        if self.by_group is None:
            return self.function.g(r, np.array(self.parameters), self.reach_m)[0]
        return self.g_of_groups(r, self.by_group.n > 0)

    def g_of_groups(self, r_m: Floats, chosen: NDArray[np.bool_]) -> Floats:
        """The average of g at distances (n, metres) over the animals of the chosen groups (groups), with covariates.

        A group stands for detections / Pa animals. Many groups are drawn together to MAX_SCALES scales.
        """
        assert self.by_group is not None, "a fit with covariates"
        animals = self.by_group.n[chosen] / self.by_group.pa[chosen]
        log_sigma, weights = _condense(self.by_group.log_sigma[chosen], animals)
        parameters = np.array(self.parameters)
        each = [self.function.g_scaled(r_m, np.full_like(r_m, scale), parameters)[0] for scale in log_sigma]
        return np.asarray(weights @ np.array(each) / weights.sum())

    @property
    def reported_parameters(self) -> dict[str, float]:
        """The parameters by name; with covariates as R has them, see `DetectionFunction.reported`."""
        return self.function.reported(np.array(self.parameters))

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Coefficients of the adjustment terms in the form of books and R's mrds."""
        return tuple(self.function.coefficients(np.array(self.parameters)).tolist())

    def pdf(self, r_m: ArrayLike) -> Floats:
        """The density (per metre) of detected distances at distances (n, metres); 0 beyond the truncation."""
        r = np.atleast_1d(np.asarray(r_m, np.float64))
        return np.where((r >= self.left_m) & (r <= self.right_m), r * self.g(r) / self.rg_integral_m2, 0.0)

    def cdf(self, r_m: ArrayLike) -> Floats:
        """The share (0..1) of detected distances below distances (n, metres)."""
        r = np.clip(np.atleast_1d(np.asarray(r_m, np.float64)), self.left_m, self.right_m)
        edges = panel_edges(self.left_m, self.right_m)
        cumulative = np.concatenate([[0.0], np.cumsum(self._integrals(*nodes_between(edges)))])
        panel = np.clip(np.searchsorted(edges, r, side="right") - 1, 0, len(edges) - 2)
        unit_nodes, unit_weights = nodes_between(np.array([0.0, 1.0]))
        width = (r - edges[panel])[:, None]
        rest = self._integrals(edges[panel, None] + width * unit_nodes, width * unit_weights)
        return np.asarray((cumulative[panel] + rest) / cumulative[-1])

    def _integrals(self, nodes: Floats, weights: Floats) -> Floats:
        """Integrals of r g(r) over rows of nodes and weights (rows, nodes)."""
        return np.asarray((weights * nodes * self.g(nodes.ravel()).reshape(nodes.shape)).sum(axis=1))

    def goodness(self, distances: ExactDistances) -> ExactGoodness:
        """Kolmogorov-Smirnov and Cramer-von Mises tests on the distances of this fit."""
        return exact_goodness(self.cdf(distances.distance_m), distances.weights)


def fit_detection(
    function: DetectionFunction,
    distances: Distances,
    *,
    groups: Grouped | None = None,
    start: Sequence[float] | None = None,
    is_monotone: bool = True,
) -> DetectionFit:
    """Finds the parameters under which the distances are most likely.

    An adjusted function is never worse than the same one with fewer terms: that is fitted first, and the search starts there.

    Args:
        function: the function to fit.
        distances: exact or binned, with their truncation.
        groups: the same distances by group, for a function with covariates.
        start: parameters of an earlier fit of this function, or of the same one with fewer terms. The search then starts from
            these alone, which is several times as fast and good enough if data differ little, as in a bootstrap.
        is_monotone: whether an adjusted function must not rise at `monotonicity_points`; it must not be negative there either
            way.

    Raises:
        InputError: the distances don't determine the parameters: all are equal or in one bin, or there are too few.

    Example:
        >>> binned = bin_distances([1.5, 2.5, 2.5, 4.5, 6.0], [0, 2, 4, 8])
        >>> fit_detection(detection_function("half-normal"), binned).edr_m
    """
    likelihood = (
        make_likelihood(function, distances) if groups is None else CovariateLikelihood(function, distances, groups)
    )
    optimum = maximise_likelihood(likelihood, distances, start=start, is_monotone=is_monotone)
    parameters = optimum.parameters
    pa = likelihood.pa(parameters)
    by_group = likelihood.by_group(parameters) if isinstance(likelihood, CovariateLikelihood) else None
    if not float(pa.value) > 0 or (by_group is not None and not (by_group.pa[by_group.n > 0] > 0).all()):
        raise InputError(f"the best {function.name} detects no animal at all; give other cutpoints or another key")
    information = likelihood.information(parameters)
    pa_variance, is_identified = delta_variance(pa.slopes, information)
    if by_group is not None:
        pa_variance += _variance_of_mix(by_group)
    fit = DetectionFit(
        function=function,
        parameters=tuple(parameters.tolist()),
        left_m=distances.left_m,
        right_m=distances.right_m,
        n=distances.n,
        lnl=float(likelihood.lnl(parameters).value),
        pa=float(pa.value),
        pa_se=math.sqrt(pa_variance),
        chi_square=_chi_square(likelihood, distances, parameters),
        reach_m=distances.reach_m,
        at_bound=optimum.at_bound,
        is_converged=optimum.is_converged,
        pa_slopes=pa.slopes,
        information=information,
        by_group=by_group,
    )
    return replace(fit, doubts=find_doubts(fit.g, distances, is_identified=is_identified))


def _chi_square(likelihood: Likelihood, distances: Distances, parameters: Floats) -> ChiSquare | None:
    """Chi-square over bins, with covariates over the bins of all groups together; None for exact distances."""
    if not isinstance(distances, BinnedDistances):
        return None
    if isinstance(likelihood, CovariateLikelihood):
        shares = likelihood.expected_shares(parameters)
    else:
        assert isinstance(likelihood, BinnedLikelihood), "the likelihood of binned distances"
        shares = likelihood.shares(parameters).value
    return chi_square(distances.edges_m, distances.counts, shares, len(parameters))


def _variance_of_mix(found: GroupDetection) -> float:
    """The variance of the average detection probability that comes from which animals were detected, given the function.

    The average is n / N with N the sum of 1 / p. Their variances and covariance over the detections are the sums of
    (1 - p) / p^2, 1 - p and (1 - p) / p (Marques and Buckland 2003; R's mrds). It is 0 if all groups have one p.
    """
    n, p = found.n[found.n > 0], found.pa[found.n > 0]
    missed, total, animals = 1 - p, float(n.sum()), float((n / p).sum())
    of_animals, of_n = float(n @ (missed / p**2)) / animals**2, float(n @ missed) / total**2
    both = float(n @ (missed / p)) / (total * animals)
    return (total / animals) ** 2 * max(of_animals + of_n - 2 * both, 0.0)


def _condense(log_sigma: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """At most MAX_SCALES scales and their weights: the means of neighbouring ones."""
    if len(log_sigma) <= MAX_SCALES:
        return log_sigma, weights
    order = np.argsort(log_sigma)
    part = np.minimum((np.cumsum(weights[order]) / weights.sum() * MAX_SCALES).astype(np.intp), MAX_SCALES - 1)
    totals = np.bincount(part, weights[order])
    kept = totals > 0
    means = np.bincount(part, weights[order] * log_sigma[order])[kept] / totals[kept]
    return means, totals[kept].astype(np.float64)
