"""Integrals over distance by Gauss-Legendre quadrature on fixed nodes (Abramowitz & Stegun 1972, 25.4.29).

Detection functions are smooth, so a few nodes per panel give ten digits. Nodes that don't move let a fit evaluate everything
as one array.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""An array of floats; used by all of density."""

NODES_PER_PANEL = 12
N_PANELS = 24
"""Panels over the range: they keep eight digits of a hazard-rate that drops within a tenth of its sigma."""
MIN_PANELS_IN_BINS = 10
"""Bins are cut into panels of at most one tenth of the range."""


@cache
def _unit_rule(n_nodes: int) -> tuple[Floats, Floats]:
    """Nodes and weights on the interval 0..1."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    return (nodes + 1) / 2, weights / 2


def nodes_between(edges: Floats, n_nodes: int = NODES_PER_PANEL) -> tuple[Floats, Floats]:
    """Nodes and weights for each panel between edges (panels + 1): both (panels, n_nodes)."""
    nodes, weights = _unit_rule(n_nodes)
    width = np.diff(edges)[:, None]
    return edges[:-1, None] + width * nodes, width * weights


def nodes_in_bins(edges: Floats) -> tuple[Floats, Floats]:
    """Nodes and weights for each bin between edges (bins + 1), the same number per bin: both (bins, nodes)."""
    n_bins = len(edges) - 1
    n_panels = int(np.ceil(MIN_PANELS_IN_BINS * np.diff(edges).max() / (edges[-1] - edges[0])))
    nodes, weights = nodes_between(np.interp(np.arange(n_bins * n_panels + 1) / n_panels, np.arange(n_bins + 1), edges))
    return nodes.reshape(n_bins, -1), weights.reshape(n_bins, -1)


def panel_edges(left_m: float, right_m: float) -> Floats:
    """Edges of the panels (N_PANELS + 1, metres): narrower on the left, where a spiked detection function falls fast."""
    return np.asarray(left_m + (right_m - left_m) * (np.arange(N_PANELS + 1) / N_PANELS) ** 2)
