"""Measurement error of distances: the bins in which animals at each true distance are measured.

A detection function fitted to measured distances as if they were true mistakes the error for a property of detection. Here
the two are separate: an animal at r is detected with probability g(r) and then measured in bin k with a known probability
P(k | r). The share of detections in bin k is the integral of r g(r) P(k | r) over all r, divided by the sum of these over
bins. Maximum likelihood of the measured bins then gives g of the *true* distances (Borchers et al. 2010, "Estimating distance
sampling detection functions when distances are measured with error"; Marques 2004). The method doesn't assume a distribution
of distances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trapmeter.density.detection.quadrature import Floats, nodes_between, nodes_in_bins, panel_edges
from trapmeter.errors import InputError

TAIL_SDS = 3.0
"""Standard deviations of a random error beyond the truncation up to which animals may still be measured inside it."""


@dataclass(frozen=True, slots=True, eq=False)
class ErrorMatrix:
    """The share (bins, nodes; 0..1) of animals at each node, a true distance, that are measured in each bin.

    nodes_m, weights_m: nodes and weights of an integral from 0 to farthest_m (nodes). The shares of a node sum to less than 1
    if some animals are measured outside all bins. No animal farther than farthest_m is measured inside.
    """

    nodes_m: Floats
    weights_m: Floats
    shares: Floats
    farthest_m: float


class ErrorMatrices(Protocol):
    """The error matrix for a set of bins, and its uncertainty."""

    def mean(self) -> ErrorMatrix:
        """The estimated error matrix."""
        ...

    def draw(self, rng: np.random.Generator) -> ErrorMatrix:
        """A random error matrix within its uncertainty: one for each replicate of a bootstrap."""
        ...


class MeasurementError(Protocol):
    """A model of the error of measured distances."""

    @property
    def name(self) -> str:
        """For messages and the report, such as 'random error of 0.2 of the distance'."""
        ...

    def matrices_for_bins(self, edges_m: Floats) -> ErrorMatrices:
        """The error matrices for the bins between edges (bins + 1, metres)."""
        ...


@dataclass(frozen=True, slots=True)
class RandomError:
    """The measured distance is the true one times a lognormal factor with mean 1 and coefficient of variation cv."""

    cv: float

    def __post_init__(self) -> None:
        if not 0 < self.cv < 1:
            raise InputError(
                f"expected the error of distances as a share above 0 and below 1, such as 0.2 for 20 %, got {self.cv:g}"
            )

    @property
    def name(self) -> str:
        """For messages and the report."""
        return f"random error of {self.cv:.3g} of the distance"

    def matrices_for_bins(self, edges_m: Floats) -> KnownErrorMatrix:
        """The error matrix for the bins between edges (bins + 1, metres)."""
        from scipy.special import ndtr

        sd = math.sqrt(math.log1p(self.cv**2))
        farthest_m = float(edges_m[-1]) * math.exp(TAIL_SDS * sd)
        nodes, weights = nodes_up_to(farthest_m)
        with np.errstate(divide="ignore"):
            z = (np.log(edges_m)[:, None] - np.log(nodes)) / sd + sd / 2
        return KnownErrorMatrix(ErrorMatrix(nodes, weights, np.diff(ndtr(z), axis=0), farthest_m))


@dataclass(frozen=True, slots=True)
class KnownErrorMatrix:
    """An error matrix without uncertainty."""

    error_matrix: ErrorMatrix

    def mean(self) -> ErrorMatrix:
        """The error matrix."""
        return self.error_matrix

    def draw(self, rng: np.random.Generator) -> ErrorMatrix:  # noqa: ARG002
        """The error matrix, always the same."""
        return self.error_matrix


@dataclass(frozen=True, slots=True)
class PartlyKnownError:
    """The error of a mix of rows, some of which give the true distance, such as those measured by a person.

    share: of such rows (0..1), the same at all distances: the choice of animals that a person measured must not depend on
    their distance. Satisfies `MeasurementError`.
    """

    errors: MeasurementError
    share: float

    @property
    def name(self) -> str:
        """For messages and the report."""
        return f"{self.errors.name}; {self.share:.0%} of the distances are known"

    def matrices_for_bins(self, edges_m: Floats) -> PartlyKnownErrorMatrices:
        """The error matrices for the bins between edges (bins + 1, metres)."""
        return PartlyKnownErrorMatrices(self.errors.matrices_for_bins(edges_m), edges_m, self.share)


@dataclass(frozen=True, slots=True, eq=False)
class PartlyKnownErrorMatrices:
    """Error matrices in which a share (0..1) of the animals is measured in the bin in which it stands."""

    error_matrices: ErrorMatrices
    edges_m: Floats
    share: float

    def mean(self) -> ErrorMatrix:
        """The estimated error matrix."""
        return self._mix(self.error_matrices.mean())

    def draw(self, rng: np.random.Generator) -> ErrorMatrix:
        """A random error matrix within its uncertainty."""
        return self._mix(self.error_matrices.draw(rng))

    def _mix(self, matrix: ErrorMatrix) -> ErrorMatrix:
        # Two integrals in one: over all distances with errors, and over each bin without.
        nodes, weights = nodes_in_bins(self.edges_m)
        own_bin = np.repeat(np.eye(len(nodes)), nodes.shape[1], axis=1)
        return ErrorMatrix(
            np.concatenate([matrix.nodes_m, nodes.ravel()]),
            np.concatenate([matrix.weights_m, weights.ravel()]),
            np.hstack([(1 - self.share) * matrix.shares, self.share * own_bin]),
            matrix.farthest_m,
        )


def nodes_up_to(farthest_m: float) -> tuple[Floats, Floats]:
    """Nodes and weights (nodes) of an integral from 0 to farthest_m."""
    nodes, weights = nodes_between(panel_edges(0.0, farthest_m))
    return nodes.ravel(), weights.ravel()
