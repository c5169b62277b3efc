"""Bootstrap over camera locations: how density varies from one set of cameras to another, selection included.

Each replicate draws as many cameras as there are, with replacement and within strata, fits all candidates to what they saw,
selects one anew, and takes its density (Buckland et al. 2001, section 3.6.4; Howe et al. 2017). It needs no assumption that
snapshots are independent, which those of camera traps are not. Where distances come as draws, each replicate takes one draw
of each row: the spread over replicates then holds what isn't known of the distances too (multiple imputation by bootstrap;
Schomaker and Heumann 2018). Where their error is known instead, each replicate takes an error that may be true too.
Fits start at those of the whole survey, which is several times as fast as starting anew.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.analysis import Analysis, AnalysisSettings, SelectBy, fit_all, select
from trapmeter.density.blur import Blurs
from trapmeter.density.detection import DetectionFunction
from trapmeter.density.distances import BinnedDistances, Distances, bin_numbers, truncate
from trapmeter.density.estimate import SQUARE_METRES_IN_KM2, Availability, lognormal_interval
from trapmeter.errors import InputError, RunError
from trapmeter.workers import Lost, run_all

Floats = NDArray[np.float64]

CHUNK = 25
"""Replicates that a worker does at a time."""
CHUNK_LIMIT_S = 3600.0
FEWEST = 20
"""Percentiles of fewer replicates say nothing."""
FEW = 200
"""Ends of a 95 % interval rest on the five farthest replicates on either side."""


@dataclass(frozen=True, slots=True)
class BootstrapSettings:
    """How many replicates are drawn from which seed, and what else is uncertain of the distances.

    scale_sd: standard deviation of the logarithm of a factor that all distances of a survey share. site_scale_sd: of one that
    the distances of a camera share, beyond what the draws know. Both count in the spread of the replicates alone.
    """

    replicates: int = 1000
    seed: int = 1
    jobs: int = 1
    scale_sd: float = 0.0
    site_scale_sd: float = 0.0

    def __post_init__(self) -> None:
        if self.replicates < FEWEST:
            raise InputError(f"expected {FEWEST} or more bootstrap replicates, such as 1000, got {self.replicates}")
        if not (0 <= self.scale_sd < 1 and 0 <= self.site_scale_sd < 1):
            raise InputError(
                f"expected errors of scale from 0 up to 1, such as 0.1 for 10 %, got {self.scale_sd:g} and "
                f"{self.site_scale_sd:g}"
            )


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What the replicates gave. median, low and high (percentiles, see `_tail`) are animals per km2; cv: sd over mean.

    log_low, log_high: lognormal_interval of the density itself with this cv and Student's t of the cameras. With few cameras
    it holds more often than percentiles, whose lower end follows a few cameras that saw much.
    densities: of the replicates that could be fitted, per km2. chosen: how often each function was selected. failures: how
    often which reason kept a replicate from a density.
    """

    settings: BootstrapSettings
    densities: tuple[float, ...]
    chosen: Mapping[str, int]
    failures: Mapping[str, int]
    level: float
    median_km2: float
    low_km2: float
    high_km2: float
    log_low_km2: float
    log_high_km2: float
    se_km2: float
    cv: float

    @property
    def notes(self) -> tuple[str, ...]:
        """What to be aware of."""
        if self.settings.replicates >= FEW:
            return ()
        return (
            f"{self.settings.replicates} bootstrap replicates are few: the ends of the interval are rough; take 1000 for "
            "what you report",
        )

    @property
    def n_failed(self) -> int:
        """Replicates without a density."""
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """All that a worker needs. counts: observations by camera and bin, where they are the same in every replicate."""

    settings: AnalysisSettings
    bootstrap: BootstrapSettings
    starts: Mapping[DetectionFunction, tuple[float, ...]]
    select_by: SelectBy
    edges_m: Floats | None
    left_m: float
    right_m: float
    camera: NDArray[np.intp]
    distance_m: Floats
    blurs: Blurs | None
    counts: Floats | None
    efforts: Floats
    stratum: NDArray[np.intp]
    shares: Floats
    per_rate: float
    availability: Availability


_Outcome = tuple[float, str]
"""Density per km2 and the function's name; or NaN and why there is none."""


def bootstrap_density(
    analysis: Analysis, settings: BootstrapSettings, progress: Callable[[int, int], None] = lambda *_: None
) -> Bootstrap:
    """Replicates an analysis over its cameras; the same seed gives the same numbers whatever the number of workers.

    progress: called with replicates done and in all.

    Raises:
        InputError: fewer than half of the replicates, or fewer than 20, could be fitted.
        RunError: a worker ended without an answer.
    """
    plan = _plan(analysis, settings)
    chunks = [range(start, min(start + CHUNK, settings.replicates)) for start in range(0, settings.replicates, CHUNK)]
    outcomes: dict[int, list[_Outcome]] = {}
    done = 0
    for chunk, found in _all(plan, chunks, settings.jobs):
        outcomes[chunk.start] = found
        done += len(chunk)
        progress(done, settings.replicates)
    return _summary([one for start in sorted(outcomes) for one in outcomes[start]], analysis, settings)


def _all(plan: _Plan, chunks: Sequence[range], jobs: int) -> Iterator[tuple[range, list[_Outcome]]]:
    """Chunks with their outcomes, as they are done: in this process with one job, else in workers."""
    work = partial(_chunk, plan)
    if jobs == 1:
        for chunk in chunks:
            yield chunk, work(chunk)
        return
    for chunk, found in run_all(chunks, work, jobs=min(jobs, len(chunks)), limit_s=lambda _: CHUNK_LIMIT_S):
        if isinstance(found, Lost):
            raise RunError(f"a worker of the bootstrap ended without an answer: {found.reason}; try --jobs 1")
        yield chunk, found


def _plan(analysis: Analysis, settings: BootstrapSettings) -> _Plan:
    survey, distances = analysis.survey, analysis.distances
    edges = distances.edges_m if isinstance(distances, BinnedDistances) else None
    strata, weights = survey.strata, survey.stratum_weights()
    is_certain = survey.n_draws == 1 and not settings.scale_sd and not settings.site_scale_sd
    counts = None
    if is_certain and edges is not None:
        number = bin_numbers(edges, survey.distance_m[:, 0])
        counts = np.zeros((len(survey.cameras), len(edges) - 1))
        np.add.at(counts, (survey.camera[number >= 0], number[number >= 0]), 1.0)
    return _Plan(
        settings=analysis.settings,
        bootstrap=settings,
        starts={model.fit.function: model.fit.parameters for model in analysis.models},
        select_by=analysis.select_by,
        edges_m=edges,
        left_m=distances.left_m,
        right_m=distances.right_m,
        camera=survey.camera,
        distance_m=survey.distance_m,
        blurs=None if survey.errors is None or edges is None else survey.errors.over(edges),
        counts=counts,
        efforts=survey.efforts(),
        stratum=np.array([strata.index(camera.stratum) for camera in survey.cameras]),
        shares=np.array([weights[stratum] for stratum in strata]) / sum(weights.values()),
        per_rate=SQUARE_METRES_IN_KM2 / (survey.multiplier * math.pi * distances.right_m**2),
        availability=analysis.availability,
    )


def _chunk(plan: _Plan, numbers: range) -> list[_Outcome]:
    return [_replicate(plan, np.random.default_rng([plan.bootstrap.seed, number])) for number in numbers]


def _replicate(plan: _Plan, rng: np.random.Generator) -> _Outcome:
    times = _times_drawn(plan.stratum, rng)
    try:
        distances, n = _seen(plan, times, rng)
        if plan.blurs is not None and isinstance(distances, BinnedDistances):
            distances = replace(distances, blur=plan.blurs.drawn(rng))
        fits, failures = fit_all(plan.settings, distances, plan.starts)
        if not fits:
            return math.nan, failures[0][1]
        best = select(fits, plan.select_by)
    except InputError as error:
        return math.nan, str(error)
    effort = np.bincount(plan.stratum, times * plan.efforts)
    rate = float(plan.shares @ (np.bincount(plan.stratum, n) / effort))
    share = _availability(plan.availability, rng)
    return plan.per_rate * rate / (best.pa * share), best.function.name


def _times_drawn(stratum: NDArray[np.intp], rng: np.random.Generator) -> Floats:
    """How many times each camera is drawn, as many in each stratum as there are."""
    times = np.zeros(len(stratum))
    for one in np.unique(stratum):
        members = np.flatnonzero(stratum == one)
        times[members] = rng.multinomial(len(members), np.full(len(members), 1.0 / len(members)))
    return times


def _seen(plan: _Plan, times: Floats, rng: np.random.Generator) -> tuple[Distances, Floats]:
    """The distances of a replicate, and the detections that each camera adds to it."""
    if plan.counts is not None and plan.edges_m is not None:
        return BinnedDistances(plan.edges_m, times @ plan.counts), times * plan.counts.sum(axis=1)
    weight = times[plan.camera]
    metres = _draw(plan, rng)
    inside = (weight > 0) & (metres >= plan.left_m) & (metres <= plan.right_m)
    metres, weight = metres[inside], weight[inside]
    n = np.bincount(plan.camera[inside], weight, minlength=len(times)).astype(np.float64)
    if plan.edges_m is None:
        return truncate(metres, left_m=plan.left_m, right_m=plan.right_m, weights=weight), n
    counts = np.bincount(bin_numbers(plan.edges_m, metres), weight, minlength=len(plan.edges_m) - 1).astype(np.float64)
    return BinnedDistances(plan.edges_m, counts), n


def _draw(plan: _Plan, rng: np.random.Generator) -> Floats:
    """A distance for each observation: one of its draws, times the errors of scale."""
    n, n_draws = plan.distance_m.shape
    # Without a choice the generator is left alone, so that other numbers don't change.
    number = rng.integers(n_draws, size=n) if n_draws > 1 else np.zeros(n, np.intp)
    metres = plan.distance_m[np.arange(n), number]
    sd, site_sd = plan.bootstrap.scale_sd, plan.bootstrap.site_scale_sd
    if not sd and not site_sd:
        return np.asarray(metres)
    logs = sd * rng.standard_normal() + site_sd * rng.standard_normal(len(plan.efforts))
    return np.asarray(metres * np.exp(logs)[plan.camera])


def _availability(availability: Availability, rng: np.random.Generator) -> float:
    """One that may be true: normal around the estimate, kept above 0 and up to 1."""
    drawn = availability.share + availability.se * rng.standard_normal()
    return float(np.clip(drawn, availability.share / 10, 1.0))


def _tail(level: float, n_cameras: int, n_strata: int) -> float:
    """The share of replicates beyond either end of the interval: expanded percentiles (Hesterberg 2015, section 5.3).

    Cameras drawn from so few vary less than so few cameras do, by (n - 1) / n in variance, and Student's tails are missing:
    2.0 % in place of 2.5 % with 40 cameras, 1.2 % with 12.
    """
    from scipy.special import ndtr, stdtrit

    df = _df(n_cameras, n_strata)
    return float(ndtr(-math.sqrt(n_cameras / df) * stdtrit(df, (1 + level) / 2)))


def _df(n_cameras: int, n_strata: int) -> int:
    """Degrees of freedom of the variance between cameras."""
    return max(n_cameras - n_strata, 1)


def _summary(outcomes: Sequence[_Outcome], analysis: Analysis, settings: BootstrapSettings) -> Bootstrap:
    densities = [density for density, _ in outcomes if math.isfinite(density)]
    failures = Counter(reason for density, reason in outcomes if not math.isfinite(density))
    if len(densities) < max(FEWEST, settings.replicates / 2):
        reason = failures.most_common(1)[0][0]
        raise InputError(
            f"only {len(densities)} of {settings.replicates} bootstrap replicates could be fitted, as: {reason}; use fewer "
            "adjustments or coarser bins, or pass over the bootstrap"
        )
    level = analysis.settings.level
    tail = _tail(level, len(analysis.survey.cameras), len(analysis.survey.strata))
    low, median, high = (float(np.quantile(densities, share)) for share in (tail, 0.5, 1 - tail))
    se = float(np.std(densities, ddof=1))
    cv = se / float(np.mean(densities))
    df = _df(len(analysis.survey.cameras), len(analysis.survey.strata))
    log_low, log_high = lognormal_interval(analysis.best.density.density_km2, cv, df, level)
    return Bootstrap(
        settings=settings,
        densities=tuple(densities),
        chosen=Counter(name for density, name in outcomes if math.isfinite(density)),
        failures=failures,
        level=level,
        median_km2=median,
        low_km2=low,
        high_km2=high,
        log_low_km2=log_low,
        log_high_km2=log_high,
        se_km2=se,
        cv=cv,
    )
