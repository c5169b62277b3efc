"""A site's answers corrected by a few labelled seconds of it.

The labels' errors are carried to all rows of the site as `Covariance` says: much to rows that are alike, less to
others, and only as far as few labels can be trusted. What constant and answer explain never turns the order of two
answers around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trapmeter.calibration.covariance import Covariance
from trapmeter.calibration.rows import MIDDLE, UNIT, Floats, Rows

GREATEST_ERROR = 0.5
"""Errors of labels count up to this, in log(1 + metres): one odd second must not move a site."""
STEP_LOG = 0.02
"""Of the grid of answers on which their order is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelCorrection:
    """What the labels of a site say: their rows, and how much each weighs (n)."""

    labelled: Rows
    weights: Floats
    covariance: Covariance

    def shift_log(self, rows: Rows) -> Floats:
        """By how much log(1 + metres) of each row (n) is to be moved."""
        if not len(self.weights):
            return np.zeros(len(rows.has_box))
        _, boxed = self.covariance.parts(rows, self.labelled)
        return self._by_answer(rows.answer_log) + np.asarray(boxed @ self.weights, np.float64)

    def _by_answer(self, answer_log: Floats) -> Floats:
        """The part of constant and answer, made monotone: a greater answer stays the greater."""
        from scipy.optimize import isotonic_regression

        grid = np.arange(0.0, max(3.6, float(answer_log.max()) + 2 * STEP_LOG), STEP_LOG)
        place = np.tile((np.concatenate([[0.0], MIDDLE[1:]]) - MIDDLE) / UNIT, (len(grid), 1))
        place[:, 0] = (grid - MIDDLE[0]) / UNIT[0]
        no_box = Rows(place, np.zeros(len(grid), bool), np.zeros(len(grid), np.int64))
        plain, _ = self.covariance.parts(no_box, self.labelled)
        moved = isotonic_regression(grid + plain @ self.weights).x
        return np.interp(answer_log, grid, moved - grid)


def correct_by_labels(labelled: Rows, truth_log: Floats, covariance: Covariance) -> LabelCorrection:
    """The correction of a site from labelled rows and their true log(1 + metres) (n); 0 labels correct nothing.

    The order of the labels changes nothing.
    """
    order = np.lexsort((truth_log, *labelled.place.T, labelled.video))
    rows = labelled.take(order)
    error = np.clip(truth_log[order] - rows.answer_log, -GREATEST_ERROR, GREATEST_ERROR)
    if not len(error):
        return LabelCorrection(rows, error, covariance)
    weights = np.linalg.solve(covariance.between(rows, rows) + covariance.own(rows), error)
    return LabelCorrection(rows, np.asarray(weights, np.float64), covariance)
