"""For how many seconds of an animal's stay each photograph of a motion-triggered camera stands.

While an animal stays in view, the camera photographs it at the trigger and in the burst, is blind for its recovery time, and
is triggered again. So the stay is known at the photographs, and at the end of the recovery: a camera that isn't triggered
again saw the animal leave. The sum of all stays divided by the time that the camera worked is the mean number of animals in
view, which is what density follows from; snapshots at regular moments estimate the same (Howe et al. 2017).

Between two photographs of a burst, each stands for half of the gap (the trapezoidal rule). While the camera is blind, animals
leave: a share p is still there when it is ready again. Of those that leave, most leave early, because an animal that has
stayed for a while tends to stay on. The rate h of leaving at first is known from the photographs of the bursts, and p from
the triggers that follow, so a curve of two parameters is determined: S(u) = (1 + h u / k) ** -k, the mixture of exponential
stays whose rates have a gamma distribution. The integral of S is the time that an animal spends in view of the blind camera.
Kühl et al. (2023) and Corlatti et al. (2020) count a photograph as the mean interval between triggers instead, which holds
only if animals stay for much longer than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.survey.triggers import TriggerTiming, group_bursts

ONE_STAY_S = 20.0
"""An animal that triggers a ready camera within this time has never left; triggers by animals that come anew by chance are
subtracted. With a longer time, animals that leave and come back would count as staying (`benchmarks/photographs.py`)."""


@dataclass(frozen=True, slots=True)
class CameraPhotographs:
    """All photographs of one camera in order of time: seconds, and the number of animals that count (both n)."""

    times_s: Floats
    animals: Floats


@dataclass(frozen=True, slots=True)
class Stays:
    """What photographs stand for.

    seconds: for each camera, the seconds of an animal's stay that each photograph stands for (n). lost_s: for each camera,
    the seconds during which it was busy or blind after triggers without an animal that counts; they are no effort. staying:
    share of the animals on the last photograph of a burst that are still there when the camera is ready. blind_share: share
    of the stays that lies between bursts.
    """

    seconds: tuple[Floats, ...]
    lost_s: tuple[float, ...]
    staying: float
    blind_share: float


@dataclass(frozen=True, slots=True)
class _Bursts:
    """The triggers of one camera (b).

    first, last: indices of photographs. wait_s: seconds from when the camera is ready again until the next trigger, infinite
    after the last one.
    """

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    wait_s: Floats


def measure_stays(cameras: Sequence[CameraPhotographs], timing: TriggerTiming) -> Stays:
    """The seconds for which the photographs of a survey stand; see the module's docstring."""
    bursts = [_find_bursts(camera, timing) for camera in cameras]
    within = [_within_bursts(camera, found) for camera, found in zip(cameras, bursts, strict=True)]
    n_last = sum(float(camera.animals[found.last].sum()) for camera, found in zip(cameras, bursts, strict=True))
    n_back, wait_s = _count_returns(cameras, bursts)
    staying = float(np.clip(n_back / n_last if n_last else 0.0, 0.5 / (n_last + 1), 1 - 0.5 / (n_last + 1)))
    blind_s = mean_blind_stay_s(timing.retrigger_s, staying, _leaving_rate(cameras, bursts))
    leaving_s = float(np.clip((blind_s - staying * timing.retrigger_s) / (1 - staying), 0, timing.retrigger_s / 2))
    after = [
        _after_bursts(found, len(camera.times_s), timing, leaving_s)
        for camera, found in zip(cameras, bursts, strict=True)
    ]
    seen_s, raw_s = _total(cameras, within), _total(cameras, after)
    unseen_s = n_last * blind_s + n_back * wait_s
    scale = unseen_s / raw_s if raw_s else 0.0
    seconds = tuple(a + scale * b for a, b in zip(within, after, strict=True))
    lost_s = tuple(_lost_s(camera, found, timing) for camera, found in zip(cameras, bursts, strict=True))
    return Stays(seconds, lost_s, staying, unseen_s / (seen_s + unseen_s) if seen_s + unseen_s else 0.0)


def mean_blind_stay_s(blind_s: float, staying: float, leaving_rate: float) -> float:
    """The mean time that an animal spends in view during the recovery time, the integral of S.

    Args:
        blind_s: the recovery time, seconds.
        staying: S(blind_s), the share that is still there at its end, above 0 and below 1.
        leaving_rate: the share that leaves in a second at first, per second. If stays with that rate would leave fewer than
            `staying`, the rate doesn't fall, and stays are exponential.
    """
    if not blind_s > 0:
        return 0.0
    hazard = -math.log(staying)
    if leaving_rate * blind_s <= hazard * (1 + 1e-9):
        return blind_s * (1 - staying) / hazard
    lower, upper = 1e-9, 1e9
    if upper * math.log1p(leaving_rate * blind_s / upper) <= hazard:
        return blind_s * (1 - staying) / hazard
    shape = float(brentq(lambda k: k * math.log1p(leaving_rate * blind_s / k) - hazard, lower, upper))
    scale_s = shape / leaving_rate
    if abs(shape - 1) < 1e-6:
        return scale_s * math.log1p(blind_s / scale_s)
    return scale_s * math.expm1((1 - shape) * math.log1p(blind_s / scale_s)) / (1 - shape)


def _find_bursts(camera: CameraPhotographs, timing: TriggerTiming) -> _Bursts:
    times_s = camera.times_s
    first = np.array(group_bursts(times_s, timing.burst), np.intp)
    last = np.append(first[1:], len(times_s))[: len(first)] - 1
    wait_s = np.full(len(first), np.inf)
    wait_s[:-1] = np.maximum(times_s[first[1:]] - times_s[last[:-1]] - timing.retrigger_s, 0.0)
    return _Bursts(first, last, wait_s)


def _within_bursts(camera: CameraPhotographs, bursts: _Bursts) -> Floats:
    """Half of the gap on each side, within the burst (n)."""
    n = len(camera.times_s)
    share = np.zeros(n)
    half = np.diff(camera.times_s) / 2
    half[bursts.last[:-1]] = 0.0
    share[: n - 1] += half
    share[1:] += half
    return share


def _after_bursts(bursts: _Bursts, n: int, timing: TriggerTiming, leaving_s: float) -> Floats:
    """The time after each burst, up to a common factor, as that of its last photograph (n).

    The photograph of a trigger has no part in it: animals that just came in stand at the edge of the view.
    """
    share = np.zeros(n)
    goes_on = bursts.wait_s <= ONE_STAY_S
    share[bursts.last[goes_on]] = timing.retrigger_s + bursts.wait_s[goes_on]
    share[bursts.last[~goes_on]] = leaving_s
    return share


def _count_returns(cameras: Sequence[CameraPhotographs], bursts: Sequence[_Bursts]) -> tuple[float, float]:
    """How many animals of all cameras trigger a ready camera because they never left, and their mean wait in seconds.

    Those that come anew do so at a rate that the time after `ONE_STAY_S`, twice as long, shows.
    """
    waits = np.concatenate([found.wait_s[:-1] for found in bursts] or [np.zeros(0)])
    animals = np.concatenate(
        [_returning(camera, found) for camera, found in zip(cameras, bursts, strict=True)] or [np.zeros(0)]
    )
    is_soon = waits <= ONE_STAY_S
    rate = float(animals[~is_soon & (waits <= 3 * ONE_STAY_S)].sum()) / (2 * ONE_STAY_S)
    n = float(animals[is_soon].sum()) - rate * ONE_STAY_S
    if n <= 0:
        return 0.0, 0.0
    total_s = float((animals * waits)[is_soon].sum()) - rate * ONE_STAY_S**2 / 2
    return n, max(total_s / n, 0.0)


def _returning(camera: CameraPhotographs, bursts: _Bursts) -> Floats:
    """The animals of the last photograph of each burst but the final one that are there at the next trigger, however late."""
    before, after = camera.animals[bursts.last[:-1]], camera.animals[bursts.first[1:]]
    return np.asarray(np.minimum(before, after), np.float64)


def _leaving_rate(cameras: Sequence[CameraPhotographs], bursts: Sequence[_Bursts]) -> float:
    """The share of animals that leave per second, between photographs of bursts; 0 for single photographs."""
    before = after = gap_s = 0.0
    for camera, found in zip(cameras, bursts, strict=True):
        is_inside = np.ones(max(len(camera.times_s) - 1, 0), np.bool_)
        is_inside[found.last[:-1]] = False
        animals = camera.animals
        before += float(animals[:-1][is_inside].sum())
        after += float(np.minimum(animals[:-1], animals[1:])[is_inside].sum())
        gap_s += float((animals[:-1] * np.diff(camera.times_s))[is_inside].sum())
    if not before or not after or not gap_s:
        return 0.0
    return max(-math.log(after / before), 0.0) * before / gap_s


def _total(cameras: Sequence[CameraPhotographs], seconds: Sequence[Floats]) -> float:
    return sum(float(camera.animals @ of_camera) for camera, of_camera in zip(cameras, seconds, strict=True))


def _lost_s(camera: CameraPhotographs, bursts: _Bursts, timing: TriggerTiming) -> float:
    """Seconds in which the camera was busy or blind after triggers without an animal."""
    if not len(bursts.first):
        return 0.0
    is_empty = np.add.reduceat(camera.animals, bursts.first) == 0
    until_next = np.append(np.diff(camera.times_s[bursts.first]), np.inf)
    return float(np.minimum(until_next, timing.busy_s)[is_empty].sum())
