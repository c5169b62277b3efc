"""One analysis: fits all candidates, selects one, and estimates density overall and by stratum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trapmeter.density.detection.distances import BinnedDistances, Distances, bin_distances, truncate
from trapmeter.density.detection.fit import DetectionFit, fit_detection
from trapmeter.density.detection.function import DetectionFunction
from trapmeter.density.detection.selection import (
    SelectBy,
    candidate_functions,
    check_degrees_of_freedom,
    default_criterion,
    overdispersion_of_key,
    plausible_fits,
    qaic,
    select_fit,
)
from trapmeter.density.diagnostics import diagnose
from trapmeter.density.estimate import DensityEstimate, estimate_density
from trapmeter.density.survey.survey import Availability, StationCounts, Survey
from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """The candidate functions, and how distances are binned, truncated and fitted.

    cutpoints_m: of bins, metres; () leaves distances exact. left_m, right_m: truncation; None takes the outer cutpoints, or 0
    and the farthest distance. select_by: None takes QAIC for binned distances and AIC for exact ones. is_monotone: whether
    functions must not rise with distance. level: of intervals, 0..1.
    """

    functions: tuple[DetectionFunction, ...] = field(default_factory=candidate_functions)
    cutpoints_m: tuple[float, ...] = ()
    left_m: float | None = None
    right_m: float | None = None
    select_by: SelectBy | None = None
    is_monotone: bool = True
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.functions:
            raise InputError("expected at least one detection function to fit, got none; choose a key")


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A candidate's fit and the densities it implies.

    qaic, chat: None if distances are exact or the bins leave no degrees of freedom.
    """

    fit: DetectionFit
    density: DensityEstimate
    by_stratum: Mapping[str, DensityEstimate]
    qaic: float | None = None
    chat: float | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result: models in the order of the candidates, the index of the selected one, and failures (name, reason)."""

    survey: Survey
    settings: AnalysisSettings
    distances: Distances
    models: tuple[FittedModel, ...]
    selected: int
    select_by: SelectBy
    failures: tuple[tuple[str, str], ...]
    availability: Availability
    warnings: tuple[str, ...]

    @property
    def best(self) -> FittedModel:
        """The selected model."""
        return self.models[self.selected]


def run_analysis(survey: Survey, settings: AnalysisSettings, availability: Availability | None = None) -> Analysis:
    """Fits all candidates to a survey, selects one, and estimates density with each.

    Raises:
        InputError: no candidate can be fitted (the message has the first reason), a stratum has fewer than two stations, or
            bins and truncation don't match.
    """
    distances = prepare_distances(survey, settings)
    fits, failures = fit_candidates(settings, distances)
    if not fits:
        name, reason = failures[0]
        raise InputError(f"{name}: {reason}" if len(settings.functions) > 1 else reason)
    criterion = _criterion(settings, distances)
    plausible = plausible_fits(fits, settings.functions)
    best = select_fit(plausible, criterion)
    stations = survey.count_detections(distances.left_m, distances.right_m)
    availability = availability or Availability(1.0)
    chats = {fit.key: _overdispersion(fits, plausible, fit.key) for fit in fits}
    models = tuple(_fitted_model(fit, survey, stations, availability, settings.level, chats[fit.key]) for fit in fits)
    selected = next(index for index, fit in enumerate(fits) if fit is best)
    best_model = models[selected]
    warnings = (
        *survey.notes,
        *diagnose(
            survey,
            distances,
            best_model.fit,
            best_model.density,
            n_candidates=len(settings.functions),
            is_truncated=bool(settings.cutpoints_m) or settings.right_m is not None,
        ),
    )
    return Analysis(survey, settings, distances, models, selected, criterion, tuple(failures), availability, warnings)


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


def fit_candidates(
    settings: AnalysisSettings, distances: Distances, starts: Mapping[DetectionFunction, Sequence[float]] | None = None
) -> tuple[list[DetectionFit], list[tuple[str, str]]]:
    """The fits of all candidates that can be fitted, and the names of the others with the reasons.

    If several are compared by QAIC, those that leave no degrees of freedom fail. starts: parameters where searches start.
    """
    fits, failures = [], []
    by_qaic = len(settings.functions) > 1 and _criterion(settings, distances) is SelectBy.QAIC
    for function in settings.functions:
        try:
            if by_qaic and isinstance(distances, BinnedDistances):
                check_degrees_of_freedom(function, len(distances.counts))
            start = None if starts is None else starts.get(function)
            fits.append(fit_detection(function, distances, start=start, is_monotone=settings.is_monotone))
        except InputError as error:
            failures.append((function.name, str(error)))
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            failures.append((function.name, f"its likelihood can't be computed for these distances ({error})"))
    return fits, failures


def _overdispersion(fits: Sequence[DetectionFit], plausible: Sequence[DetectionFit], key: str) -> float | None:
    """The c-hat of a key among the fits that can be selected, or among all of the key if none of them can."""
    return overdispersion_of_key([fit for fit in plausible if fit.key == key] or fits, key)


def _criterion(settings: AnalysisSettings, distances: Distances) -> SelectBy:
    return default_criterion(distances) if settings.select_by is None else settings.select_by


def _fitted_model(
    fit: DetectionFit,
    survey: Survey,
    stations: Sequence[StationCounts],
    availability: Availability,
    level: float,
    chat: float | None,
) -> FittedModel:
    def density(counts: Sequence[StationCounts]) -> DensityEstimate:
        return estimate_density(
            fit,
            counts,
            multiplier=survey.multiplier,
            areas_km2=survey.stratum_weights(),
            availability=availability,
            level=level,
        )

    strata = {name: [station for station in stations if station.stratum == name] for name in survey.strata}
    by_stratum = {
        name: density(members)
        for name, members in strata.items()
        if len(strata) > 1 and len(members) > 1 and any(station.n for station in members)
    }
    return FittedModel(fit, density(stations), by_stratum, None if chat is None else qaic(fit, chat), chat)
