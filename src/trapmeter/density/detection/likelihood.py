"""The log-likelihood of distances under a detection function for point transects, with its gradient.

The number of animals at distance r is proportional to r, so detected ones have the density f(r) = r g(r) / integral of r g(r)
over the distances inside the truncation (Buckland et al. 2001, chapter 3; Howe et al. 2017). Binned distances are multinomial
with the integrals of f over the bins; if the measurement error is known, with the integrals of f times the probability of
being measured in the bin (measurement_error.py). As in R's mrds, so that log-likelihoods can be compared, the factor r is
kept for exact distances and the multinomial coefficient is left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from trapmeter.density.detection.distances import BinnedDistances, Distances, ExactDistances
from trapmeter.density.detection.function import DetectionFunction
from trapmeter.density.detection.quadrature import Floats, nodes_between, nodes_in_bins, panel_edges

MIN_SHARE = 1e-12
"""Below this share the logarithm continues as its tangent: adjusted functions may dip below 0 during a search."""
NEAREST_SHARE = 1e-15
"""Distances of 0 m, where a point transect has no area, count as this share of the truncation. As g(0) = 1 for any
parameters, this changes the log-likelihood by a constant only."""


class ValueAndGradient(NamedTuple):
    """One number or n numbers, and their slopes in the parameters: (parameters) or (n, parameters)."""

    value: Floats
    slopes: Floats


class Likelihood(ABC):
    """The likelihood of one set of distances under one detection function, whose parameters it takes."""

    def __init__(self, function: DetectionFunction, distances: Distances, nodes: Floats, node_weights: Floats) -> None:
        self.function = function
        self.left_m, self.right_m, self.n = distances.left_m, distances.right_m, distances.n
        self.reach_m = distances.reach_m
        self._nodes, self._weights = nodes.ravel(), (nodes * node_weights).ravel()

    def lnl(self, parameters: Floats) -> ValueAndGradient:
        """The log-likelihood and its gradient."""
        logs = self._logs(parameters)
        return ValueAndGradient(self._counts @ logs.value, self._counts @ logs.slopes)

    def information(self, parameters: Floats) -> Floats:
        """The sum over observations of the outer product of scores (parameters, parameters).

        Its inverse is the covariance of the parameters (Buckland et al. 2001, chapter 3).
        """
        scores = self._logs(parameters).slopes
        return np.asarray(scores.T @ (self._counts[:, None] * scores))

    def pa(self, parameters: Floats) -> ValueAndGradient:
        """The share of animals within w that are detected: Pa = 2 / w^2 times the integral of r g(r) inside the truncation.

        Animals nearer than the left truncation count as missed, so n / Pa is the number of all animals from 0 m to w. With an
        error matrix, Pa counts animals measured inside the truncation wherever they stand, and n / Pa keeps its meaning.
        """
        g, slopes = self._g(parameters)
        weights = self._weights * self._measured
        scale = 2.0 / self.right_m**2
        return ValueAndGradient(scale * (weights @ g), scale * (weights @ slopes))

    def _g(self, parameters: Floats) -> tuple[Floats, Floats]:
        return self.function.g(self._nodes, parameters, self.reach_m)

    @property
    def _measured(self) -> Floats | float:
        """The share of detected animals at each node that are measured inside the truncation."""
        return 1.0

    def _positive(self, integral: float) -> float:
        return max(integral, MIN_SHARE * self.right_m**2)

    @property
    @abstractmethod
    def _counts(self) -> Floats:
        """The number of observations that share each of the logarithms."""

    @abstractmethod
    def _logs(self, parameters: Floats) -> ValueAndGradient:
        """The logarithm of each observation's (or bin's) likelihood."""


class BinnedLikelihood(Likelihood):
    """The likelihood of counts between cutpoints."""

    def __init__(self, function: DetectionFunction, distances: BinnedDistances) -> None:
        matrix = distances.error_matrix
        nodes = nodes_in_bins(distances.edges_m) if matrix is None else (matrix.nodes_m, matrix.weights_m)
        super().__init__(function, distances, *nodes)
        self._bin_counts = distances.counts
        self._shares = measured_shares(distances)

    @property
    def _counts(self) -> Floats:
        return self._bin_counts

    def shares(self, parameters: Floats) -> ValueAndGradient:
        """The expected share of detections in each bin; they sum to 1."""
        g, slopes = self._g(parameters)
        by_bin = self._shares @ (self._weights * g)
        bin_slopes = self._shares @ (self._weights[:, None] * slopes)
        total = self._positive(float(by_bin.sum()))
        shares = by_bin / total
        return ValueAndGradient(shares, (bin_slopes - shares[:, None] * bin_slopes.sum(axis=0)) / total)

    @property
    def _measured(self) -> Floats | float:
        return np.asarray(self._shares.sum(axis=0))

    def _logs(self, parameters: Floats) -> ValueAndGradient:
        shares, slopes = self.shares(parameters)
        logs, log_slopes = floored_log(shares)
        return ValueAndGradient(logs, log_slopes[:, None] * slopes)


def measured_shares(distances: BinnedDistances) -> Floats:
    """The share of animals at each node that is measured in each bin (bins, nodes)."""
    if distances.error_matrix is not None:
        return distances.error_matrix.shares
    nodes, _ = nodes_in_bins(distances.edges_m)
    return np.repeat(np.eye(len(nodes)), nodes.shape[1], axis=1)


class ExactLikelihood(Likelihood):
    """The likelihood of exact distances."""

    def __init__(self, function: DetectionFunction, distances: ExactDistances) -> None:
        edges = panel_edges(distances.left_m, distances.right_m)
        super().__init__(function, distances, *nodes_between(edges))
        # Cameras and observers report few different distances, so equal ones are evaluated once.
        self._distances, inverse = np.unique(distances.distance_m, return_inverse=True)
        self._distance_counts = np.bincount(inverse, distances.weights).astype(np.float64)

    @property
    def _counts(self) -> Floats:
        return self._distance_counts

    def _logs(self, parameters: Floats) -> ValueAndGradient:
        g, slopes = self._g(parameters)
        total, total_slopes = self._positive(float(self._weights @ g)), self._weights @ slopes
        at, at_slopes = self.function.g(self._distances, parameters, self.right_m)
        # Divided by w squared, so that the floor is a share without a unit. The constant factor r is added as a logarithm.
        scale = self.right_m**2 / total
        logs, log_slopes = floored_log(scale * at)
        share_slopes = scale * (at_slopes - (at / total)[:, None] * total_slopes)
        rings = np.log(np.maximum(self._distances, NEAREST_SHARE * self.right_m)) - 2 * np.log(self.right_m)
        return ValueAndGradient(logs + rings, log_slopes[:, None] * share_slopes)


def make_likelihood(function: DetectionFunction, distances: Distances) -> BinnedLikelihood | ExactLikelihood:
    """The likelihood for binned or exact distances under a function without covariates."""
    if isinstance(distances, BinnedDistances):
        return BinnedLikelihood(function, distances)
    return ExactLikelihood(function, distances)


def floored_log(share: Floats) -> tuple[Floats, Floats]:
    """The logarithm and its slope; below MIN_SHARE, 0 and negative numbers included, its tangent at MIN_SHARE."""
    above = np.maximum(share, MIN_SHARE)
    return np.log(above) + (share - above) / MIN_SHARE, 1.0 / above
