"""One analysis: fits all candidates, selects one, and estimates density overall, by stratum and by level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter.density.candidates import (
    AnalysisSettings,
    Candidates,
    fit_candidates,
    group_all,
    prepare_distances,
    resolve_candidates,
)
from trapmeter.density.detection.distances import Distances
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.selection import SelectBy, overdispersion_of_key, plausible_fits, select_fit
from trapmeter.density.diagnostics import diagnose
from trapmeter.density.levels import AvailabilityByLevel, find_levels
from trapmeter.density.models import FittedModel, ModelEstimator
from trapmeter.density.survey.survey import Availability, Survey
from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result: models in the order of the candidates, the index of the selected one, and failures (name, reason).

    availability: of all animals; with `availability_by_level` 1 with the standard error of these.
    """

    survey: Survey
    settings: AnalysisSettings
    candidates: Candidates
    distances: Distances
    models: tuple[FittedModel, ...]
    selected: int
    select_by: SelectBy
    failures: tuple[tuple[str, str], ...]
    availability: Availability
    availability_by_level: AvailabilityByLevel | None
    warnings: tuple[str, ...]

    @property
    def best(self) -> FittedModel:
        """The selected model."""
        return self.models[self.selected]


def run_analysis(
    survey: Survey, settings: AnalysisSettings, availability: Availability | AvailabilityByLevel | None = None
) -> Analysis:
    """Fits all candidates to a survey, selects one, and estimates density with each.

    Raises:
        InputError: no candidate can be fitted (the message has the first reason), a stratum has fewer than two stations,
            bins and truncation don't match, or a formula doesn't suit the survey.
    """
    availability = availability or Availability(1.0)
    distances = prepare_distances(survey, settings)
    candidates = resolve_candidates(settings, survey, distances)
    criterion = settings.criterion(distances)
    fits, failures = fit_candidates(
        candidates.functions,
        distances,
        group_all(candidates, survey, distances),
        criterion=criterion,
        is_monotone=settings.is_monotone,
    )
    if not fits:
        name, reason = failures[0]
        raise InputError(f"{name}: {reason}" if len(candidates.functions) > 1 else reason)
    plausible = plausible_fits(fits, candidates.functions)
    best = select_fit(plausible, criterion)
    estimator = ModelEstimator(survey, settings, candidates, availability)
    chats = {fit.key: _overdispersion(fits, plausible, fit.key) for fit in fits}
    models = tuple(estimator.estimate(fit, chats[fit.key]) for fit in fits)
    selected = next(index for index, fit in enumerate(fits) if fit is best)
    best_model = models[selected]
    warnings = (
        *survey.notes,
        *_note_levels(survey, settings, best_model, distances),
        *_note_rate(availability),
        *diagnose(
            survey,
            distances,
            best_model.fit,
            best_model.density,
            n_candidates=len(candidates.functions),
            is_truncated=bool(settings.cutpoints_m) or settings.right_m is not None,
        ),
    )
    return Analysis(
        survey=survey,
        settings=settings,
        candidates=candidates,
        distances=distances,
        models=models,
        selected=selected,
        select_by=criterion,
        failures=tuple(failures),
        availability=estimator.availability_of(best, np.ones(len(survey.station), bool)),
        availability_by_level=availability if isinstance(availability, AvailabilityByLevel) else None,
        warnings=warnings,
    )


def _note_levels(survey: Survey, settings: AnalysisSettings, model: FittedModel, distances: Distances) -> list[str]:
    """A note on levels without a density of their own, because too few stations have them."""
    if settings.by is None:
        return []
    known = {found.level for found in model.by_level if found.column == settings.by}
    levels = find_levels(survey, settings.by, distances.left_m, distances.right_m)
    without = [repr(level.name) for level in levels if level.name not in known]
    if not without:
        return []
    return [
        f"{settings.by} {', '.join(without)}: no density, because fewer than two stations of a stratum have it; merge "
        "levels or strata (--no-strata)"
    ]


def _note_rate(availability: Availability | AvailabilityByLevel) -> list[str]:
    if isinstance(availability, Availability) and availability.share > 1:
        return [
            f"an availability of {availability.share:g} is a rate: each animal gives that many cues in a snapshot on average"
            "; if it is a share in per cent, divide it by 100"
        ]
    return []


def _overdispersion(fits: Sequence[DetectionFit], plausible: Sequence[DetectionFit], key: str) -> float | None:
    """The c-hat of a key among the fits that can be selected, or among all of the key if none of them can."""
    return overdispersion_of_key([fit for fit in plausible if fit.key == key] or fits, key)
