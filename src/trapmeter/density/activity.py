"""Availability from times of day: the share of the day in which animals are active (Rowcliffe et al. 2014).

Detections follow a curve over the day. Where it is highest, all animals are taken to be active; the mean of the curve over
its height is then the share of the time in which an animal is active, and so could be seen at all. The curve is a kernel
density with von Mises kernels, whose width is that of Taylor (2008) as used by Ridout and Linkie (2009).

Times should be of triggers or visits, one for each, not of every snapshot: an animal that rests before the camera would
otherwise make a peak of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trapmeter.density.estimate import Availability
from trapmeter.errors import InputError

Floats = NDArray[np.float64]

HOURS = 24.0
N_GRID = 512
"""Points around the day at which the curve is told, 2.8 minutes apart."""
N_TRIGONOMETRIC_MOMENTS = 3
"""Concentrations are estimated from the first three trigonometric moments; the highest is taken (Ridout & Linkie 2009)."""
MAX_KAPPA = 500.0
MIN_TIMES = 20


@dataclass(frozen=True, slots=True, eq=False)
class ActivityCurve:
    """The curve and what it means. density: at GRID hours of the day from 0 on, per hour, so that its mean is 1 / 24.

    share: of the hours with effort in which animals are active; se by a bootstrap over cameras, or over times.
    """

    hours: Floats
    density: Floats
    share: float
    se: float
    n: int

    @property
    def availability(self) -> Availability:
        """For `estimate_density`."""
        return Availability(self.share, self.se)


def fit_activity(
    time_of_day: ArrayLike,
    stations: Sequence[str] | None = None,
    *,
    operating_hours: Sequence[tuple[float, float]] = (),
    replicates: int = 200,
    seed: int = 1,
) -> ActivityCurve:
    """Fits the curve to times of day.

    Args:
        time_of_day: n hours, 0 <= hour < 24.
        stations: the station of each time (n). With them the standard error comes from resampling stations, since times at
            one station are alike.
        operating_hours: (start, end) in hours, when cameras worked; all day when not given.
        replicates: of the bootstrap for the standard error.
        seed: of the bootstrap.

    Raises:
        InputError: a time is not of 0 to 24 h, or there are fewer than 20.
    """
    hours = np.asarray(time_of_day, np.float64)
    wrong = hours[~((hours >= 0) & (hours < HOURS))]
    if len(wrong):
        raise InputError(f"expected times of day from 0 up to 24 hours, got {wrong[0]:g}; correct them")
    if len(hours) < MIN_TIMES:
        raise InputError(
            f"{len(hours)} times of day are too few for a curve of activity, expected {MIN_TIMES} or more and better 100; "
            "give availability as a number, or leave it out where effort counts only hours in which all are active"
        )
    is_on = _operating_mask(operating_hours)
    histogram = np.array([_histogram(hours)])
    of_camera = histogram
    if stations is not None:
        number = np.unique(np.asarray(stations), return_inverse=True)[1]
        of_camera = np.array([_histogram(hours[number == one]) for one in range(number.max() + 1)])
    curve = activity_curve(histogram[0])
    rng = np.random.default_rng(seed)
    shares = [_active_share(activity_curve(_resample(of_camera, rng)), is_on) for _ in range(replicates)]
    return ActivityCurve(
        np.arange(N_GRID) * HOURS / N_GRID,
        curve,
        _active_share(curve, is_on),
        float(np.std(shares, ddof=1)),
        len(hours),
    )


def activity_curve(histogram: Floats) -> Floats:
    """The kernel density per hour at the middles of GRID parts of the day, from counts in them (GRID).

    A von Mises kernel is the same everywhere, so that the curve is a circular convolution of the counts.
    """
    from scipy.special import i0e

    angle = 2 * np.pi * np.arange(N_GRID) / N_GRID
    kappa = kernel_concentration(angle, histogram)
    # exp(kappa (cos - 1)) rather than exp(kappa cos) / I0, which overflows.
    kernel = np.exp(kappa * (np.cos(angle) - 1)) / (2 * np.pi * i0e(kappa))
    curve = np.fft.irfft(np.fft.rfft(histogram) * np.fft.rfft(kernel), N_GRID) / histogram.sum()
    return np.asarray(np.maximum(curve, 0.0) * 2 * np.pi / HOURS)


def kernel_concentration(angle: Floats, weights: Floats) -> float:
    """The concentration of the kernel: (3 n k^2 I2(2k) / (4 sqrt(pi) I0(k)^2))^(2/5), k that of the data (Taylor 2008)."""
    from scipy.special import ive

    n, kappa = float(weights.sum()), concentration(angle, weights)
    # ive is scaled by exp(-argument): exp(2k) above and exp(k)^2 below cancel.
    return float((3 * n * kappa**2 * ive(2, 2 * kappa) / (4 * math.sqrt(math.pi) * ive(0, kappa) ** 2)) ** 0.4)


def concentration(angle: Floats, weights: Floats) -> float:
    """How concentrated angles (m, radians) with weights are: the highest of the first moments' estimates.

    Each solves A_p(kappa) = length of the mean of exp(i p angle), with A_p = I_p / I_0 (Ridout & Linkie 2009). By its length,
    not by its part along the mean direction, the second moment sees the two peaks of animals of dusk and dawn.
    """
    from scipy.optimize import brentq
    from scipy.special import ive

    n = weights.sum()
    found = [1e-3]
    for order in range(1, N_TRIGONOMETRIC_MOMENTS + 1):
        target = float(np.abs(weights @ np.exp(1j * order * angle)) / n)

        def above(kappa: float, order: int = order, target: float = target) -> float:
            return float(ive(order, kappa) / ive(0, kappa)) - target

        if above(MAX_KAPPA) <= 0:
            return MAX_KAPPA
        if target > 0 and above(found[0]) < 0:
            found.append(float(brentq(above, found[0], MAX_KAPPA)))
    return max(found)


def _histogram(hours: Floats) -> Floats:
    return np.bincount(np.floor(hours / HOURS * N_GRID).astype(np.intp), minlength=N_GRID).astype(np.float64)


def _resample(of_camera: Floats, rng: np.random.Generator) -> Floats:
    """Counts of as many cameras drawn with replacement; with a single one, of as many times."""
    n = len(of_camera)
    if n > 1:
        drawn = rng.multinomial(n, np.full(n, 1 / n)) @ of_camera
        return np.asarray(drawn, np.float64) if drawn.sum() else _resample(of_camera, rng)
    total = of_camera[0].sum()
    return np.asarray(rng.multinomial(int(total), of_camera[0] / total), np.float64)


def _active_share(curve: Floats, is_on: NDArray[np.bool_]) -> float:
    """The mean of the curve while cameras work over its height."""
    return float(min(curve[is_on].mean() / curve.max(), 1.0))


def _operating_mask(operating_hours: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    hours = (np.arange(N_GRID) + 0.5) * HOURS / N_GRID
    if not operating_hours:
        return np.ones(N_GRID, bool)
    on = np.zeros(N_GRID, bool)
    for start, end in operating_hours:
        on |= (hours >= start) & (hours < end) if start < end else (hours >= start) | (hours < end)
    return on
