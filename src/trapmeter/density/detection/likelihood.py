"""The log-likelihood of distances under a detection function for point transects, with its gradient.

Animals stand at distance r in proportion to r, so that detected ones have the density f(r) = r g(r) / integral of r g(r) over
what isn't truncated (Buckland et al. 2001, chapter 3; Howe et al. 2017). Binned distances are multinomial with the integrals
of f over the bins; where errors of distances are known, with those of f times where animals are measured to be (blur.py). The
factor r is kept for exact distances, and the multinomial coefficient is left out, as in R's mrds, so
that log-likelihoods compare.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.distances import BinnedDistances, Distances, ExactDistances
from trapmeter.density.detection.function import DetectionFunction
from trapmeter.density.detection.quadrature import nodes_between, nodes_in_bins, panel_edges

Floats = NDArray[np.float64]

MIN_SHARE = 1e-12
"""Below this share the logarithm goes on as its tangent: adjusted functions may dip below 0 during a search."""
NEAREST_SHARE = 1e-15
"""Of the truncation: a distance of 0 m, where a point transect has no area, counts as this one. As g(0) = 1 for any
parameters, it moves the log-likelihood by a constant."""


class ValueAndGradient(NamedTuple):
    """Numbers (a single one, or n) and their slopes in the parameters: (parameters) or (n, parameters)."""

    value: Floats
    slopes: Floats


class Likelihood(ABC):
    """Of one detection function and one set of distances; parameters are those of `DetectionFunction`."""

    def __init__(self, function: DetectionFunction, distances: Distances, nodes: Floats, node_weights: Floats) -> None:
        self.function = function
        self.left_m, self.right_m, self.n = distances.left_m, distances.right_m, distances.n
        self.reach_m = distances.reach_m
        self._nodes, self._weights = nodes.ravel(), (nodes * node_weights).ravel()

    def lnl(self, parameters: Floats) -> ValueAndGradient:
        """The log-likelihood."""
        logs = self._logs(parameters)
        return ValueAndGradient(self._counts @ logs.value, self._counts @ logs.slopes)

    def information(self, parameters: Floats) -> Floats:
        """The sum over observations of the outer product of scores (parameters, parameters).

        Its inverse is the covariance of the parameters (Buckland et al. 2001, chapter 3).
        """
        scores = self._logs(parameters).slopes
        return np.asarray(scores.T @ (self._counts[:, None] * scores))

    def pa(self, parameters: Floats) -> ValueAndGradient:
        """Share of the animals within w that are detected: Pa = 2 / w^2 times the integral of r g(r), truncation to w.

        Left truncation counts as not seen, so that n / Pa is all animals from 0 m to w. With a blur animals count that are
        measured within the truncation, wherever they stand: n / Pa is the same.
        """
        g, slopes = self._g(parameters)
        weights = self._weights * self._measured
        scale = 2.0 / self.right_m**2
        return ValueAndGradient(scale * (weights @ g), scale * (weights @ slopes))

    def _g(self, parameters: Floats) -> tuple[Floats, Floats]:
        return self.function.g(self._nodes, parameters, self.reach_m)

    @property
    def _measured(self) -> Floats | float:
        """Share of the animals at each node that are measured within the truncation, if detected."""
        return 1.0

    def _positive(self, whole: float) -> float:
        return max(whole, MIN_SHARE * self.right_m**2)

    @property
    @abstractmethod
    def _counts(self) -> Floats:
        """How many observations share each of the logarithms."""

    @abstractmethod
    def _logs(self, parameters: Floats) -> ValueAndGradient:
        """The logarithm of each observation's (or bin's) likelihood."""


class BinnedLikelihood(Likelihood):
    """Of counts between cutpoints."""

    def __init__(self, function: DetectionFunction, distances: BinnedDistances) -> None:
        blur = distances.error_matrix
        nodes = nodes_in_bins(distances.edges_m) if blur is None else (blur.nodes_m, blur.weights_m)
        super().__init__(function, distances, *nodes)
        self._bin_counts = distances.counts
        n_bins = len(distances.counts)
        # Which part of the animals at each node is measured in each bin (bins, nodes).
        self._shares = np.repeat(np.eye(n_bins), nodes[0].shape[1], axis=1) if blur is None else blur.shares

    @property
    def _counts(self) -> Floats:
        return self._bin_counts

    def shares(self, parameters: Floats) -> ValueAndGradient:
        """The share of detections that is expected in each bin; they sum to 1."""
        g, slopes = self._g(parameters)
        parts = self._shares @ (self._weights * g)
        part_slopes = self._shares @ (self._weights[:, None] * slopes)
        whole = self._positive(float(parts.sum()))
        shares = parts / whole
        return ValueAndGradient(shares, (part_slopes - shares[:, None] * part_slopes.sum(axis=0)) / whole)

    @property
    def _measured(self) -> Floats | float:
        return np.asarray(self._shares.sum(axis=0))

    def _logs(self, parameters: Floats) -> ValueAndGradient:
        shares, slopes = self.shares(parameters)
        logs, log_slopes = _floored_log(shares)
        return ValueAndGradient(logs, log_slopes[:, None] * slopes)


class ExactLikelihood(Likelihood):
    """Of distances as measured."""

    def __init__(self, function: DetectionFunction, distances: ExactDistances) -> None:
        edges = panel_edges(distances.left_m, distances.right_m)
        super().__init__(function, distances, *nodes_between(edges))
        # Cameras and observers report few different distances, so that equal ones are told once.
        self._distances, inverse = np.unique(distances.distance_m, return_inverse=True)
        self._distance_counts = np.bincount(inverse, distances.weights).astype(np.float64)

    @property
    def _counts(self) -> Floats:
        return self._distance_counts

    def _logs(self, parameters: Floats) -> ValueAndGradient:
        g, slopes = self._g(parameters)
        whole, whole_slopes = self._positive(float(self._weights @ g)), self._weights @ slopes
        at, at_slopes = self.function.g(self._distances, parameters, self.right_m)
        # Over w squared, so that the floor is a share and not of any unit; r is apart, for it is as it is.
        scale = self.right_m**2 / whole
        logs, log_slopes = _floored_log(scale * at)
        share_slopes = scale * (at_slopes - (at / whole)[:, None] * whole_slopes)
        rings = np.log(np.maximum(self._distances, NEAREST_SHARE * self.right_m)) - 2 * np.log(self.right_m)
        return ValueAndGradient(logs + rings, log_slopes[:, None] * share_slopes)


def make_likelihood(function: DetectionFunction, distances: Distances) -> BinnedLikelihood | ExactLikelihood:
    """The likelihood that goes with these distances."""
    if isinstance(distances, BinnedDistances):
        return BinnedLikelihood(function, distances)
    return ExactLikelihood(function, distances)


def _floored_log(share: Floats) -> tuple[Floats, Floats]:
    """The logarithm and its slope; below FLOOR, 0 and less included, its tangent at FLOOR."""
    above = np.maximum(share, MIN_SHARE)
    return np.log(above) + (share - above) / MIN_SHARE, 1.0 / above
