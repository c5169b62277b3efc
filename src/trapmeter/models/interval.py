"""How sure a network is: the 90 % interval around its answer, from its errors at sites that it hadn't seen."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trapmeter.conformal import needed_offset
from trapmeter.errors import InputError
from trapmeter.records import Distance

UNKNOWN_HIGH_M = 30.0
"""The upper end where nothing is known: no label of any training reaches farther."""


@dataclass(frozen=True, slots=True)
class Interval:
    """How far the ends lie from the answer, in log(1 + metres): errors grow with distance."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise InputError(f"an interval's ends are numbers, got {self.low} and {self.high}")

    def around(self, metres: float) -> Distance:
        """The answer (at least 0) with its interval."""
        low = math.expm1(math.log1p(metres) - self.low)
        high = math.expm1(math.log1p(metres) + self.high)
        return Distance(metres, min(max(low, 0.0), metres), max(high, metres))

    def to_json(self) -> dict[str, float]:
        """As plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Interval:
        """The inverse of `to_json`; KeyError, TypeError or ValueError when it is something else."""
        return Interval(float(data["low"]), float(data["high"]))


def fit_interval(answers_m: ArrayLike, truths_m: ArrayLike) -> Interval | None:
    """The interval that held-out answers ask for (conformal prediction, each end on its own); None without any."""
    answers, truths = np.log1p(np.asarray(answers_m, float)), np.log1p(np.asarray(truths_m, float))
    if len(answers) == 0:
        return None
    return Interval(needed_offset(answers - truths), needed_offset(truths - answers))


def mean_interval(intervals: list[Interval | None]) -> Interval | None:
    """An ensemble's: the mean of its members', somewhat too wide, since it errs less than they do. None if one lacks it."""
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(intervals) or not known:
        return None
    return Interval(fmean(i.low for i in known), fmean(i.high for i in known))


def unknown(metres: float) -> Distance:
    """An answer of a network whose errors nobody has measured: anything from 0 to UNKNOWN_HIGH_M."""
    return Distance(metres, 0.0, max(metres, UNKNOWN_HIGH_M))
