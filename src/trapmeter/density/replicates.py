"""One bootstrap replicate: draws stations and distances, then fits, selects and estimates again.

Each replicate takes its own random numbers from the seed, so the result doesn't depend on how replicates are distributed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.analysis import Analysis
from trapmeter.density.candidates import Candidates, fit_candidates, group_distances
from trapmeter.density.detection.distances import BinnedDistances, Distances, find_bins, truncate
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.function import DetectionFunction
from trapmeter.density.detection.measurement_error import ErrorMatrices
from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.detection.selection import SelectBy, plausible_fits, select_fit
from trapmeter.density.estimate import SQUARE_METRES_IN_KM2, covered_area_m2
from trapmeter.density.horvitz_thompson import detection_of_observations
from trapmeter.density.levels import find_levels
from trapmeter.density.models import count_each
from trapmeter.density.survey.survey import Availability
from trapmeter.errors import InputError

MIN_REPLICATES = 20
"""Percentiles of fewer replicates are meaningless."""
DEFAULT_REPLICATES = 1000
"""With these, the limits of a 95 % interval vary by a few per cent between seeds."""


@dataclass(frozen=True, slots=True)
class BootstrapSettings:
    """The number of replicates, their seed and processes, and errors of scale.

    scale_sd: standard deviation of the logarithm of a factor that all distances of a survey share. site_scale_sd: of a factor
    that the distances of a station share, in addition to the draws. Both only widen the spread of the replicates.
    """

    replicates: int = DEFAULT_REPLICATES
    seed: int = 1
    jobs: int = 1
    scale_sd: float = 0.0
    site_scale_sd: float = 0.0

    def __post_init__(self) -> None:
        if self.replicates < MIN_REPLICATES:
            raise InputError(
                f"expected {MIN_REPLICATES} or more bootstrap replicates, such as {DEFAULT_REPLICATES}, or 0 for none, got "
                f"{self.replicates}"
            )
        if not (0 <= self.scale_sd < 1 and 0 <= self.site_scale_sd < 1):
            raise InputError(
                f"expected errors of scale from 0 up to 1, such as 0.1 for 10 %, got {self.scale_sd:g} and "
                f"{self.site_scale_sd:g}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of the survey whose density is replicated: all animals, their groups, or the animals of a level.

    each: what each observation counts if all are detected and available (n). stations: whose effort counts (stations).
    """

    each: Floats
    stations: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ReplicationPlan:
    """All that a worker needs.

    starts: parameters from which fits start. station, distance_m: of the survey. efforts, stratum: by station. weights: of
    the strata. per_rate: animals per km2 for an encounter rate of 1 if all animals are detected. counts: observations by
    station and bin, if they are the same in every replicate. parts: see `find_parts`. availabilities: one for all
    observations, or of each level. available: index in these of each observation (n). weight: of each observation (n).
    """

    candidates: Candidates
    is_monotone: bool
    bootstrap: BootstrapSettings
    starts: Mapping[DetectionFunction, tuple[float, ...]]
    select_by: SelectBy
    edges_m: Floats | None
    left_m: float
    right_m: float
    station: NDArray[np.intp]
    weight: Floats
    distance_m: Floats
    error_matrices: ErrorMatrices | None
    counts: Floats | None
    efforts: Floats
    stratum: NDArray[np.intp]
    weights: Floats
    per_rate: float
    parts: tuple[Part, ...]
    availabilities: tuple[Availability, ...]
    available: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ReplicateOutcome:
    """Densities per km2 of the parts of the plan, and the name of the selected function; or () and why it failed."""

    densities: tuple[float, ...]
    text: str


def make_plan(analysis: Analysis, settings: BootstrapSettings) -> ReplicationPlan:
    """The plan for replicates of an analysis."""
    survey, distances = analysis.survey, analysis.distances
    edges = distances.edges_m if isinstance(distances, BinnedDistances) else None
    strata, weights = survey.strata, survey.stratum_weights()
    weight = survey.observation_weights()
    is_certain = survey.n_draws == 1 and not settings.scale_sd and not settings.site_scale_sd
    counts = None
    if is_certain and edges is not None:
        bin_index = find_bins(edges, survey.distance_m[:, 0])
        inside = bin_index >= 0
        counts = np.zeros((len(survey.stations), len(edges) - 1))
        np.add.at(counts, (survey.station[inside], bin_index[inside]), weight[inside])
    availabilities, available = _availabilities(analysis)
    return ReplicationPlan(
        candidates=analysis.candidates,
        is_monotone=analysis.settings.is_monotone,
        bootstrap=settings,
        starts={model.fit.function: model.fit.parameters for model in analysis.models},
        select_by=analysis.select_by,
        edges_m=edges,
        left_m=distances.left_m,
        right_m=distances.right_m,
        station=survey.station,
        weight=weight,
        distance_m=survey.distance_m,
        error_matrices=None if survey.errors is None or edges is None else survey.errors.matrices_for_bins(edges),
        counts=counts,
        efforts=survey.efforts(),
        stratum=np.array([strata.index(station.stratum) for station in survey.stations]),
        weights=np.array([weights[stratum] for stratum in strata]),
        per_rate=SQUARE_METRES_IN_KM2 / covered_area_m2(survey.multiplier, distances.right_m),
        parts=find_parts(analysis),
        availabilities=availabilities,
        available=available,
    )


def find_parts(analysis: Analysis) -> tuple[Part, ...]:
    """The parts of a survey: all animals, their groups if some have several, and the levels of the selected model in turn."""
    survey = analysis.survey
    everywhere = np.ones(len(survey.stations), bool)
    sizes = count_each(survey, None)
    parts = [Part(sizes, everywhere)]
    if survey.sizes is not None:
        parts.append(Part(np.ones(len(sizes)), everywhere))
    left_m, right_m = analysis.distances.left_m, analysis.distances.right_m
    for found in analysis.best.by_level:
        levels = find_levels(survey, found.column, left_m, right_m)
        level = next(level for level in levels if level.name == found.level)
        parts.append(Part(sizes * level.observations, level.stations))
    return tuple(parts)


def _availabilities(analysis: Analysis) -> tuple[tuple[Availability, ...], NDArray[np.intp]]:
    """The availabilities, and the index in them of each observation (n)."""
    by_level = analysis.availability_by_level
    if by_level is None:
        return (analysis.availability,), np.zeros(len(analysis.survey.station), np.intp)
    names = list(by_level.by_level)
    index = [names.index(level) for level in by_level.of_observations(analysis.survey)]
    return tuple(by_level.by_level.values()), np.array(index, np.intp)


def run_replicates(plan: ReplicationPlan, numbers: range) -> list[ReplicateOutcome]:
    """The outcomes of the replicates with these numbers."""
    return [_replicate(plan, np.random.default_rng([plan.bootstrap.seed, number])) for number in numbers]


def _replicate(plan: ReplicationPlan, rng: np.random.Generator) -> ReplicateOutcome:
    times_drawn = _draw_stations(plan.stratum, rng)
    try:
        drawn = _draw_survey(plan, times_drawn, rng)
        distances = drawn.distances
        if plan.error_matrices is not None and isinstance(distances, BinnedDistances):
            distances = replace(distances, error_matrix=plan.error_matrices.draw(rng))
        grouped = {
            scale: group_distances(groups, distances, drawn.metres, drawn.weights, drawn.observation)
            for scale, groups in plan.candidates.groups.items()
        }
        fits, failures = fit_candidates(
            plan.candidates.functions,
            distances,
            grouped,
            criterion=plan.select_by,
            is_monotone=plan.is_monotone,
            starts=plan.starts,
        )
        if not fits:
            return ReplicateOutcome((), failures[0][1])
        best = select_fit(plausible_fits(fits, plan.candidates.functions), plan.select_by)
    except InputError as error:
        return ReplicateOutcome((), str(error))
    return ReplicateOutcome(_densities(plan, times_drawn, drawn, best, rng), best.function.name)


def _densities(
    plan: ReplicationPlan, times_drawn: Floats, drawn: DrawnSurvey, fit: DetectionFit, rng: np.random.Generator
) -> tuple[float, ...]:
    """The density of each part per km2; NaN if none of its stations was drawn."""
    shares = np.array([_draw_availability(availability, rng) for availability in plan.availabilities])
    pa, _ = detection_of_observations(fit, plan.candidates.groups_of(fit.function), len(plan.station))
    index = drawn.observation
    stands_for = drawn.weights / (pa[index] * shares[plan.available[index]])
    stratum = plan.stratum[plan.station[index]]
    densities = []
    for part in plan.parts:
        has_part = np.bincount(plan.stratum, part.stations) > 0
        animals = np.bincount(stratum, stands_for * part.each[index], minlength=len(has_part))[has_part]
        effort = np.bincount(plan.stratum, times_drawn * plan.efforts * part.stations)[has_part]
        if effort.all():
            weights = plan.weights[has_part]
            densities.append(plan.per_rate * float(weights @ (animals / effort)) / float(weights.sum()))
        else:
            densities.append(math.nan)
    return tuple(densities)


def _draw_stations(stratum: NDArray[np.intp], rng: np.random.Generator) -> Floats:
    """The number of times that each station is drawn (stations), each stratum keeping its number of stations."""
    times_drawn = np.zeros(len(stratum))
    for index in np.unique(stratum):
        members = np.flatnonzero(stratum == index)
        times_drawn[members] = rng.multinomial(len(members), np.full(len(members), 1.0 / len(members)))
    return times_drawn


class DrawnSurvey(NamedTuple):
    """A replicate's distances, and of each of them metres, weight and observation of the survey (m)."""

    distances: Distances
    metres: Floats
    weights: Floats
    observation: NDArray[np.intp]


def _draw_survey(plan: ReplicationPlan, times_drawn: Floats, rng: np.random.Generator) -> DrawnSurvey:
    """The distances of a replicate with these stations."""
    weight = times_drawn[plan.station] * plan.weight
    metres = _draw_distances(plan, rng)
    observation = np.flatnonzero((weight > 0) & (metres >= plan.left_m) & (metres <= plan.right_m))
    metres, weight = metres[observation], weight[observation]
    distances: Distances
    if plan.edges_m is None:
        distances = truncate(metres, left_m=plan.left_m, right_m=plan.right_m, weights=weight)
    elif plan.counts is not None:
        distances = BinnedDistances(plan.edges_m, times_drawn @ plan.counts)
    else:
        bins = find_bins(plan.edges_m, metres)
        counts = np.bincount(bins, weight, minlength=len(plan.edges_m) - 1).astype(np.float64)
        distances = BinnedDistances(plan.edges_m, counts)
    return DrawnSurvey(distances, metres, weight, observation)


def _draw_distances(plan: ReplicationPlan, rng: np.random.Generator) -> Floats:
    """A distance for each observation (n, metres): one of its draws, times the errors of scale."""
    n, n_draws = plan.distance_m.shape
    # Point estimates take no number from the generator, so that the later numbers stay the same.
    draw = rng.integers(n_draws, size=n) if n_draws > 1 else np.zeros(n, np.intp)
    metres = plan.distance_m[np.arange(n), draw]
    sd, site_sd = plan.bootstrap.scale_sd, plan.bootstrap.site_scale_sd
    if not sd and not site_sd:
        return np.asarray(metres)
    logs = sd * rng.standard_normal() + site_sd * rng.standard_normal(len(plan.efforts))
    return np.asarray(metres * np.exp(logs)[plan.station])


def _draw_availability(availability: Availability, rng: np.random.Generator) -> float:
    """A random availability: normal around the estimate, kept above 0, and at most 1 unless it is a rate above 1."""
    drawn = availability.share + availability.se * rng.standard_normal()
    return float(np.clip(drawn, availability.share / 10, 1.0 if availability.share <= 1 else np.inf))
