"""The log-likelihood of distances under a detection function with covariates, with its gradient.

A detected animal with covariates z stands at r with the density r g(r | z) / integral of r g(r | z) over the distances inside
the truncation. This is conditional on z, so nothing is assumed about the covariates of animals that were missed (Marques and
Buckland 2003; Buckland et al. 2004, chapter 3). Binned distances are multinomial within each group of equal covariates. The
key depends on r / sigma only, so groups differ in one number, log sigma.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.distances import BinnedDistances, Distances
from trapmeter.density.detection.function import DetectionFunction
from trapmeter.density.detection.likelihood import (
    MIN_SHARE,
    NEAREST_SHARE,
    Likelihood,
    ValueAndGradient,
    floored_log,
    measured_shares,
)
from trapmeter.density.detection.quadrature import Floats, nodes_between, nodes_in_bins, panel_edges

CELLS_AT_ONCE = 200_000
"""Groups and nodes that are evaluated in one array, which then stays in the cache of a processor."""


class Grouped(NamedTuple):
    """Distances by group. x: standardised covariates (groups, x). counts: of binned distances (groups, bins), or None.

    group: of each exact distance (n), or None.
    """

    x: Floats
    counts: Floats | None = None
    group: NDArray[np.intp] | None = None


class GroupDetection(NamedTuple):
    """Detection by group. n: detections (groups). pa, pa_slopes: as in `Likelihood.pa` (groups), (groups, parameters).

    log_sigma: of the scale in metres (groups).
    """

    n: Floats
    pa: Floats
    pa_slopes: Floats
    log_sigma: Floats


class CovariateLikelihood(Likelihood):
    """The likelihood of binned or exact distances with covariates."""

    def __init__(self, function: DetectionFunction, distances: Distances, groups: Grouped) -> None:
        if isinstance(distances, BinnedDistances):
            matrix = distances.error_matrix
            nodes = nodes_in_bins(distances.edges_m) if matrix is None else (matrix.nodes_m, matrix.weights_m)
        else:
            nodes = nodes_between(panel_edges(distances.left_m, distances.right_m))
        super().__init__(function, distances, *nodes)
        self._n_key = len(function.key.parameter_names)
        self._x = groups.x
        if isinstance(distances, BinnedDistances):
            assert groups.counts is not None, "binned distances have counts by group"
            self._integrand = measured_shares(distances) * self._weights
            self._n_by_group = groups.counts.sum(axis=1)
            self._group, self._bin = np.nonzero(groups.counts)
            self._cell_counts = groups.counts[self._group, self._bin]
        else:
            assert groups.group is not None, "exact distances have a group each"
            self._integrand = self._weights[None]
            # Cameras and observers report few different distances, so equal ones of a group are evaluated once.
            cells, inverse = np.unique(
                np.stack([groups.group.astype(np.float64), distances.distance_m]), axis=1, return_inverse=True
            )
            self._group, self._distances = cells[0].astype(np.intp), cells[1]
            self._cell_counts = np.bincount(inverse.reshape(-1), distances.weights).astype(np.float64)
            self._n_by_group = np.bincount(self._group, self._cell_counts, minlength=len(self._x)).astype(np.float64)
        self._x_of_cells = self._x[self._group]
        self._is_binned = isinstance(distances, BinnedDistances)

    def by_group(self, parameters: Floats) -> GroupDetection:
        """What is detected of each group, also of groups without an observation in these distances."""
        log_sigma = self.function.log_sigma(parameters, self._x)
        integrals, slopes = self._integrals(log_sigma, parameters)
        scale = 2.0 / self.right_m**2
        return GroupDetection(
            self._n_by_group,
            scale * integrals.sum(axis=1),
            scale * self._with_covariates(slopes.sum(axis=1), self._x),
            log_sigma,
        )

    def pa(self, parameters: Floats) -> ValueAndGradient:
        """The average detection probability: detections divided by the animals they stand for, the sum of 1 / Pa(z)."""
        found = self.by_group(parameters)
        n, seen = self._n_by_group, self._n_by_group > 0
        each = np.maximum(found.pa[seen], MIN_SHARE)
        animals = float((n[seen] / each).sum())
        slopes = -(n[seen] / each**2) @ found.pa_slopes[seen]
        return ValueAndGradient(np.asarray(n.sum() / animals), -n.sum() / animals**2 * slopes)

    def expected_shares(self, parameters: Floats) -> Floats:
        """The expected share of all binned detections in each bin; they sum to 1."""
        integrals, _ = self._integrals(self.function.log_sigma(parameters, self._x), parameters)
        total = np.maximum(integrals.sum(axis=1), MIN_SHARE * self.right_m**2)
        return np.asarray((self._n_by_group / total) @ integrals / self.n)

    @property
    def _counts(self) -> Floats:
        return self._cell_counts

    def _logs(self, parameters: Floats) -> ValueAndGradient:
        log_sigma = self.function.log_sigma(parameters, self._x)
        integrals, slopes = self._integrals(log_sigma, parameters)
        floor = MIN_SHARE * self.right_m**2
        total, total_slopes = np.maximum(integrals.sum(axis=1), floor)[self._group], slopes.sum(axis=1)[self._group]
        constant: Floats | float = 0.0
        if self._is_binned:
            part, part_slopes = integrals[self._group, self._bin], slopes[self._group, self._bin]
        else:
            at, at_slopes = self.function.g_scaled(self._distances, log_sigma[self._group], parameters)
            # Times w squared, so that the floor is a share without a unit; the ring r is added as a logarithm.
            part, part_slopes = self.right_m**2 * at, self.right_m**2 * at_slopes
            constant = np.log(np.maximum(self._distances, NEAREST_SHARE * self.right_m)) - 2 * np.log(self.right_m)
        share = part / total
        logs, log_slopes = floored_log(share)
        share_slopes = (part_slopes - share[:, None] * total_slopes) / total[:, None]
        cell_slopes = log_slopes[:, None] * share_slopes
        return ValueAndGradient(logs + constant, self._with_covariates(cell_slopes, self._x_of_cells))

    def _with_covariates(self, key_slopes: Floats, x: Floats) -> Floats:
        """Slopes in all parameters (m, parameters) from those in the key's (m, key parameters): b changes log_sigma by x."""
        return np.hstack([key_slopes, key_slopes[:, :1] * x])

    def _integrals(self, log_sigma: Floats, parameters: Floats) -> tuple[Floats, Floats]:
        """Integrals of r g(r) for each scale and bin (groups, bins), and their slopes (groups, bins, key parameters).

        Exact distances have one bin.
        """
        n_nodes, n_bins = len(self._nodes), len(self._integrand)
        values = np.empty((len(log_sigma), n_bins))
        slopes = np.empty((len(log_sigma), n_bins, self._n_key))
        step = max(CELLS_AT_ONCE // n_nodes, 1)
        for start in range(0, len(log_sigma), step):
            some = log_sigma[start : start + step]
            g, g_slopes = self.function.g_scaled(np.tile(self._nodes, len(some)), np.repeat(some, n_nodes), parameters)
            values[start : start + step] = g.reshape(-1, n_nodes) @ self._integrand.T
            for number in range(self._n_key):
                part = np.ascontiguousarray(g_slopes[:, number]).reshape(-1, n_nodes)
                slopes[start : start + step, :, number] = part @ self._integrand.T
        return values, slopes
