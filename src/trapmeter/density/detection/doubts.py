"""Doubts about a fit: reasons for which a detection function isn't chosen by itself, however well it fits.

A function that falls to half within the first bin is a spike: the shape inside a bin is not in the data, but it decides how
many animals were missed, so density is arbitrary (Buckland et al. 2001, section 2.1: a detection function needs a shoulder).
Parameters are not identified if the data fit alike for some combination of them; their standard errors mean nothing then.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trapmeter.density.detection.distances import BinnedDistances, Distances
from trapmeter.density.detection.quadrature import Floats

NEAREST_SHARE = 0.05
"""Exact distances have no first bin: the nearest twentieth of them stands for it."""
MIN_EIGENVALUE = 1e-8
"""Relative to the largest; below it a combination of parameters is not identified."""


def find_doubts(g: Callable[[Floats], Floats], distances: Distances, *, is_identified: bool) -> tuple[str, ...]:
    """The doubts about a function, in words that follow its name; () if there are none.

    g: the fitted function of distances (n, metres).
    """
    doubts = []
    edge_m = first_edge_m(distances)
    start, end = g(np.array([distances.left_m, edge_m])).tolist()
    if not end >= start / 2:
        where = "first bin" if isinstance(distances, BinnedDistances) else "nearest twentieth of the distances"
        doubts.append(f"falls to half within the {where} ({distances.left_m:g} to {edge_m:.3g} m), a spike")
    if not is_identified:
        doubts.append("has parameters that the distances don't determine")
    return tuple(doubts)


def first_edge_m(distances: Distances) -> float:
    """The end of the first bin, metres; of exact distances the one below which the nearest twentieth lies."""
    if isinstance(distances, BinnedDistances):
        return float(distances.edges_m[1])
    order = np.argsort(distances.distance_m, kind="stable")
    reached = np.cumsum(distances.weights[order]) >= NEAREST_SHARE * distances.n
    return float(distances.distance_m[order][int(reached.argmax())])


def delta_variance(slopes: Floats, information: Floats) -> tuple[float, bool]:
    """The variance of a function of the parameters by the delta method, and whether all parameters are identified.

    The information matrix is scaled to a diagonal of 1, so that units don't matter. Directions whose eigenvalue is near 0 are
    left out, as the pseudo-inverse does: the variance is then that of the others (Buckland et al. 2001, chapter 3).

    slopes: of the function (parameters). information: (parameters, parameters). The variance is infinite if none is known.
    """
    if not len(slopes):
        return 0.0, True
    scale = np.sqrt(np.maximum(np.diag(information), 0.0))
    known = np.isfinite(scale) & (scale > 0)
    if not np.isfinite(information).all() or not known.any():
        return float("inf"), False
    scaled = information[np.ix_(known, known)] / np.outer(scale[known], scale[known])
    values, vectors = np.linalg.eigh(scaled)
    kept = values > MIN_EIGENVALUE * values.max()
    parts = (vectors[:, kept].T @ (slopes[known] / scale[known])) ** 2 / values[kept]
    return float(parts.sum()), bool(known.all() and kept.all())
