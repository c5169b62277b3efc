"""The groups of a fit with covariates that each level of a column has, for curves by level."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.analysis import Analysis

MAX_CURVES = 8
"""More curves in one plot can't be told apart: those of the levels with the most detections are drawn."""
N_RANGES = 3
"""Ranges of a number with equally many detections, each of which is drawn as a level."""


def level_curves(analysis: Analysis) -> Iterator[tuple[str, Mapping[str, NDArray[np.bool_]]]]:
    """Each column of the selected formula, with the groups (groups) that have each of its levels, by name."""
    fit = analysis.best.fit
    groups = analysis.candidates.groups_of(fit.function)
    if fit.function.scale is None or groups is None or fit.by_group is None:
        return
    n = fit.by_group.n
    has_detections = n > 0
    for covariate in fit.function.scale.covariates:
        values = np.array(analysis.survey.columns[covariate.column].values)
        names = values if covariate.levels else _ranges(values.astype(np.float64))
        curves = {}
        for name in dict.fromkeys(sorted(set(names.tolist()))):
            chosen = np.zeros(len(groups.x), bool)
            chosen[groups.group[names == name]] = True
            if (chosen & has_detections).any():
                curves[name] = chosen & has_detections
        n_of = {name: float(n[chosen].sum()) for name, chosen in curves.items()}
        most = heapq.nlargest(MAX_CURVES, n_of, key=n_of.__getitem__)
        yield covariate.column, {name: curves[name] for name in curves if name in most}


def _ranges(values: NDArray[np.float64]) -> NDArray[np.str_]:
    """The range, such as '3 to 8', in which each number lies (n)."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, N_RANGES + 1)))
    index = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, max(len(edges) - 2, 0))
    return np.array([f"{edges[number]:.4g} to {edges[min(number + 1, len(edges) - 1)]:.4g}" for number in index])
