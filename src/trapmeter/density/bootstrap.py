"""Bootstrap over stations: the interval of density, including the selection of the detection function.

Each replicate draws the same number of stations with replacement within strata, fits all candidates to their detections,
selects one and takes its density (Buckland et al. 2001, section 3.6.4; Howe et al. 2017). This doesn't assume independent
snapshots, and those of camera traps are not independent. If distances are given as draws, each replicate takes one draw of
each row, so the spread of the replicates includes the uncertainty of the distances (multiple imputation by bootstrap;
Schomaker and Heumann 2018). If their measurement error is given, each replicate draws an error matrix within its uncertainty.
Fits start from those of the complete survey, which is several times as fast as a new search.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from trapmeter.density.analysis import Analysis
from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.estimate import lognormal_interval
from trapmeter.density.replicates import (
    DEFAULT_REPLICATES,
    MIN_REPLICATES,
    BootstrapSettings,
    ReplicateOutcome,
    ReplicationPlan,
    make_plan,
    run_replicates,
)
from trapmeter.errors import InputError, RunError
from trapmeter.parallel.workers import TaskFailure, Work, run_tasks
from trapmeter.progress import Progress, no_progress

CHUNK_SIZE = 25
"""Replicates that a worker computes at a time."""
CHUNK_LIMIT_S = 3600.0
FEW_REPLICATES = 200
"""With these, the limits of a 95 % interval rest on the five most extreme replicates at either end."""


@dataclass(frozen=True, slots=True)
class PartInterval:
    """The lognormal interval of the density of groups or of a level, animals (or groups) per km2, from the replicates.

    n: replicates that have such a density. cv: of the replicates.
    """

    low_km2: float
    high_km2: float
    cv: float
    n: int


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The densities of the replicates, and intervals from them; all densities are animals per km2.

    densities: of the replicates that could be fitted. chosen: how often each function was selected. failures: how often a
    replicate failed for each reason. median_km2, low_km2, high_km2: median and expanded percentiles, see `_tail_probability`.
    log_low_km2, log_high_km2: `lognormal_interval` of the estimate with this cv and Student's t of the stations. With few
    stations it covers the truth more often than percentiles, whose lower limit follows a few stations with many detections.
    se_km2, cv: standard deviation of the replicates, and that divided by their mean. df: degrees of freedom of Student's t.
    groups: the interval of the density of groups, group_size_se: the standard error of their mean size; None if all animals
    are single. by_level: the intervals of the selected model's levels, in its order; None for one with too few replicates.
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
    df: int
    groups: PartInterval | None = None
    group_size_se: float | None = None
    by_level: tuple[PartInterval | None, ...] = ()

    @property
    def percentiles_km2(self) -> tuple[float, float]:
        """The plain percentiles, such as 2.5 and 97.5 %, as in R's bootdht."""
        low, high = np.quantile(self.densities, ((1 - self.level) / 2, (1 + self.level) / 2)).tolist()
        return low, high

    @property
    def notes(self) -> tuple[str, ...]:
        """What users should know about the bootstrap."""
        if self.settings.replicates >= FEW_REPLICATES:
            return ()
        return (
            f"{self.settings.replicates} bootstrap replicates are few: the limits of the interval are rough; use "
            f"--bootstrap {DEFAULT_REPLICATES} for results that you report",
        )

    @property
    def n_failed(self) -> int:
        """Replicates without a density."""
        return sum(self.failures.values())


def bootstrap_density(analysis: Analysis, settings: BootstrapSettings, progress: Progress = no_progress) -> Bootstrap:
    """Bootstraps an analysis over its stations; the same seed gives the same numbers with any number of workers.

    progress: called with the stage "replicate", the replicates done, the total and 0.

    Raises:
        InputError: fewer than half of the replicates, or fewer than 20, could be fitted.
        RunError: a worker process failed.
    """
    plan = make_plan(analysis, settings)
    chunks = [
        range(start, min(start + CHUNK_SIZE, settings.replicates))
        for start in range(0, settings.replicates, CHUNK_SIZE)
    ]
    outcomes: dict[int, list[ReplicateOutcome]] = {}
    done = 0
    for chunk, chunk_outcomes in _run_chunks(plan, chunks, settings.jobs):
        outcomes[chunk.start] = chunk_outcomes
        done += len(chunk)
        progress("replicate", done, settings.replicates, 0)
    return _summarise([outcome for start in sorted(outcomes) for outcome in outcomes[start]], analysis, settings)


def _run_chunks(
    plan: ReplicationPlan, chunks: Sequence[range], jobs: int
) -> Iterator[tuple[range, list[ReplicateOutcome]]]:
    """Chunks with their outcomes as they finish: in this process with one job, otherwise in workers."""
    work = Work(partial(run_replicates, plan), limit_s=lambda _: CHUNK_LIMIT_S)
    if jobs == 1:
        for chunk in chunks:
            yield chunk, work.do(chunk)
        return
    for chunk, result in run_tasks(chunks, work, jobs=min(jobs, len(chunks))):
        if isinstance(result, TaskFailure):
            raise RunError(f"a worker of the bootstrap failed: {result.reason}; try --jobs 1")
        yield chunk, result


def _tail_probability(level: float, n_stations: int, df: int) -> float:
    """The share of replicates beyond either limit of the interval: expanded percentiles (Hesterberg 2015, section 5.3).

    Resamples of a few stations vary less than a few stations do, by (n - 1) / n in variance, and lack Student's tails:
    2.0 % instead of 2.5 % with 40 stations, 1.2 % with 12.
    """
    from scipy.special import ndtr, stdtrit

    return float(ndtr(-math.sqrt(n_stations / df) * stdtrit(df, (1 + level) / 2)))


def _summarise(outcomes: Sequence[ReplicateOutcome], analysis: Analysis, settings: BootstrapSettings) -> Bootstrap:
    fitted = [outcome for outcome in outcomes if outcome.densities]
    parts = np.array([outcome.densities for outcome in fitted]).reshape(len(fitted), -1)
    densities = parts[:, 0].tolist() if fitted else []
    failures = Counter(outcome.text for outcome in outcomes if not outcome.densities)
    if len(densities) < max(MIN_REPLICATES, settings.replicates / 2):
        reason = failures.most_common(1)[0][0]
        raise InputError(
            f"only {len(densities)} of {settings.replicates} bootstrap replicates could be fitted. Most frequent reason: "
            f"{reason}. Use fewer adjustments or coarser bins"
        )
    level, n_stations = analysis.settings.level, len(analysis.survey.stations)
    # Degrees of freedom of the variance between stations.
    df = max(n_stations - len(analysis.survey.strata), 1)
    tail = _tail_probability(level, n_stations, df)
    low, median, high = (float(np.quantile(densities, share)) for share in (tail, 0.5, 1 - tail))
    se = float(np.std(densities, ddof=1))
    cv = se / float(np.mean(densities))
    best = analysis.best
    log_low, log_high = lognormal_interval(best.density.density_km2, cv, df, level)
    size, groups, group_size_se = best.group_size, None, None
    if size is not None:
        groups = _part_interval(parts[:, 1], size.density.density_km2, df, level)
        group_size_se = float(np.std(parts[:, 0] / parts[:, 1], ddof=1))
    of_levels = parts[:, 1 + (size is not None) :].T
    return Bootstrap(
        settings=settings,
        densities=tuple(densities),
        chosen=Counter(outcome.text for outcome in fitted),
        failures=failures,
        level=level,
        median_km2=median,
        low_km2=low,
        high_km2=high,
        log_low_km2=log_low,
        log_high_km2=log_high,
        se_km2=se,
        cv=cv,
        df=df,
        groups=groups,
        group_size_se=group_size_se,
        by_level=tuple(
            _part_interval(replicates, found.density.density_km2, df, level)
            for replicates, found in zip(of_levels, best.by_level, strict=True)
        ),
    )


def _part_interval(replicates: Floats, estimate_km2: float, df: int, level: float) -> PartInterval | None:
    """The interval of a part from the densities of its replicates (n) but for those that are NaN; None if few are left."""
    known = replicates[np.isfinite(replicates)]
    if len(known) < MIN_REPLICATES or not known.any():
        return None
    cv = float(np.std(known, ddof=1) / np.mean(known))
    low, high = lognormal_interval(estimate_km2, cv, df, level)
    return PartInterval(low, high, cv, len(known))
