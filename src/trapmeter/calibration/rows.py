"""What calibration knows of a measured row: its answer and its box, in units in which sites are alike."""

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
class Rows:
    """n measured rows of a site.

    place: n x 5, each in units of UNIT around MIDDLE: log(1 + answer in metres); the box's lower edge, log of its
    height, its middle from left to right, and log of width over height (fractions of the picture; 0 where there is no
    box). has_box, video (which video it is of, numbered from 0): n.
    """

    place: Floats
    has_box: Flags
    video: Ints

    @property
    def answer_log(self) -> Floats:
        """log(1 + answer in metres)."""
        return np.asarray(self.place[:, 0] * UNIT[0] + MIDDLE[0], np.float64)

    def take(self, index: NDArray[np.intp]) -> Rows:
        """The rows of that index."""
        return Rows(self.place[index], self.has_box[index], self.video[index])


def make_rows(observations: Sequence[Observation], answer_log: Floats) -> Rows:
    """Rows of observations and their answers (log(1 + metres), n)."""
    number: dict[str, int] = {}
    video = np.array([number.setdefault(seen.media_id, len(number)) for seen in observations], np.int64)
    place = np.tile(MIDDLE, (len(observations), 1))
    place[:, 0] = answer_log
    for row, seen in zip(place, observations, strict=True):
        if seen.box is not None:
            x1, y1, x2, y2 = seen.box.xyxy
            row[1:] = y2, np.log(y2 - y1), (x1 + x2) / 2, np.log((x2 - x1) / (y2 - y1))
    return Rows((place - MIDDLE) / UNIT, np.array([seen.box is not None for seen in observations], bool), video)
