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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from trapmeter.density.analysis import Analysis
from trapmeter.density.estimate import lognormal_interval
from trapmeter.density.replicates import (
    MIN_REPLICATES,
    BootstrapSettings,
    ReplicateOutcome,
    ReplicationPlan,
    make_plan,
    run_replicates,
)
from trapmeter.errors import InputError, RunError
from trapmeter.parallel.workers import TaskFailure, run_tasks
from trapmeter.progress import Progress, no_progress

CHUNK_SIZE = 25
"""Replicates that a worker does at a time."""
CHUNK_LIMIT_S = 3600.0
FEW_REPLICATES = 200
"""Ends of a 95 % interval rest on the five farthest replicates on either side."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What the replicates gave.

    median, low and high (expanded percentiles, see `_tail_probability`) are animals per km2; cv: sd over mean.

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
    def percentiles_km2(self) -> tuple[float, float]:
        """The plain percentiles, such as 2.5 and 97.5 %, as R's bootdht has them."""
        low, high = np.quantile(self.densities, ((1 - self.level) / 2, (1 + self.level) / 2)).tolist()
        return low, high

    @property
    def notes(self) -> tuple[str, ...]:
        """What to be aware of."""
        if self.settings.replicates >= FEW_REPLICATES:
            return ()
        return (
            f"{self.settings.replicates} bootstrap replicates are few: the ends of the interval are rough; take 1000 for "
            "what you report",
        )

    @property
    def n_failed(self) -> int:
        """Replicates without a density."""
        return sum(self.failures.values())


def bootstrap_density(analysis: Analysis, settings: BootstrapSettings, progress: Progress = no_progress) -> Bootstrap:
    """Replicates an analysis over its cameras; the same seed gives the same numbers whatever the number of workers.

    progress: called with the stage "replicate", the replicates done, the total and 0.

    Raises:
        InputError: fewer than half of the replicates, or fewer than 20, could be fitted.
        RunError: a worker ended without an answer.
    """
    plan = make_plan(analysis, settings)
    chunks = [
        range(start, min(start + CHUNK_SIZE, settings.replicates))
        for start in range(0, settings.replicates, CHUNK_SIZE)
    ]
    outcomes: dict[int, list[ReplicateOutcome]] = {}
    done = 0
    for chunk, found in _run_chunks(plan, chunks, settings.jobs):
        outcomes[chunk.start] = found
        done += len(chunk)
        progress("replicate", done, settings.replicates, 0)
    return _summarise([one for start in sorted(outcomes) for one in outcomes[start]], analysis, settings)


def _run_chunks(
    plan: ReplicationPlan, chunks: Sequence[range], jobs: int
) -> Iterator[tuple[range, list[ReplicateOutcome]]]:
    """Chunks with their outcomes, as they are done: in this process with one job, else in workers."""
    work = partial(run_replicates, plan)
    if jobs == 1:
        for chunk in chunks:
            yield chunk, work(chunk)
        return
    for chunk, found in run_tasks(chunks, work, jobs=min(jobs, len(chunks)), limit_s=lambda _: CHUNK_LIMIT_S):
        if isinstance(found, TaskFailure):
            raise RunError(f"a worker of the bootstrap ended without an answer: {found.reason}; try --jobs 1")
        yield chunk, found


def _tail_probability(level: float, n_cameras: int, n_strata: int) -> float:
    """The share of replicates beyond either end of the interval: expanded percentiles (Hesterberg 2015, section 5.3).

    Cameras drawn from so few vary less than so few cameras do, by (n - 1) / n in variance, and Student's tails are missing:
    2.0 % in place of 2.5 % with 40 cameras, 1.2 % with 12.
    """
    from scipy.special import ndtr, stdtrit

    df = _degrees_of_freedom(n_cameras, n_strata)
    return float(ndtr(-math.sqrt(n_cameras / df) * stdtrit(df, (1 + level) / 2)))


def _degrees_of_freedom(n_cameras: int, n_strata: int) -> int:
    """Degrees of freedom of the variance between cameras."""
    return max(n_cameras - n_strata, 1)


def _summarise(outcomes: Sequence[ReplicateOutcome], analysis: Analysis, settings: BootstrapSettings) -> Bootstrap:
    densities = [density for density, _ in outcomes if math.isfinite(density)]
    failures = Counter(reason for density, reason in outcomes if not math.isfinite(density))
    if len(densities) < max(MIN_REPLICATES, settings.replicates / 2):
        reason = failures.most_common(1)[0][0]
        raise InputError(
            f"only {len(densities)} of {settings.replicates} bootstrap replicates could be fitted, as: {reason}; use fewer "
            "adjustments or coarser bins, or pass over the bootstrap"
        )
    level = analysis.settings.level
    tail = _tail_probability(level, len(analysis.survey.stations), len(analysis.survey.strata))
    low, median, high = (float(np.quantile(densities, share)) for share in (tail, 0.5, 1 - tail))
    se = float(np.std(densities, ddof=1))
    cv = se / float(np.mean(densities))
    df = _degrees_of_freedom(len(analysis.survey.stations), len(analysis.survey.strata))
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
