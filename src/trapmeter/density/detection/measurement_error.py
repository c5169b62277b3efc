"""Measurement error of distances: the bins in which animals at each true distance are measured.

A detection function fitted to measured distances as if they were true takes the error for a property of detection. Here the
error stays apart: an animal at r is detected with g(r) and then measured in bin k with a probability that is known, so that
the share of detections in bin k is the integral of r g(r) P(k | r) over all r, over the sum of that over bins. Maximum
likelihood of the measured bins then gives g of the *true* distances (Borchers et al. 2010, "Estimating distance sampling
detection functions when distances are measured with error"; Marques 2004). No mix of distances is taken for granted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.quadrature import nodes_between, nodes_in_bins, panel_edges
from trapmeter.errors import InputError

Floats = NDArray[np.float64]

TAIL_SDS = 3.0
"""Of a random error: animals so much farther than the truncation are still told to be within it."""


@dataclass(frozen=True, slots=True, eq=False)
class ErrorMatrix:
    """Where animals are measured to be: the share (bins, nodes; 0..1) of those at each node that is measured in each bin.

    nodes_m, weights_m: points of an integral from 0 to farthest_m (nodes). Shares of a node sum to less than 1 where some
    are measured outside of all bins. Nobody farther than farthest_m is measured inside.
    """

    nodes_m: Floats
    weights_m: Floats
    shares: Floats
    farthest_m: float


class ErrorMatrices(Protocol):
    """A blur over given bins, and what is not known of it."""

    def mean(self) -> ErrorMatrix:
        """As it is estimated."""
        ...

    def draw(self, rng: np.random.Generator) -> ErrorMatrix:
        """As it may be too: one for each replicate of a bootstrap."""
        ...


class MeasurementError(Protocol):
    """How distances are measured with error."""

    @property
    def name(self) -> str:
        """For people, such as 'random error of 20 %'."""
        ...

    def matrices_for_bins(self, edges_m: Floats) -> ErrorMatrices:
        """The blur over bins between these edges (bins + 1, metres)."""
        ...


@dataclass(frozen=True, slots=True)
class RandomError:
    """Measured is true times a random factor: lognormal, with mean 1 and this coefficient of variation."""

    cv: float

    def __post_init__(self) -> None:
        if not 0 < self.cv < 1:
            raise InputError(
                f"expected the error of distances as a share above 0 and below 1, such as 0.2 for 20 %, got {self.cv:g}"
            )

    @property
    def name(self) -> str:
        """For people."""
        return f"random error of {self.cv:.3g} of the distance"

    def matrices_for_bins(self, edges_m: Floats) -> KnownErrorMatrix:
        """The blur over bins between these edges (bins + 1, metres)."""
        from scipy.special import ndtr

        sd = math.sqrt(math.log1p(self.cv**2))
        nodes, weights, farthest_m = nodes_up_to(float(edges_m[-1]) * math.exp(TAIL_SDS * sd))
        with np.errstate(divide="ignore"):
            z = (np.log(edges_m)[:, None] - np.log(nodes)) / sd + sd / 2
        return KnownErrorMatrix(ErrorMatrix(nodes, weights, np.diff(ndtr(z), axis=0), farthest_m))


@dataclass(frozen=True, slots=True)
class KnownErrorMatrix:
    """A blur of which all is known."""

    error_matrix: ErrorMatrix

    def mean(self) -> ErrorMatrix:
        """The blur."""
        return self.error_matrix

    def draw(self, rng: np.random.Generator) -> ErrorMatrix:  # noqa: ARG002
        """The same."""
        return self.error_matrix


@dataclass(frozen=True, slots=True)
class PartlyKnownError:
    """The errors of rows some of which tell the true distance, as those that a person measured.

    share: of such rows (0..1), at all distances alike: which animals were measured by a person may not hang on how far they
    stood. Satisfies `MeasurementError`.
    """

    errors: MeasurementError
    share: float

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.errors.name}; {self.share:.0%} of the distances are known"

    def matrices_for_bins(self, edges_m: Floats) -> PartlyKnownErrorMatrices:
        """The blur over bins between these edges (bins + 1, metres)."""
        return PartlyKnownErrorMatrices(self.errors.matrices_for_bins(edges_m), edges_m, self.share)


@dataclass(frozen=True, slots=True, eq=False)
class PartlyKnownErrorMatrices:
    """Blurs of which a share (0..1) of the animals has no part: those are in the bin in which they stand."""

    error_matrices: ErrorMatrices
    edges_m: Floats
    share: float

    def mean(self) -> ErrorMatrix:
        """As it is estimated."""
        return self._mixed(self.error_matrices.mean())

    def draw(self, rng: np.random.Generator) -> ErrorMatrix:
        """As it may be too."""
        return self._mixed(self.error_matrices.draw(rng))

    def _mixed(self, blur: ErrorMatrix) -> ErrorMatrix:
        # Two integrals in one: over all distances with errors, and over each bin without.
        nodes, weights = nodes_in_bins(self.edges_m)
        stands_in = np.repeat(np.eye(len(nodes)), nodes.shape[1], axis=1)
        return ErrorMatrix(
            np.concatenate([blur.nodes_m, nodes.ravel()]),
            np.concatenate([blur.weights_m, weights.ravel()]),
            np.hstack([(1 - self.share) * blur.shares, self.share * stands_in]),
            blur.farthest_m,
        )


def nodes_up_to(farthest_m: float) -> tuple[Floats, Floats, float]:
    """Points (nodes) and weights of an integral from 0 to farthest_m, and that itself."""
    nodes, weights = nodes_between(panel_edges(0.0, farthest_m))
    return nodes.ravel(), weights.ravel(), farthest_m
