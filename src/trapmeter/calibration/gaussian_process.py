"""Corrects a site's distances from a few labelled seconds: a Gaussian process over the model's errors.

Errors are in log(1 + metres). Their covariance has a constant component for each site, and components that depend on the
prediction, on the box, and on both; errors of the same video and second are correlated further.
"""

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
"""Rounded means and standard deviations of `SiteRows.coordinates` over the Deep Chimpact tables."""
NEAR_IN_VIDEO = 0.3
"""Rows of a video whose prediction and lower edge differ by less than this (in UNIT) show much the same."""
MAX_ERROR_LOG = 0.5
"""Errors at labels are clipped to this, in log(1 + metres), so that one odd second doesn't move a site."""
STEP_LOG = 0.02
"""Step of the grid of predictions on which their order is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteRows:
    """n measured rows of a site.

    coordinates: n x 5, in units of UNIT around MIDDLE: log(1 + prediction in metres); the box's lower edge, log height,
    horizontal centre, and log of width over height (in fractions of the picture; 0 without a box). has_box: n. video:
    n, the number of the row's video, from 0.
    """

    coordinates: Floats
    has_box: Flags
    video: Ints

    @property
    def prediction_log(self) -> Floats:
        """log(1 + prediction in metres), n."""
        return np.asarray(self.coordinates[:, 0] * UNIT[0] + MIDDLE[0], np.float64)

    def take(self, index: NDArray[np.intp]) -> SiteRows:
        """The rows at these positions."""
        return SiteRows(self.coordinates[index], self.has_box[index], self.video[index])


def make_site_rows(observations: Sequence[Observation], prediction_log: Floats) -> SiteRows:
    """The rows of observations and their predictions (log(1 + metres), n)."""
    number: dict[str, int] = {}
    video = np.array([number.setdefault(row.media_id, len(number)) for row in observations], np.int64)
    raw = np.tile(MIDDLE, (len(observations), 1))
    raw[:, 0] = prediction_log
    for numbers, row in zip(raw, observations, strict=True):
        if row.box is not None:
            x1, y1, x2, y2 = row.box.xyxy
            numbers[1:] = y2, np.log(y2 - y1), (x1 + x2) / 2, np.log((x2 - x1) / (y2 - y1))
    return SiteRows((raw - MIDDLE) / UNIT, np.array([row.box is not None for row in observations], bool), video)


@dataclass(frozen=True, slots=True)
class Covariance:
    """Variances of the components, in squares of log(1 + metres), and their length scales in UNIT.

    Learned by `benchmarks/learn_covariance.py` from errors at held-out sites of the Deep Chimpact tables (marginal
    likelihood).
    """

    site: float = 0.00895
    prediction: float = 0.0134
    box: float = 0.0112
    prediction_and_box: float = 0.00868
    prediction_length: float = 0.554
    box_lengths: tuple[float, float, float, float] = (1.53, 1.2, 1.32, 2.15)
    """Of lower edge, log height, horizontal centre, and log of width over height."""
    video: float = 0.033
    video_near: float = 0.0142
    second: float = 0.0066
    second_without_box: float = 0.00386

    def between(self, first: SiteRows, second: SiteRows) -> Floats:
        """The covariance of the errors that a site has in common: n x m."""
        plain, boxed = self.components(first, second)
        return plain + boxed

    def components(self, first: SiteRows, second: SiteRows) -> tuple[Floats, Floats]:
        """That covariance in two summands: by site and prediction alone, and by boxes (each n x m)."""
        squared = (first.coordinates[:, None, :] - second.coordinates[None, :, :]) ** 2
        by_prediction = np.exp(-0.5 * squared[..., 0] / self.prediction_length**2)
        by_box = np.exp(-0.5 * (squared[..., 1:] / np.square(self.box_lengths)).sum(axis=2))
        by_box *= first.has_box[:, None] & second.has_box[None, :]
        plain = self.site + self.prediction * by_prediction
        return plain, (self.box + self.prediction_and_box * by_prediction) * by_box

    def within_videos(self, rows: SiteRows) -> Floats:
        """The covariance of the errors peculiar to videos and seconds: n x n."""
        squared = (rows.coordinates[:, None, :2] - rows.coordinates[None, :, :2]) ** 2
        near = np.exp(-0.5 * squared.sum(axis=2) / NEAR_IN_VIDEO**2)
        of_video = (rows.video[:, None] == rows.video[None, :]) * (self.video + self.video_near * near)
        return np.asarray(of_video + np.diag(self.second + self.second_without_box * ~rows.has_box), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class LabelCorrection:
    """The correction of a site: its labelled rows and the weight of each (n)."""

    labelled: SiteRows
    weights: Floats
    covariance: Covariance

    def shift_log(self, rows: SiteRows) -> Floats:
        """The shift of each row (n), in log(1 + metres)."""
        if not len(self.weights):
            return np.zeros(len(rows.has_box))
        _, boxed = self.covariance.components(rows, self.labelled)
        return self._shift_by_prediction(rows.prediction_log) + np.asarray(boxed @ self.weights, np.float64)

    def _shift_by_prediction(self, prediction_log: Floats) -> Floats:
        """The shift by site and prediction alone, made monotone: a greater prediction remains the greater."""
        from scipy.optimize import isotonic_regression

        grid = np.arange(0.0, max(3.6, float(prediction_log.max()) + 2 * STEP_LOG), STEP_LOG)
        coordinates = np.tile((np.concatenate([[0.0], MIDDLE[1:]]) - MIDDLE) / UNIT, (len(grid), 1))
        coordinates[:, 0] = (grid - MIDDLE[0]) / UNIT[0]
        no_box = SiteRows(coordinates, np.zeros(len(grid), bool), np.zeros(len(grid), np.int64))
        plain, _ = self.covariance.components(no_box, self.labelled)
        moved = isotonic_regression(grid + plain @ self.weights).x
        return np.interp(prediction_log, grid, moved - grid)


def fit_label_correction(labelled: SiteRows, truth_log: Floats, covariance: Covariance) -> LabelCorrection:
    """The correction of a site from labelled rows and their true log(1 + metres) (n). Without labels it shifts nothing.

    The order of the labels makes no difference.
    """
    order = np.lexsort((truth_log, *labelled.coordinates.T, labelled.video))
    rows = labelled.take(order)
    error = np.clip(truth_log[order] - rows.prediction_log, -MAX_ERROR_LOG, MAX_ERROR_LOG)
    if not len(error):
        return LabelCorrection(rows, error, covariance)
    weights = np.linalg.solve(covariance.between(rows, rows) + covariance.within_videos(rows), error)
    return LabelCorrection(rows, np.asarray(weights, np.float64), covariance)
