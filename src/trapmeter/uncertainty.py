"""How sure a distance is, learnt from a model's errors at sites that it hadn't seen: intervals, and draws for density.

A model that is judged by its mean error answers with medians: near animals come out too far and far ones too near. An
interval of usual width around such an answer holds in the middle and fails at the ends. So the interval asks of every
distance whether the model's answer would be usual if the animal stood there (label-conditional conformal prediction: Vovk,
Gammerman and Shafer 2005, section 4.5), and holds 9 of 10 truths at each distance.

Draws are another thing: where an animal may stand given the answer, as often as held-out animals stood there. Their mix over
a survey has the spread of the truth, which answers alone lack, and that is what density is estimated from.

All is told in log(1 + metres), in which errors are of about one size.
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
"""The middle of each tenth of the predictive distribution: ten draws that count alike."""

MAX_M = 30.0
FARTHEST_LABEL_M = 25.0
"""Labels end here in the tables that models are trained on, so that residuals beyond are those at this distance."""
GRID = np.linspace(0.0, np.log1p(MAX_M), 121)
BANDWIDTH = 0.1
"""Of the bell curve over log(1 + true metres) by which errors at a distance are gathered: 0.6 m at 5 m."""
MIN_SITES = 14
"""At distances where fewer sites had animals, the errors at the nearest distance with as many are taken."""
UNBOUNDED = 99.0
"""An end of the belt that excludes nothing."""
NODES = 40
MIN_ROWS_PER_NODE = 60


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """What held-out errors tell.

    belt_low, belt_high: at each distance of GRID, the residuals that are usual there. A residual is the distance minus the
    answer in log(1 + metres), divided by the answer's own scale on that side. node_log, draws_log: the draws at LEVELS for
    answers at the nodes (ascending), in log(1 + metres).
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
        """Answers (log(1 + metres), n) with intervals and draws; scale_low, scale_high: n, 1 where not given."""
        point = np.clip(point_log, 0.0, np.log1p(400.0))
        ones = np.ones_like(point)
        low, high = self._ends(
            point, ones if scale_low is None else scale_low, ones if scale_high is None else scale_high
        )
        nodes, at_nodes = np.array(self.node_log), np.array(self.draws_log)
        draws = np.stack([np.interp(point, nodes, column) for column in at_nodes.T], axis=1)
        # Beyond the nodes the draws keep their distance from the answer.
        draws += (point - np.clip(point, nodes[0], nodes[-1]))[:, None]
        draws = np.maximum.accumulate(np.clip(draws, 0.0, None), axis=1)
        return [
            Distance(metres, min(near, metres), max(far, metres), tuple(row))
            for metres, near, far, row in zip(
                np.expm1(point).tolist(),
                np.expm1(low).tolist(),
                np.expm1(high).tolist(),
                np.expm1(draws).tolist(),
                strict=True,
            )
        ]

    def _ends(self, point: Floats, scale_low: Floats, scale_high: Floats) -> tuple[Floats, Floats]:
        """The least and the greatest distance at which the answer would be usual; between two of the grid by a line."""
        residual = _residual(GRID[None, :], point[:, None], scale_low[:, None], scale_high[:, None])
        over, under = residual - np.array(self.belt_low), np.array(self.belt_high) - residual
        is_usual = (over >= 0) & (under >= 0)
        # Where the belt leaves no distance at all, the answer itself is all there is.
        is_usual[np.arange(len(point)), np.abs(GRID[None, :] - point[:, None]).argmin(axis=1)] = True
        first = is_usual.argmax(axis=1)
        last = len(GRID) - 1 - is_usual[:, ::-1].argmax(axis=1)
        return _crossing(over, first, np.maximum(first - 1, 0)), _crossing(
            under, last, np.minimum(last + 1, len(GRID) - 1)
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Uncertainty:
        """The inverse of `to_json`.

        Raises:
            InputError: it is something else.
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
    """An ensemble's: the mean of its members', somewhat too wide, since an ensemble errs less than they do."""
    if len(members) == 1:
        return members[0]
    first, last = (fmean(member.node_log[end] for member in members) for end in (0, -1))
    nodes = np.linspace(first, last, NODES)
    draws = np.mean(
        [[np.interp(nodes, m.node_log, column) for column in zip(*m.draws_log, strict=True)] for m in members], axis=0
    )
    return Uncertainty(
        _rounded_tuple(np.mean([m.belt_low for m in members], axis=0)),
        _rounded_tuple(np.mean([m.belt_high for m in members], axis=0)),
        _rounded_tuple(nodes),
        tuple(map(_rounded_tuple, draws.T)),
    )


def unmeasured_distance(metres: float) -> Distance:
    """An answer of a model whose errors nobody has measured: anything up to MAX_M."""
    return Distance(metres, 0.0, max(metres, MAX_M), doubt="nobody has measured how sure this model is")


def fit_uncertainty(
    point_log: ArrayLike,
    truth_m: ArrayLike,
    site_ids: Sequence[str],
    scale_low: ArrayLike | None = None,
    scale_high: ArrayLike | None = None,
) -> Uncertainty:
    """Learns from held-out rows: answers in log(1 + metres), truths in metres, the site of each, and their scales.

    Raises:
        InputError: no rows.
    """
    point, truth = np.asarray(point_log, np.float64), np.asarray(truth_m, np.float64)
    if not len(point):
        raise InputError("no held-out row to learn from how sure the model is")
    scales = [
        np.ones_like(point) if scale is None else np.asarray(scale, np.float64) for scale in (scale_low, scale_high)
    ]
    site = np.unique(np.asarray(site_ids), return_inverse=True)[1]
    belt_low, belt_high = _belt(point, np.log1p(truth), site, *scales)
    node_log, draws_log = _draws(point, spread_rounded_labels(truth))
    return Uncertainty(
        _rounded_tuple(belt_low),
        _rounded_tuple(belt_high),
        _rounded_tuple(node_log),
        tuple(map(_rounded_tuple, draws_log)),
    )


def _residual(distance: Floats, point: Floats, scale_low: Floats, scale_high: Floats) -> Floats:
    return np.asarray((distance - point) / np.where(distance < point, scale_low, scale_high))


def _crossing(margin: Floats, inside: NDArray[np.intp], outside: NDArray[np.intp]) -> Floats:
    """Where a margin falls to 0 between two neighbours of the grid."""
    row = np.arange(len(margin))
    kept, lost = margin[row, inside], margin[row, outside]
    share = np.where((lost < 0) & (kept >= 0), kept / np.maximum(kept - lost, 1e-12), 0.0)
    return np.asarray(GRID[inside] + share * (GRID[outside] - GRID[inside]))


def _belt(
    point: Floats, truth: Floats, site: NDArray[np.intp], scale_low: Floats, scale_high: Floats
) -> tuple[Floats, Floats]:
    """At each distance the residuals that COVERAGE of the animals there have, cut so that intervals come out short.

    Which tail is cut matters: far animals are all answered too near, and a belt that holds their nearest answers would reach
    over everything. Among the cuts with the right share, the one is taken that fewest answers overall would fall into.
    """
    order = np.argsort(_residual(truth, point, scale_low, scale_high), kind="stable")
    residual = _residual(truth, point, scale_low, scale_high)[order]
    some = slice(None, None, max(1, len(point) // 4000))
    weights = np.exp(-0.5 * ((truth[order] - np.minimum(GRID, np.log1p(FARTHEST_LABEL_M))[:, None]) / BANDWIDTH) ** 2)
    # Rows of a site are alike, so that sites are what counts: n_sites is Kish's effective number of them.
    of_site = np.stack([np.bincount(site[order], weight, minlength=int(site.max()) + 1) for weight in weights])
    n_sites = of_site.sum(axis=1) ** 2 / np.maximum((of_site**2).sum(axis=1), 1e-300)
    reached, below = np.empty_like(weights), np.empty(len(GRID))
    for number, known in enumerate(_nearest_known(n_sites)):
        reached[number] = np.cumsum(weights[known]) / weights[known].sum()
        at = np.full_like(point[some], GRID[number])
        everyone = np.sort(_residual(at, point[some], scale_low[some], scale_high[some]))
        below[number] = _least_cut(residual, reached[number], everyone)
    ends = [_cut(residual, *belt) for belt in zip(reached, _smooth(below), strict=True)]
    return np.array([low for low, _ in ends]), np.array([high for _, high in ends])


def _nearest_known(n_sites: Floats) -> NDArray[np.intp]:
    """For each distance of GRID the nearest one at which enough sites had animals to learn from."""
    known = np.flatnonzero(n_sites >= min(MIN_SITES, n_sites.max() / 2))
    nearest = np.abs(np.arange(len(GRID))[:, None] - known[None, :]).argmin(axis=1)
    return np.asarray(known[nearest])


def _least_cut(residual: Floats, reached: Floats, everyone: Floats) -> float:
    """Which part of what is cut off goes below the belt (0..1), so that the fewest answers of all fall into it."""

    def n_inside(below: float) -> int:
        low, high = _cut(residual, reached, below)
        return int(np.searchsorted(everyone, high, "right") - np.searchsorted(everyone, low, "left"))

    return float(min(np.linspace(0.0, 1.0, 21), key=n_inside))


def _cut(residual: Floats, reached: Floats, below: float) -> tuple[float, float]:
    """The residuals between which COVERAGE lies; below says which part of the rest lies under them."""
    start = (1 - COVERAGE) * below
    end = start + COVERAGE
    low = -UNBOUNDED if start <= 1e-9 else float(residual[np.searchsorted(reached, start)])
    high = UNBOUNDED if end >= 1 - 1e-9 else float(residual[min(int(np.searchsorted(reached, end)), len(residual) - 1)])
    return low, high


def _smooth(values: Floats) -> Floats:
    """A running mean over the grid, so that neighbouring distances are cut alike."""
    width = 9
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def _draws(point: Floats, truth_m: Floats) -> tuple[Floats, Floats]:
    """Nodes over the answers, and the quantiles of the truths of the rows around each."""
    copies = len(truth_m) // len(point)
    order = np.argsort(point, kind="stable")
    answers, truths = point[order], np.log1p(truth_m.reshape(copies, -1)[:, order])
    n_nodes = int(np.clip(len(point) // MIN_ROWS_PER_NODE, 1, NODES))
    half = max(1, len(point) // n_nodes)
    centres = (
        np.unique(np.linspace(0, len(point) - 1, n_nodes).round().astype(int))
        if n_nodes > 1
        else np.array([len(point) // 2])
    )
    around = [slice(max(0, centre - half), centre + half + 1) for centre in centres]
    nodes = np.array([answers[rows].mean() for rows in around])
    draws = np.array([np.quantile(truths[:, rows], DRAW_LEVELS) for rows in around])
    # Equal answers may make equal nodes; the first stands for all.
    kept = np.concatenate([[True], np.diff(nodes) > 1e-9])
    return nodes[kept], draws[kept]


def spread_rounded_labels(truth_m: Floats) -> Floats:
    """Labels of half metres (of whole ones from 8 m on) stand for all distances that round to them: four copies of each.

    Other labels are taken as they are. Rounding heaps distances on the edges of the classes that density is estimated from.
    """
    if not np.array_equal(np.round(truth_m * 2) / 2, truth_m):
        return truth_m
    cell = np.where(truth_m < 8, 0.5, 1.0)
    return np.concatenate([np.maximum(truth_m + part * cell, 0.0) for part in (-0.375, -0.125, 0.125, 0.375)])


def _rounded_tuple(numbers: Floats) -> tuple[float, ...]:
    return tuple(round(float(number), 5) for number in numbers)
