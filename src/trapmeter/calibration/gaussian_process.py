"""Corrects a site's distances from a few labelled seconds: a Gaussian process over the model's errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Observation

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

MIDDLE = np.array([1.9, 0.7, -1.2, 0.5, 0.0])
UNIT = np.array([0.45, 0.17, 0.6, 0.25, 0.5])
"""Rounded means and standard deviations over the Deep Chimpact tables, in the order of `Rows.place`."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteRows:
    """n measured rows of a site.

    place: n x 5, each in units of UNIT around MIDDLE: log(1 + answer in metres); the box's lower edge, log of its
    height, its middle from left to right, and log of width over height (fractions of the picture; 0 where there is no
    box). has_box, video (which video it is of, numbered from 0): n.
    """

    coordinates: Floats
    has_box: Flags
    video: Ints

    @property
    def prediction_log(self) -> Floats:
        """log(1 + answer in metres)."""
        return np.asarray(self.coordinates[:, 0] * UNIT[0] + MIDDLE[0], np.float64)

    def take(self, index: NDArray[np.intp]) -> SiteRows:
        """The rows of that index."""
        return SiteRows(self.coordinates[index], self.has_box[index], self.video[index])


def make_site_rows(observations: Sequence[Observation], answer_log: Floats) -> SiteRows:
    """Rows of observations and their answers (log(1 + metres), n)."""
    number: dict[str, int] = {}
    video = np.array([number.setdefault(seen.media_id, len(number)) for seen in observations], np.int64)
    place = np.tile(MIDDLE, (len(observations), 1))
    place[:, 0] = answer_log
    for row, seen in zip(place, observations, strict=True):
        if seen.box is not None:
            x1, y1, x2, y2 = seen.box.xyxy
            row[1:] = y2, np.log(y2 - y1), (x1 + x2) / 2, np.log((x2 - x1) / (y2 - y1))
    return SiteRows((place - MIDDLE) / UNIT, np.array([seen.box is not None for seen in observations], bool), video)


NEAR_IN_VIDEO = 0.3
"""Seconds of a video whose answer and lower edge differ by less than this (in units of rows.UNIT) show much the
same."""


@dataclass(frozen=True, slots=True)
class Covariance:
    """Variances of the parts, in squares of log(1 + metres), and over which differences (in rows.UNIT) they stay alike.

    Learnt by `benchmarks/learn_covariance.py` from errors at held-out sites of the Deep Chimpact tables (marginal
    likelihood).
    """

    site: float = 0.00895
    answer: float = 0.0134
    box: float = 0.0112
    both: float = 0.00868
    answer_length: float = 0.554
    box_lengths: tuple[float, float, float, float] = (1.53, 1.2, 1.32, 2.15)
    """Lower edge, log height, middle, log of width over height."""
    video: float = 0.033
    video_near: float = 0.0142
    second: float = 0.0066
    second_without_box: float = 0.00386

    def between(self, one: SiteRows, other: SiteRows) -> Floats:
        """Of the errors that sites have of their own: n x m."""
        plain, boxed = self.plain_and_boxed(one, other)
        return plain + boxed

    def plain_and_boxed(self, one: SiteRows, other: SiteRows) -> tuple[Floats, Floats]:
        """The same in two parts: what constant and answer explain, and what the boxes do."""
        apart = (one.coordinates[:, None, :] - other.coordinates[None, :, :]) ** 2
        alike_answer = np.exp(-0.5 * apart[..., 0] / self.answer_length**2)
        alike_box = np.exp(-0.5 * (apart[..., 1:] / np.square(self.box_lengths)).sum(axis=2))
        alike_box *= one.has_box[:, None] & other.has_box[None, :]
        return self.site + self.answer * alike_answer, (self.box + self.both * alike_answer) * alike_box

    def within_videos(self, rows: SiteRows) -> Floats:
        """Of the errors that videos and seconds have of their own: n x n."""
        apart = (rows.coordinates[:, None, :2] - rows.coordinates[None, :, :2]) ** 2
        near = np.exp(-0.5 * apart.sum(axis=2) / NEAR_IN_VIDEO**2)
        of_video = (rows.video[:, None] == rows.video[None, :]) * (self.video + self.video_near * near)
        return np.asarray(of_video + np.diag(self.second + self.second_without_box * ~rows.has_box), np.float64)


MAX_ERROR_LOG = 0.5
"""Errors of labels count up to this, in log(1 + metres): one odd second must not move a site."""
STEP_LOG = 0.02
"""Of the grid of answers on which their order is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelCorrection:
    """What the labels of a site say: their rows, and how much each weighs (n)."""

    labelled: SiteRows
    weights: Floats
    covariance: Covariance

    def shift_log(self, rows: SiteRows) -> Floats:
        """By how much log(1 + metres) of each row (n) is to be moved."""
        if not len(self.weights):
            return np.zeros(len(rows.has_box))
        _, boxed = self.covariance.plain_and_boxed(rows, self.labelled)
        return self._by_answer(rows.prediction_log) + np.asarray(boxed @ self.weights, np.float64)

    def _by_answer(self, answer_log: Floats) -> Floats:
        """The part of constant and answer, made monotone: a greater answer stays the greater."""
        from scipy.optimize import isotonic_regression

        grid = np.arange(0.0, max(3.6, float(answer_log.max()) + 2 * STEP_LOG), STEP_LOG)
        place = np.tile((np.concatenate([[0.0], MIDDLE[1:]]) - MIDDLE) / UNIT, (len(grid), 1))
        place[:, 0] = (grid - MIDDLE[0]) / UNIT[0]
        no_box = SiteRows(place, np.zeros(len(grid), bool), np.zeros(len(grid), np.int64))
        plain, _ = self.covariance.plain_and_boxed(no_box, self.labelled)
        moved = isotonic_regression(grid + plain @ self.weights).x
        return np.interp(answer_log, grid, moved - grid)


def fit_label_correction(labelled: SiteRows, truth_log: Floats, covariance: Covariance) -> LabelCorrection:
    """The correction of a site from labelled rows and their true log(1 + metres) (n); 0 labels correct nothing.

    The order of the labels changes nothing.
    """
    order = np.lexsort((truth_log, *labelled.coordinates.T, labelled.video))
    rows = labelled.take(order)
    error = np.clip(truth_log[order] - rows.prediction_log, -MAX_ERROR_LOG, MAX_ERROR_LOG)
    if not len(error):
        return LabelCorrection(rows, error, covariance)
    weights = np.linalg.solve(covariance.between(rows, rows) + covariance.within_videos(rows), error)
    return LabelCorrection(rows, np.asarray(weights, np.float64), covariance)
