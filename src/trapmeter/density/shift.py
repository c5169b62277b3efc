"""What draws of distances become where animals stand nearer or farther than those that the model learned from.

A draw says where an animal may stand, given the model's answer *and* that animals stand as they did in the training: an
answer of 5 m is more often a far animal where far ones are common. Where a survey's mix of distances differs, its draws are
pulled towards the training's. Bayes' rule undoes that: each draw r is weighted by f(r) / p(r), the survey's mix over the
training's.

Of that ratio one number is estimated, a in exp(a t) with t = (min(r, w) / w)^2, which makes a detection function narrower or
wider as a half-normal does. Its likelihood is that of the answers: for each the mean of exp(a t) over its draws, divided by
the mean over the training. Freer ratios were worse: ten draws a row can't tell them (docs/log.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_columns, read_rows
from trapmeter.uncertainty import unrounded

Floats = NDArray[np.float64]

STRONGEST = 30.0
LEAST_WEIGHT = 1e-9
N_TRAINING = 400
"""Quantiles that stand for the training's distances."""
DEEP_CHIMPACT = "deep-chimpact"
# fmt: off
DEEP_CHIMPACT_M = (
    0.56, 0.81, 0.94, 1.06, 1.19, 1.44, 1.81, 1.81, 1.94, 1.94, 2.06, 2.19, 2.19, 2.31, 2.44, 2.56, 2.69, 2.81,
    2.94, 2.94, 3.06, 3.06, 3.19, 3.31, 3.44, 3.56, 3.69, 3.81, 3.81, 3.94, 3.94, 4.06, 4.06, 4.19, 4.31, 4.31,
    4.44, 4.56, 4.69, 4.81, 4.81, 4.94, 4.94, 5.06, 5.19, 5.19, 5.31, 5.44, 5.56, 5.69, 5.81, 5.81, 5.94, 6.06,
    6.19, 6.19, 6.44, 6.56, 6.81, 6.81, 6.94, 6.94, 7.06, 7.19, 7.19, 7.31, 7.56, 7.62, 7.69, 7.88, 8.12, 8.38,
    8.62, 8.62, 8.88, 8.88, 9.12, 9.38, 9.38, 9.62, 9.88, 10.12, 10.62, 10.88, 10.88, 11.12, 11.38, 11.88, 12.12,
    12.62, 13.12, 13.38, 13.88, 14.62, 15.12, 15.88, 16.88, 19.38, 24.19, 25.12,
)
# fmt: on
"""Middles of the hundredths of the 15,229 distances of the public Deep Chimpact labels, rounding undone, metres.

(c) Max Planck Institute for Evolutionary Anthropology and Wild Chimpanzee Foundation, MIT. The embedded model learned from
them.
"""


def read_training(text: str | Path) -> Floats:
    """The distances that a model learned from: `deep-chimpact`, or a CSV file with distance or distance_m (metres).

    Raises:
        InputError: the file can't be read, lacks the column, or has fewer than 100 distances.
    """
    if str(text) == DEEP_CHIMPACT:
        return np.array(DEEP_CHIMPACT_M)
    path = Path(text)
    column = "distance_m" if "distance_m" in read_columns(path) else "distance"
    metres = np.array(
        [row.number_from_0(column, "metres") for row in read_rows(path, required=[column]) if row.optional_text(column)]
    )
    if len(metres) < 100:
        raise InputError(f"{path} has {len(metres)} distances, expected 100 or more: those that the model learned from")
    return np.quantile(unrounded(metres), (np.arange(N_TRAINING) + 0.5) / N_TRAINING)


def fit_shift(
    draws_m: Floats, training_m: Floats, right_m: float, weights: Floats | None = None, start: float = 0.0
) -> float:
    """The strength a of the shift that makes the answers most likely: below 0 animals stand nearer than in the training.

    Args:
        draws_m: of each observation (n, draws), metres.
        training_m: distances that the model learned from (m), metres.
        right_m: right truncation w, metres.
        weights: of the observations (n), 1 each when not given.
        start: where the search begins.
    """
    from scipy.optimize import minimize

    weight = np.ones(len(draws_m)) if weights is None else weights
    row, learned, share = _scaled(draws_m, right_m), _scaled(training_m, right_m), weight / weight.sum()

    def cost(strength: Floats) -> tuple[float, Floats]:
        a = float(strength[0])
        of_rows, of_training = np.exp(a * row), np.exp(a * learned)
        means = of_rows.mean(axis=1)
        slopes = (of_rows * row).mean(axis=1) / means
        whole = of_training.mean()
        lnl = share @ np.log(means) - np.log(whole)
        slope = share @ slopes - (of_training * learned).mean() / whole
        return -float(lnl), np.array([-slope])

    found = minimize(cost, [start], jac=True, method="L-BFGS-B", bounds=[(-STRONGEST, STRONGEST)])
    return float(found.x[0])


def shifted_weights(draws_m: Floats, strength: float, right_m: float) -> Floats:
    """How much each draw counts within its row (n, draws); rows sum to 1."""
    weights = np.exp(strength * _scaled(draws_m, right_m)) + LEAST_WEIGHT
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _scaled(metres: Floats, right_m: float) -> Floats:
    return np.asarray((np.minimum(metres, right_m) / right_m) ** 2)
