"""How alike a model's errors are at two rows of one site: what a label at one tells of the other.

An error is log(1 + true metres) - log(1 + answered metres). At a site it is taken as the sum of a constant, a part that
changes with the answer, a part that changes with the place and the shape of the box, and one that changes with both;
besides there is what a video has of its own, and what a second has. Each part is a Gaussian process around 0 (Rasmussen
and Williams 2006, chapter 2), so that without labels nothing is corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trapmeter.calibration.rows import Floats, Rows

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

    def between(self, one: Rows, other: Rows) -> Floats:
        """Of the errors that sites have of their own: n x m."""
        plain, boxed = self.parts(one, other)
        return plain + boxed

    def parts(self, one: Rows, other: Rows) -> tuple[Floats, Floats]:
        """The same in two parts: what constant and answer explain, and what the boxes do."""
        apart = (one.place[:, None, :] - other.place[None, :, :]) ** 2
        alike_answer = np.exp(-0.5 * apart[..., 0] / self.answer_length**2)
        alike_box = np.exp(-0.5 * (apart[..., 1:] / np.square(self.box_lengths)).sum(axis=2))
        alike_box *= one.has_box[:, None] & other.has_box[None, :]
        return self.site + self.answer * alike_answer, (self.box + self.both * alike_answer) * alike_box

    def own(self, rows: Rows) -> Floats:
        """Of the errors that videos and seconds have of their own: n x n."""
        apart = (rows.place[:, None, :2] - rows.place[None, :, :2]) ** 2
        near = np.exp(-0.5 * apart.sum(axis=2) / NEAR_IN_VIDEO**2)
        of_video = (rows.video[:, None] == rows.video[None, :]) * (self.video + self.video_near * near)
        return np.asarray(of_video + np.diag(self.second + self.second_without_box * ~rows.has_box), np.float64)
