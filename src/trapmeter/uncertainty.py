"""Intervals and draws for distances, learned from a model's errors at held-out sites.

A model that minimises the mean error predicts medians: it places near animals too far away and far ones too near. An
interval of constant width around such a prediction covers the truth in the middle of the range and fails at its ends. So
the interval contains each distance at which the prediction would be a usual one (label-conditional conformal prediction:
Vovk, Gammerman and Shafer 2005, section 4.5), and covers 9 of 10 truths at every distance.

Draws answer another question: where may the animal stand, given the prediction, by the frequency of held-out animals?
Their mix over a survey has the spread of the true distances, which predictions lack; density is estimated from it.

Everything is in log(1 + metres), in which errors are of similar size at all distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trapmeter.errors import InputError, error_text
from trapmeter.records import Distance

Floats = NDArray[np.float64]

COVERAGE = 0.9
DRAW_LEVELS = tuple(round(0.05 + 0.1 * i, 2) for i in range(10))
"""The middle of each tenth of the predictive distribution: ten draws of equal weight."""

MAX_M = 30.0
FARTHEST_LABEL_M = 25.0
"""The largest label in the training tables; beyond it, the residuals at this distance are used."""
GRID = np.linspace(0.0, np.log1p(MAX_M), 121)
BANDWIDTH = 0.1
"""Standard deviation of the kernel over log(1 + true metres) that weights errors near a distance: 0.6 m at 5 m."""
MIN_SITES = 14
"""Distances with fewer sites (effective number) use the errors of the nearest distance that has enough."""
UNBOUNDED = 99.0
"""A belt end that excludes nothing."""
NODES = 40
MIN_ROWS_PER_NODE = 60


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Held-out errors, summarised.

    belt_low, belt_high: at each distance of GRID, the range of usual residuals. A residual is log(1 + distance) minus the
    prediction, divided by the prediction's scale on that side. node_log, draws_log: the draws at DRAW_LEVELS for
    predictions at the nodes (ascending), in log(1 + metres).
    """

    belt_low: tuple[float, ...]
    belt_high: tuple[float, ...]
    node_log: tuple[float, ...]
    draws_log: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        arrays = [np.asarray(getattr(self, name), np.float64) for name in ("belt_low", "belt_high", "node_log")]
        draws = np.asarray(self.draws_log, np.float64)
        shapes = ([array.shape for array in arrays], draws.shape)
        expected = ([(len(GRID),), (len(GRID),), (len(self.node_log),)], (len(self.node_log), len(DRAW_LEVELS)))
        if shapes != expected or not len(self.node_log) or not all(np.isfinite(a).all() for a in (*arrays, draws)):
            raise InputError(f"not the uncertainty of a model: expected numbers of shapes {expected}, got {shapes}")

    def distances(
        self, point_log: Floats, scale_low: Floats | None = None, scale_high: Floats | None = None
    ) -> list[Distance]:
        """Predictions (log(1 + metres), n) with intervals and draws; scale_low, scale_high: n, 1 by default."""
        point = np.clip(point_log, 0.0, np.log1p(400.0))
        low, high = self._ends(point, *(np.ones_like(point) if s is None else s for s in (scale_low, scale_high)))
        nodes, at_nodes = np.array(self.node_log), np.array(self.draws_log)
        draws = np.stack([np.interp(point, nodes, column) for column in at_nodes.T], axis=1)
        # Beyond the nodes the draws keep their distance from the prediction.
        draws += (point - np.clip(point, nodes[0], nodes[-1]))[:, None]
        draws = np.maximum.accumulate(np.clip(draws, 0.0, None), axis=1)
        columns = (np.expm1(array).tolist() for array in (point, low, high, draws))
        return [
            Distance(metres, min(near, metres), max(far, metres), tuple(row))
            for metres, near, far, row in zip(*columns, strict=True)
        ]

    def _ends(self, point: Floats, scale_low: Floats, scale_high: Floats) -> tuple[Floats, Floats]:
        """The least and greatest distances at which the prediction is usual, interpolated between those of the grid."""
        residual = _residual(GRID[None, :], point[:, None], scale_low[:, None], scale_high[:, None])
        above_low, below_high = residual - np.array(self.belt_low), np.array(self.belt_high) - residual
        is_usual = (above_low >= 0) & (below_high >= 0)
        # If the belt excludes every distance, the prediction itself remains.
        is_usual[np.arange(len(point)), np.abs(GRID[None, :] - point[:, None]).argmin(axis=1)] = True
        first, last = is_usual.argmax(axis=1), len(GRID) - 1 - is_usual[:, ::-1].argmax(axis=1)
        low = _crossing(above_low, first, np.maximum(first - 1, 0))
        return low, _crossing(below_high, last, np.minimum(last + 1, len(GRID) - 1))

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Uncertainty:
        """The inverse of `to_json`.

        Raises:
            InputError: the data is not that of an uncertainty.
        """
        try:
            return Uncertainty(
                tuple(data["belt_low"]),
                tuple(data["belt_high"]),
                tuple(data["node_log"]),
                tuple(tuple(row) for row in data["draws_log"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the uncertainty of a model: {error_text(error)}") from error


def mean_uncertainty(members: Sequence[Uncertainty]) -> Uncertainty:
    """The uncertainty of an ensemble: the mean of its members', a little too wide since an ensemble errs less."""
    if len(members) == 1:
        return members[0]
    first, last = (fmean(member.node_log[end] for member in members) for end in (0, -1))
    nodes = np.linspace(first, last, NODES)
    draws = np.mean(
        [[np.interp(nodes, m.node_log, column) for column in zip(*m.draws_log, strict=True)] for m in members], axis=0
    )
    low, high = (np.mean([getattr(m, name) for m in members], axis=0) for name in ("belt_low", "belt_high"))
    return _rounded(low, high, nodes, draws.T)


def unmeasured_distance(metres: float) -> Distance:
    """The distance of a model without measured errors; its interval reaches from 0 to MAX_M."""
    return Distance(metres, 0.0, max(metres, MAX_M), doubt="nobody has measured how sure this model is")


def fit_uncertainty(
    point_log: ArrayLike,
    truth_m: ArrayLike,
    site_ids: Sequence[str],
    scale_low: ArrayLike | None = None,
    scale_high: ArrayLike | None = None,
) -> Uncertainty:
    """Learns the uncertainty from n held-out rows.

    Args:
        point_log: predictions in log(1 + metres).
        truth_m: labels in metres.
        site_ids: the site of each row.
        scale_low: the prediction's own scale below it, 1 by default.
        scale_high: the same above it.

    Raises:
        InputError: there are no rows.
    """
    point, truth = np.asarray(point_log, np.float64), np.asarray(truth_m, np.float64)
    if not len(point):
        raise InputError("no held-out row to learn the model's uncertainty from")
    scales = (np.ones_like(point) if s is None else np.asarray(s, np.float64) for s in (scale_low, scale_high))
    site = np.unique(np.asarray(site_ids), return_inverse=True)[1]
    return _rounded(*_belt(point, np.log1p(truth), site, *scales), *_draws(point, spread_rounded_labels(truth)))


def _residual(distance: Floats, point: Floats, scale_low: Floats, scale_high: Floats) -> Floats:
    return np.asarray((distance - point) / np.where(distance < point, scale_low, scale_high))


def _crossing(margin: Floats, inside: NDArray[np.intp], outside: NDArray[np.intp]) -> Floats:
    """The distance at which a margin (n x grid) falls to 0 between two neighbours of the grid."""
    row = np.arange(len(margin))
    positive, negative = margin[row, inside], margin[row, outside]
    share = np.where((negative < 0) & (positive >= 0), positive / np.maximum(positive - negative, 1e-12), 0.0)
    return np.asarray(GRID[inside] + share * (GRID[outside] - GRID[inside]))


def _belt(
    point: Floats, truth: Floats, site: NDArray[np.intp], scale_low: Floats, scale_high: Floats
) -> tuple[Floats, Floats]:
    """At each distance the residuals that COVERAGE of the animals there have, cut so that intervals are short.

    It matters which tail is cut: far animals are all predicted too near, and a belt that keeps their nearest predictions
    would include almost every distance. Of the cuts with the right share, the one that includes the fewest predictions
    overall is used.
    """
    residual = _residual(truth, point, scale_low, scale_high)
    order = np.argsort(residual, kind="stable")
    residual = residual[order]
    thinned = slice(None, None, max(1, len(point) // 4000))
    weights = np.exp(-0.5 * ((truth[order] - np.minimum(GRID, np.log1p(FARTHEST_LABEL_M))[:, None]) / BANDWIDTH) ** 2)
    # Rows of a site are similar, so sites are counted: n_sites is Kish's effective number of them.
    of_site = np.stack([np.bincount(site[order], weight, minlength=int(site.max()) + 1) for weight in weights])
    n_sites = of_site.sum(axis=1) ** 2 / np.maximum((of_site**2).sum(axis=1), 1e-300)
    cumulative, below = np.empty_like(weights), np.empty(len(GRID))
    for number, nearest in enumerate(_nearest_with_sites(n_sites)):
        cumulative[number] = np.cumsum(weights[nearest]) / weights[nearest].sum()
        distance = np.full_like(point[thinned], GRID[number])
        of_all = np.sort(_residual(distance, point[thinned], scale_low[thinned], scale_high[thinned]))
        below[number] = _shortest_cut(residual, cumulative[number], of_all)
    ends = np.array([_cut(residual, *cut) for cut in zip(cumulative, _smooth(below), strict=True)])
    return ends[:, 0], ends[:, 1]


def _nearest_with_sites(n_sites: Floats) -> NDArray[np.intp]:
    """For each distance of GRID the nearest one at which enough sites had animals."""
    enough = np.flatnonzero(n_sites >= min(MIN_SITES, n_sites.max() / 2))
    nearest = np.abs(np.arange(len(GRID))[:, None] - enough[None, :]).argmin(axis=1)
    return np.asarray(enough[nearest])


def _shortest_cut(residual: Floats, cumulative: Floats, of_all: Floats) -> float:
    """The share (0..1) of the excluded residuals that lies below the belt, so that it includes the fewest of_all."""

    def n_inside(below: float) -> int:
        low, high = _cut(residual, cumulative, below)
        return int(np.searchsorted(of_all, high, "right") - np.searchsorted(of_all, low, "left"))

    return float(min(np.linspace(0.0, 1.0, 21), key=n_inside))


def _cut(residual: Floats, cumulative: Floats, below: float) -> tuple[float, float]:
    """The residuals that enclose COVERAGE; the share `below` of the rest lies under them."""
    start = (1 - COVERAGE) * below
    end = start + COVERAGE
    low = -UNBOUNDED if start <= 1e-9 else float(residual[np.searchsorted(cumulative, start)])
    last = min(int(np.searchsorted(cumulative, end)), len(residual) - 1)
    return low, UNBOUNDED if end >= 1 - 1e-9 else float(residual[last])


def _smooth(values: Floats) -> Floats:
    """A running mean over the grid, so that neighbouring distances are cut similarly."""
    width = 9
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def _draws(point: Floats, truth_m: Floats) -> tuple[Floats, Floats]:
    """Nodes among the predictions, and for each the quantiles of the truths of the rows around it."""
    copies = len(truth_m) // len(point)
    order = np.argsort(point, kind="stable")
    predictions, truths = point[order], np.log1p(truth_m.reshape(copies, -1)[:, order])
    n_nodes = int(np.clip(len(point) // MIN_ROWS_PER_NODE, 1, NODES))
    half = max(1, len(point) // n_nodes)
    spaced = np.linspace(0, len(point) - 1, n_nodes).round().astype(int)
    centres = np.unique(spaced) if n_nodes > 1 else [len(point) // 2]
    around = [slice(max(0, centre - half), centre + half + 1) for centre in centres]
    nodes = np.array([predictions[rows].mean() for rows in around])
    draws = np.array([np.quantile(truths[:, rows], DRAW_LEVELS) for rows in around])
    # Equal predictions may give equal nodes; the first is kept.
    kept = np.concatenate([[True], np.diff(nodes) > 1e-9])
    return nodes[kept], draws[kept]


def spread_rounded_labels(truth_m: Floats) -> Floats:
    """Spreads labels rounded to half metres (whole metres from 8 m on) over the distances that round to them: 4 n values.

    Other labels are returned unchanged. Rounding would put distances on the edges of the classes used for density.
    """
    if not np.array_equal(np.round(truth_m * 2) / 2, truth_m):
        return truth_m
    cell = np.where(truth_m < 8, 0.5, 1.0)
    return np.concatenate([np.maximum(truth_m + offset * cell, 0.0) for offset in (-0.375, -0.125, 0.125, 0.375)])


def _rounded(*arrays: Floats) -> Uncertainty:
    """The fields of an Uncertainty, in their order, rounded to what is written."""
    rows = (row for array in arrays for row in np.atleast_2d(array).tolist())
    # Python's round, since numpy's differs in the last digit.
    low, high, nodes, *draws = (tuple(round(number, 5) for number in row) for row in rows)
    return Uncertainty(low, high, nodes, tuple(draws))
