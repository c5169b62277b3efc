"""Maximum likelihood fits of detection functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trapmeter.density.detection.distances import BinnedDistances, Distances, ExactDistances
from trapmeter.density.detection.doubts import delta_variance, find_doubts
from trapmeter.density.detection.function import Adjustment, DetectionFunction
from trapmeter.density.detection.goodness import ChiSquare, ExactGoodness, chi_square, exact_goodness
from trapmeter.density.detection.likelihood import BinnedLikelihood, make_likelihood
from trapmeter.density.detection.optimiser import maximise_likelihood
from trapmeter.density.detection.quadrature import Floats, nodes_between, panel_edges
from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class DetectionFit:
    """A detection function fitted by maximum likelihood.

    parameters: in the order of `function.parameter_names`. left_m, right_m: truncation. n: observations inside it, the sum of
    their weights. pa: share (0..1) of the animals within right_m that are detected; with an error matrix, the animals
    measured inside the truncation per animal that stands within right_m. pa_se: infinite if the data don't determine any
    parameter. reach_m: how far the function reaches; right_m without an error matrix. at_bound: names of parameters that
    ended on a bound, a sign of a poor model. doubts: reasons not to choose the function by itself, see `find_doubts`.
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
        return self.function.g(r, np.array(self.parameters), self.reach_m)[0]

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
    start: Sequence[float] | None = None,
    is_monotone: bool = True,
) -> DetectionFit:
    """Finds the parameters under which the distances are most likely.

    An adjusted function is never worse than the same one with fewer terms: that is fitted first, and the search starts there.

    Args:
        function: the function to fit.
        distances: exact or binned, with their truncation.
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
    likelihood = make_likelihood(function, distances)
    optimum = maximise_likelihood(likelihood, distances, start=start, is_monotone=is_monotone)
    pa = likelihood.pa(optimum.parameters)
    if not float(pa.value) > 0:
        raise InputError(f"the best {function.name} detects no animal at all; give other cutpoints or another key")
    goodness = None
    if isinstance(likelihood, BinnedLikelihood) and isinstance(distances, BinnedDistances):
        shares = likelihood.shares(optimum.parameters).value
        goodness = chi_square(distances.edges_m, distances.counts, shares, len(optimum.parameters))
    pa_variance, is_identified = delta_variance(pa.slopes, likelihood.information(optimum.parameters))
    doubts = find_doubts(
        lambda r: function.g(r, optimum.parameters, distances.reach_m)[0], distances, is_identified=is_identified
    )
    return DetectionFit(
        function=function,
        parameters=tuple(optimum.parameters.tolist()),
        left_m=distances.left_m,
        right_m=distances.right_m,
        n=distances.n,
        lnl=float(likelihood.lnl(optimum.parameters).value),
        pa=float(pa.value),
        pa_se=math.sqrt(pa_variance),
        chi_square=goodness,
        reach_m=distances.reach_m,
        at_bound=optimum.at_bound,
        is_converged=optimum.is_converged,
        doubts=doubts,
    )
