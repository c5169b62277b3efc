"""Availability from times of day: the share of the day in which animals are active (Rowcliffe et al. 2014).

Detections follow a curve over the day. At its peak all animals are assumed to be active, so the mean of the curve divided by
its peak is the share of time in which an animal is active and can be detected at all. The curve is a kernel density with von
Mises kernels, whose width is that of Taylor (2008) as used by Ridout and Linkie (2009).

Cameras that work for a part of the day see only that part. The share is then that of these hours: the share of the times that
lie in them, divided by their length and by the peak (R's `activity`, divided by the working share of the day).

Give one time for each trigger or visit, not for every snapshot: a single animal that rests in front of the camera
would make a peak.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.survey.survey import Availability, Survey
from trapmeter.errors import InputError
from trapmeter.tables.times import Hours, is_within_hours

HOURS = 24.0
N_GRID = 512
"""Points of the curve over the day, 2.8 minutes apart."""
N_TRIGONOMETRIC_MOMENTS = 3
"""The concentration is the highest of the estimates from the first three trigonometric moments (Ridout & Linkie 2009)."""
MAX_KAPPA = 500.0
MIN_TIMES = 20
MAX_OUTSIDE = 0.5
"""If more of the times lie outside the hours in which cameras worked, times and hours are not of the same survey or zone."""
CLEAR_GAP_H = 4.0
"""A part of the day as long as this without any time suggests that cameras didn't work in it."""


@dataclass(frozen=True, slots=True, eq=False)
class ActivityCurve:
    """The activity over the day, and the availability that follows from it.

    hours: of the day, from 0 (N_GRID). density: per hour at these, with a mean of 1 / 24 (N_GRID). share: of the hours with
    effort (0..1) in which animals are active. se: its standard error, by a bootstrap over stations or over times. n: times.
    n_outside: times outside the hours in which cameras worked. seen: the range of the day with all times, if the rest is
    longer than `CLEAR_GAP_H`.
    """

    hours: Floats
    density: Floats
    share: float
    se: float
    n: int
    n_outside: int = 0
    seen: tuple[float, float] | None = None

    @property
    def availability(self) -> Availability:
        """The availability for `estimate_density`."""
        return Availability(self.share, self.se)


def fit_activity(
    time_of_day: ArrayLike,
    stations: Sequence[str] | None = None,
    *,
    operating_hours: Mapping[Hours, float] | None = None,
    replicates: int = 200,
    seed: int = 1,
) -> ActivityCurve:
    """Fits an activity curve to times of day.

    Args:
        time_of_day: n hours, 0 <= hour < 24.
        stations: the station of each time (n). If given, the standard error comes from resampling stations, since times at
            one station are alike.
        operating_hours: snapshots by the hours of the day in which cameras worked; all day by default.
        replicates: of the bootstrap for the standard error.
        seed: of the bootstrap.

    Raises:
        InputError: a time is outside 0 to 24 h, there are fewer than 20, or most are outside the operating hours.
    """
    hours = np.asarray(time_of_day, np.float64)
    invalid = hours[~((hours >= 0) & (hours < HOURS))]
    if len(invalid):
        raise InputError(f"expected times of day from 0 up to 24 hours, got {invalid[0]:g}; correct them")
    if len(hours) < MIN_TIMES:
        raise InputError(
            f"{len(hours)} times of day are too few for an activity curve, expected {MIN_TIMES} or more, better 100; give "
            "availability as a number, or leave it out if effort counts only hours in which all animals are active"
        )
    effort = operating_hours or {(): 1.0}
    n_outside = sum(not any(is_within_hours(hour, ranges) for ranges in effort) for hour in hours.tolist())
    if n_outside > MAX_OUTSIDE * len(hours):
        raise InputError(
            f"{n_outside:,} of {len(hours):,} times of day lie outside the hours in which cameras worked; check that both "
            "are of this survey and in one time zone (--timezone)"
        )
    per_hour = _effort_per_hour(effort)
    histogram = _histogram(hours)
    by_station = histogram[None]
    if stations is not None:
        station = np.unique(np.asarray(stations), return_inverse=True)[1]
        by_station = np.array([_histogram(hours[station == index]) for index in range(station.max() + 1)])
    curve = activity_curve(histogram)
    rng = np.random.default_rng(seed)
    resamples = (_resample(by_station, rng) for _ in range(replicates))
    shares = [_active_share(activity_curve(resample), resample, per_hour) for resample in resamples]
    return ActivityCurve(
        np.arange(N_GRID) * HOURS / N_GRID,
        curve,
        _active_share(curve, histogram, per_hour),
        float(np.std(shares, ddof=1)),
        len(hours),
        n_outside,
        _seen_range(hours),
    )


def activity_curve(histogram: Floats) -> Floats:
    """The kernel density per hour in the middle of each of N_GRID slices of the day, from counts in them (N_GRID).

    A von Mises kernel is the same everywhere, so the curve is a circular convolution of the counts.
    """
    from scipy.special import i0e

    angle = 2 * np.pi * np.arange(N_GRID) / N_GRID
    kappa = kernel_concentration(angle, histogram)
    # exp(kappa (cos - 1)) instead of exp(kappa cos) / I0, which overflows.
    kernel = np.exp(kappa * (np.cos(angle) - 1)) / (2 * np.pi * i0e(kappa))
    curve = np.fft.irfft(np.fft.rfft(histogram) * np.fft.rfft(kernel), N_GRID) / histogram.sum()
    return np.asarray(np.maximum(curve, 0.0) * 2 * np.pi / HOURS)


def kernel_concentration(angle: Floats, weights: Floats) -> float:
    """The concentration of the kernel: (3 n k^2 I2(2k) / (4 sqrt(pi) I0(k)^2))^(2/5) with k of the data (Taylor 2008)."""
    from scipy.special import ive

    n, kappa = float(weights.sum()), _concentration(angle, weights)
    # ive is scaled by exp(-argument): exp(2k) in the numerator and exp(k)^2 in the denominator cancel.
    return float((3 * n * kappa**2 * ive(2, 2 * kappa) / (4 * math.sqrt(math.pi) * ive(0, kappa) ** 2)) ** 0.4)


def _concentration(angle: Floats, weights: Floats) -> float:
    """The von Mises concentration of weighted angles (m, radians): the highest estimate of the first moments.

    Each solves A_p(kappa) = length of the mean of exp(i p angle), with A_p = I_p / I_0 (Ridout & Linkie 2009). With the
    length, not the component along the mean direction, the second moment detects the two peaks of crepuscular animals.
    """
    from scipy.optimize import brentq
    from scipy.special import ive

    n = weights.sum()
    estimates = [1e-3]
    for order in range(1, N_TRIGONOMETRIC_MOMENTS + 1):
        target = float(np.abs(weights @ np.exp(1j * order * angle)) / n)

        def above(kappa: float, order: int = order, target: float = target) -> float:
            return float(ive(order, kappa) / ive(0, kappa)) - target

        if above(MAX_KAPPA) <= 0:
            return MAX_KAPPA
        if target > 0 and above(estimates[0]) < 0:
            estimates.append(float(brentq(above, estimates[0], MAX_KAPPA)))
    return max(estimates)


def _histogram(hours: Floats) -> Floats:
    return np.bincount(np.floor(hours / HOURS * N_GRID).astype(np.intp), minlength=N_GRID).astype(np.float64)


def _resample(by_station: Floats, rng: np.random.Generator) -> Floats:
    """Counts (N_GRID) of a resample of the stations, or of the times if there is one station only."""
    n = len(by_station)
    if n > 1:
        drawn = rng.multinomial(n, np.full(n, 1 / n)) @ by_station
        return np.asarray(drawn, np.float64) if drawn.sum() else _resample(by_station, rng)
    total = by_station[0].sum()
    return np.asarray(rng.multinomial(int(total), by_station[0] / total), np.float64)


def _active_share(curve: Floats, histogram: Floats, per_hour: Floats) -> float:
    """The detections per hour of effort, divided by those at the peak; see `_effort_per_hour`."""
    share = float(histogram @ per_hour) / float(histogram.sum()) / float(curve.max())
    # A resample may have no time within the hours.
    return min(max(share, 1e-6), 1.0)


def _effort_per_hour(operating_hours: Mapping[Hours, float]) -> Floats:
    """The effort in each slice of the day (N_GRID), so that the hours of each camera count 1 / their length, weighted."""
    starts = np.arange(N_GRID) * HOURS / N_GRID
    ends = starts + HOURS / N_GRID
    total = sum(operating_hours.values())
    per_hour = np.zeros(N_GRID)
    for ranges, snapshots in operating_hours.items():
        # A range over midnight is two within the day.
        parts = [part for a, b in ranges for part in ([(a, b)] if a < b else [(0.0, b), (a, HOURS)])] or [(0.0, HOURS)]
        touched = np.zeros(N_GRID, bool)
        for first, last in parts:
            touched |= (starts < last) & (ends > first)
        per_hour[touched] += snapshots / total / sum(last - first for first, last in parts)
    return per_hour


def _seen_range(hours: Floats) -> tuple[float, float] | None:
    """The range of the day that has all times (hours), if the longest part without any is longer than `CLEAR_GAP_H`."""
    times = np.sort(hours)
    gaps = np.diff(times, append=times[0] + HOURS)
    longest = int(gaps.argmax())
    if gaps[longest] < CLEAR_GAP_H:
        return None
    return float(times[(longest + 1) % len(times)]), float(times[longest])


def note_hours(activity: ActivityCurve, survey: Survey) -> list[str]:
    """What users should know about the hours to which the availability is relative; [] if nothing."""
    if activity.n_outside:
        return [
            f"{activity.n_outside:,} of {activity.n:,} times of day lie outside the hours in which cameras worked; check the "
            "hours and the time zone (--timezone), unless other cameras gave these times"
        ]
    if survey.hours and () not in survey.hours:
        return []
    seen = "" if activity.seen is None else f"; all times of day lie between {' and '.join(map(_clock, activity.seen))}"
    if survey.hours:
        return [f"cameras count as working all day{seen}; if not, give their hours in the deployments"] if seen else []
    return [
        f"availability is taken over 24 hours a day{seen}; if effort counts fewer hours, density is too high by that factor: "
        "give them, such as --hours 06:00-18:00"
    ]


def _clock(hour: float) -> str:
    minutes = int(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
