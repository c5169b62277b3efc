"""The candidate detection functions of an analysis: the distances prepared for them, their covariates, and their fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.covariate_likelihood import Grouped
from trapmeter.density.detection.covariates import Groups, ScaleModel, group_observations, resolve_formula
from trapmeter.density.detection.distances import BinnedDistances, Distances, bin_distances, find_bins, truncate
from trapmeter.density.detection.fit import DetectionFit, fit_detection
from trapmeter.density.detection.formula import Formula
from trapmeter.density.detection.function import DetectionFunction
from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.detection.selection import (
    SelectBy,
    candidate_functions,
    check_degrees_of_freedom,
    default_criterion,
)
from trapmeter.density.survey.survey import Survey
from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """The candidate functions, and how distances are binned, truncated and fitted.

    cutpoints_m: of bins, metres; () leaves distances exact. left_m, right_m: truncation; None takes the outer cutpoints, or 0
    and the farthest distance. select_by: None takes QAIC for binned distances and AIC for exact ones. is_monotone: whether
    functions must not rise with distance. level: of intervals, 0..1. formulas: of covariates; each is a candidate with every
    key among the functions that has a scale. by: the column for whose levels densities are estimated too.
    """

    functions: tuple[DetectionFunction, ...] = field(default_factory=candidate_functions)
    cutpoints_m: tuple[float, ...] = ()
    left_m: float | None = None
    right_m: float | None = None
    select_by: SelectBy | None = None
    is_monotone: bool = True
    level: float = 0.95
    formulas: tuple[Formula, ...] = ()
    by: str | None = None

    def __post_init__(self) -> None:
        if not self.functions:
            raise InputError("expected at least one detection function to fit, got none; choose a key")

    def criterion(self, distances: Distances) -> SelectBy:
        """The criterion that selects among candidates."""
        return default_criterion(distances) if self.select_by is None else self.select_by


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """All functions to fit, and the groups of the survey's observations for each model of the scale."""

    functions: tuple[DetectionFunction, ...]
    groups: Mapping[ScaleModel, Groups] = field(default_factory=dict)

    def groups_of(self, function: DetectionFunction) -> Groups | None:
        """The groups of a function's covariates; None if it has none."""
        return None if function.scale is None else self.groups[function.scale]


def resolve_candidates(settings: AnalysisSettings, survey: Survey, distances: Distances) -> Candidates:
    """The functions of the settings, and those with covariates, whose levels are those of the survey.

    Raises:
        InputError: a formula doesn't suit the survey's columns, or no key has a scale.
    """
    keys = list(dict.fromkeys(function.key for function in settings.functions if not function.is_uniform))
    formulas = [formula for formula in dict.fromkeys(settings.formulas) if formula.terms]
    if formulas and not keys:
        raise InputError(
            "a formula changes the scale of a half-normal or hazard-rate key, and the uniform key has none; add "
            "--key half-normal"
        )
    is_fitted = survey.inside(distances.left_m, distances.right_m) > 0
    functions, groups = list(settings.functions), {}
    for formula in formulas:
        columns = {name: survey.columns[name].values for name in formula.columns}
        station_ids = [station.station_id for station in survey.stations]
        scale = resolve_formula(formula, columns, is_fitted, survey.station, station_ids)
        groups[scale] = group_observations(scale.standardise(columns))
        functions += [DetectionFunction(key, scale=scale) for key in keys]
    return Candidates(tuple(functions), groups)


def prepare_distances(survey: Survey, settings: AnalysisSettings) -> Distances:
    """The survey's distances, binned or truncated according to the settings; the draws of a row share its weight.

    Raises:
        InputError: none lies inside, or the truncation differs from the outer cutpoints.
    """
    metres, weights = survey.distance_m.ravel(), survey.weights().ravel()
    if settings.cutpoints_m:
        binned = bin_distances(metres, settings.cutpoints_m, weights, left_m=settings.left_m, right_m=settings.right_m)
        if survey.errors is None:
            return binned
        return replace(binned, error_matrix=survey.errors.matrices_for_bins(binned.edges_m).mean())
    if survey.errors is not None:
        raise InputError("measurement error needs binned distances; give cutpoints, such as --cutpoints 0,2,4,6,8,12")
    if settings.right_m is None and not metres.max(initial=0.0) > 0:
        raise InputError("all distances are 0 m, so there is nothing to estimate; check that they are in metres")
    right_m = float(metres.max()) if settings.right_m is None else settings.right_m
    return truncate(metres, right_m=right_m, left_m=settings.left_m or 0.0, weights=weights)


def group_distances(
    groups: Groups, distances: Distances, metres: Floats, weights: Floats, observation: NDArray[np.intp]
) -> Grouped:
    """Distances by group of equal covariates.

    Args:
        groups: of the survey's observations.
        distances: made of the same metres by `prepare_distances`, or in the same way.
        metres: each distance before truncation (m).
        weights: of each distance (m).
        observation: the survey's observation of each distance (m).
    """
    index = groups.group[observation]
    if isinstance(distances, BinnedDistances):
        n_bins = len(distances.counts)
        bins = find_bins(distances.edges_m, metres)
        inside = bins >= 0
        cells = index[inside] * n_bins + bins[inside]
        counts = np.bincount(cells, weights[inside], minlength=len(groups.x) * n_bins).astype(np.float64)
        return Grouped(groups.x, counts=counts.reshape(-1, n_bins))
    inside = (metres >= distances.left_m) & (metres <= distances.right_m)
    return Grouped(groups.x, group=index[inside])


def group_all(candidates: Candidates, survey: Survey, distances: Distances) -> dict[ScaleModel, Grouped]:
    """The survey's distances by group, for each model of the scale."""
    observation = np.repeat(np.arange(len(survey.distance_m)), survey.n_draws)
    metres, weights = survey.distance_m.ravel(), survey.weights().ravel()
    return {
        scale: group_distances(groups, distances, metres, weights, observation)
        for scale, groups in candidates.groups.items()
    }


def fit_candidates(
    functions: Sequence[DetectionFunction],
    distances: Distances,
    grouped: Mapping[ScaleModel, Grouped],
    *,
    criterion: SelectBy,
    is_monotone: bool,
    starts: Mapping[DetectionFunction, Sequence[float]] | None = None,
) -> tuple[list[DetectionFit], list[tuple[str, str]]]:
    """The fits of all candidates that can be fitted, and the names of the others with the reasons.

    If several are compared by QAIC, those that leave no degrees of freedom fail. starts: parameters where searches start.
    """
    fits, failures = [], []
    by_qaic = len(functions) > 1 and criterion is SelectBy.QAIC
    for function in functions:
        try:
            if by_qaic and isinstance(distances, BinnedDistances):
                check_degrees_of_freedom(function, len(distances.counts))
            start = None if starts is None else starts.get(function)
            groups = None if function.scale is None else grouped[function.scale]
            fits.append(fit_detection(function, distances, groups=groups, start=start, is_monotone=is_monotone))
        except InputError as error:
            failures.append((function.name, str(error)))
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            failures.append((function.name, f"its likelihood can't be computed for these distances ({error})"))
    return fits, failures
