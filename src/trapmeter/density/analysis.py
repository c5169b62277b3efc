"""The whole estimation: candidates are fitted, one is selected, and each gives a density, over all strata and in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from trapmeter.density.detection.distances import BinnedDistances, Distances, bin_distances, truncate
from trapmeter.density.detection.fit import DetectionFit, fit_detection
from trapmeter.density.detection.function import DetectionFunction
from trapmeter.density.detection.selection import (
    candidate_functions,
    estimate_overdispersion,
    qaic,
    select_by_aic,
    select_by_qaic,
)
from trapmeter.density.diagnostics import diagnose
from trapmeter.density.estimate import Availability, DensityEstimate, estimate_density
from trapmeter.density.survey.survey import StationCounts, Survey
from trapmeter.errors import InputError


class SelectBy(StrEnum):
    """What detection functions are judged by."""

    QAIC = "qaic"
    AIC = "aic"

    @property
    def rule(self) -> str:
        """For people."""
        return "AIC" if self is SelectBy.AIC else "QAIC within each key, and chi-square / df between keys"


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """What is fitted to which distances.

    cutpoints_m: of bins, metres; () leaves distances exact. left_m, right_m: truncation; None takes the outer cutpoints, or 0
    and the farthest distance. select_by: None takes QAIC for binned distances and AIC for exact ones.
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
            raise InputError("expected at least one detection function to fit, got none; name a key")


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A candidate's fit and the densities it means. qaic: None where distances are exact or no bins are left to judge by."""

    fit: DetectionFit
    density: DensityEstimate
    by_stratum: Mapping[str, DensityEstimate]
    qaic: float | None = None
    chat: float | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """What came out: models in the order of the candidates, the number of the one selected, and what failed and why."""

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
    """Fits all candidates to a survey, selects one, and estimates density by each.

    Raises:
        InputError: no candidate can be fitted (the first reason is told), there are fewer than two stations in a stratum, or
            bins and truncation don't fit together.
    """
    distances = prepare_distances(survey, settings)
    fits, failures = fit_candidates(settings, distances)
    if not fits:
        name, reason = failures[0]
        raise InputError(f"{name}: {reason}" if len(settings.functions) > 1 else reason)
    by = choose_criterion(settings, distances)
    judged = {fit.key: _overdispersion(fits, fit.key) for fit in fits}
    best = select_fit(fits, by)
    stations = survey.count_detections(distances.left_m, distances.right_m)
    seen = availability or Availability(1.0)
    models = tuple(_fitted_model(fit, survey, stations, seen, settings.level, judged[fit.key]) for fit in fits)
    selected = next(number for number, fit in enumerate(fits) if fit is best)
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
    return Analysis(survey, settings, distances, models, selected, by, tuple(failures), seen, warnings)


def prepare_distances(survey: Survey, settings: AnalysisSettings) -> Distances:
    """The survey's distances, binned or truncated as the settings say; each draw with its part of its row's weight.

    Raises:
        InputError: none lies inside, or bins don't cover what isn't truncated.
    """
    metres, weights = survey.distance_m.ravel(), survey.weights().ravel()
    if settings.cutpoints_m:
        binned = bin_distances(metres, settings.cutpoints_m, weights, left_m=settings.left_m, right_m=settings.right_m)
        return (
            binned
            if survey.errors is None
            else replace(binned, error_matrix=survey.errors.matrices_for_bins(binned.edges_m).mean())
        )
    if survey.errors is not None:
        raise InputError(
            "errors of distances are allowed for in bins; give cutpoints, such as --cutpoints 0,2,4,6,8,12"
        )
    if settings.right_m is None and not metres.max(initial=0.0) > 0:
        raise InputError("all distances are 0 m, so that there is nothing to estimate; check that they are in metres")
    right_m = float(metres.max()) if settings.right_m is None else settings.right_m
    return truncate(metres, right_m=right_m, left_m=settings.left_m or 0.0, weights=weights)


def fit_candidates(
    settings: AnalysisSettings, distances: Distances, starts: Mapping[DetectionFunction, Sequence[float]] | None = None
) -> tuple[list[DetectionFit], list[tuple[str, str]]]:
    """The fits of all candidates that can be fitted, and the name and reason of the others.

    Where several are judged by QAIC, one that leaves no degrees of freedom can't be judged and is none.
    """
    fits, failures = [], []
    by_qaic = len(settings.functions) > 1 and choose_criterion(settings, distances) is SelectBy.QAIC
    for function in settings.functions:
        try:
            if by_qaic and isinstance(distances, BinnedDistances):
                _check_freedom(function, len(distances.counts))
            start = None if starts is None else starts.get(function)
            fits.append(fit_detection(function, distances, start=start, is_monotone=settings.is_monotone))
        except InputError as error:
            failures.append((function.name, str(error)))
    return fits, failures


def _check_freedom(function: DetectionFunction, n_bins: int) -> None:
    n_parameters = len(function.parameter_names)
    if n_bins - 1 <= n_parameters:
        raise InputError(
            f"{n_bins} bins leave no degrees of freedom for {n_parameters} parameters, which QAIC needs; give more "
            "cutpoints, or select by AIC"
        )


def choose_criterion(settings: AnalysisSettings, distances: Distances) -> SelectBy:
    """What is judged by where the user doesn't say."""
    if settings.select_by is not None:
        return settings.select_by
    return SelectBy.QAIC if isinstance(distances, BinnedDistances) else SelectBy.AIC


def select_fit(fits: Sequence[DetectionFit], by: SelectBy) -> DetectionFit:
    """The best of the fits; a single one is taken as it is.

    Raises:
        InputError: QAIC was asked for, and the fits have no chi-square to estimate overdispersion from.
    """
    if len(fits) == 1:
        return fits[0]
    return select_by_aic(fits) if by is SelectBy.AIC else select_by_qaic(fits).best


def _overdispersion(fits: Sequence[DetectionFit], key: str) -> float | None:
    """The overdispersion of the most general function of a key, None where it can't be told."""
    general = max((fit for fit in fits if fit.key == key), key=lambda fit: fit.n_parameters)
    return estimate_overdispersion(general) if general.chi_square is not None and general.chi_square.df else None


def _fitted_model(
    fit: DetectionFit,
    survey: Survey,
    stations: Sequence[StationCounts],
    availability: Availability,
    level: float,
    chat: float | None,
) -> FittedModel:
    def density(of: Sequence[StationCounts]) -> DensityEstimate:
        return estimate_density(
            fit,
            of,
            multiplier=survey.multiplier,
            areas_km2=survey.stratum_weights(),
            availability=availability,
            level=level,
        )

    strata = {stratum: [one for one in stations if one.stratum == stratum] for stratum in survey.strata}
    parts = {stratum: density(of) for stratum, of in strata.items() if len(of) > 1 and any(one.n for one in of)}
    return FittedModel(
        fit, density(stations), parts if len(strata) > 1 else {}, None if chat is None else qaic(fit, chat), chat
    )
