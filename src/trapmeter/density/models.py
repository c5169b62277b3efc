"""The densities that each fitted candidate implies: overall, by stratum and by level, of animals and of their groups."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.candidates import AnalysisSettings, Candidates
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.detection.selection import qaic
from trapmeter.density.estimate import DensityEstimate, GroupSize, estimate_density, estimate_group_size
from trapmeter.density.horvitz_thompson import count_animals, detection_of_observations
from trapmeter.density.levels import AvailabilityByLevel, Level, find_levels
from trapmeter.density.survey.survey import Availability, StationCounts, Survey


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """The density of a level, such as a species.

    density: of animals. pa: average detection probability. group_size: None if all animals are single. is_of_stations:
    whether the effort is that of the stations with this level, as of a habitat.
    """

    column: str
    level: str
    density: DensityEstimate
    pa: float
    availability: Availability
    is_of_stations: bool
    group_size: GroupSize | None = None


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A candidate's fit and the densities it implies.

    density: of animals. group_size: None if all animals are single. by_level: of the column that was asked for, and of the
    factors in the formula. qaic, chat: None if distances are exact or the bins leave no degrees of freedom.
    """

    fit: DetectionFit
    density: DensityEstimate
    by_stratum: Mapping[str, DensityEstimate]
    qaic: float | None = None
    chat: float | None = None
    group_size: GroupSize | None = None
    by_level: tuple[LevelEstimate, ...] = ()


def count_each(survey: Survey, by_level: AvailabilityByLevel | None, *, is_of_groups: bool = False) -> Floats:
    """What each observation counts if all are detected (n): its size, divided by the availability of its level.

    by_level: None if availability is the same for all, which then divides the density. is_of_groups: a group counts once.
    """
    sizes = np.ones(len(survey.station)) if survey.sizes is None or is_of_groups else survey.sizes
    if by_level is None:
        return sizes
    return np.asarray(
        sizes / [by_level.by_level[level].share for level in by_level.of_observations(survey)], np.float64
    )


class ModelEstimator:
    """Estimates the densities of candidates that were fitted to one survey."""

    def __init__(
        self,
        survey: Survey,
        settings: AnalysisSettings,
        candidates: Candidates,
        availability: Availability | AvailabilityByLevel,
    ) -> None:
        self._survey, self._settings, self._candidates = survey, settings, candidates
        self._by_level = availability if isinstance(availability, AvailabilityByLevel) else None
        self._availability = availability if isinstance(availability, Availability) else Availability(1.0)

    def estimate(self, fit: DetectionFit, chat: float | None) -> FittedModel:
        """The model of a fit. chat: the overdispersion of its key.

        Raises:
            InputError: a stratum has fewer than two stations.
        """
        survey = self._survey
        everything = np.ones(len(survey.station), bool)
        stations = self._count(fit, everything)
        availability = self.availability_of(fit, everything)
        strata = {name: [station for station in stations if station.stratum == name] for name in survey.strata}
        by_stratum = {
            name: self._density(fit, members, self.availability_of(fit, self._of_stratum(name)))
            for name, members in strata.items()
            if len(strata) > 1 and len(members) > 1 and any(station.n for station in members)
        }
        every_station = np.ones(len(survey.stations), bool)
        return FittedModel(
            fit=fit,
            density=self._density(fit, stations, availability),
            by_stratum=by_stratum,
            qaic=None if chat is None else qaic(fit, chat),
            chat=chat,
            group_size=self._group_size(fit, everything, every_station, availability),
            by_level=tuple(self._estimate_level(fit, level) for level in self._levels(fit)),
        )

    def availability_of(self, fit: DetectionFit, chosen: NDArray[np.bool_]) -> Availability:
        """The availability of the chosen observations (n).

        If it differs by level, `count_each` divides by it already, and 1 with the standard error of their sum is left.
        """
        if self._by_level is None:
            return self._availability
        values = np.array(self._by_level.of_observations(self._survey))
        densities, errors = [], []
        for level, known in self._by_level.by_level.items():
            stations = self._count(fit, chosen & (values == level))
            if any(station.n for station in stations):
                density = self._density(fit, stations, Availability(1.0)).density_km2
                densities.append(density)
                errors.append(density * known.cv)
        return Availability(1.0, math.hypot(*errors) / sum(densities)) if densities else Availability(1.0)

    def _levels(self, fit: DetectionFit) -> list[Level]:
        factors = (
            [] if fit.function.scale is None else [one.column for one in fit.function.scale.covariates if one.levels]
        )
        columns = dict.fromkeys([self._settings.by, *factors] if self._settings.by else factors)
        levels = [level for name in columns for level in find_levels(self._survey, name, fit.left_m, fit.right_m)]
        return [level for level in levels if self._has_variance(level)]

    def _has_variance(self, level: Level) -> bool:
        """Whether each stratum has two stations with this level, or none."""
        strata = [station.stratum for station in self._survey.stations]
        per_stratum = Counter(name for name, has_it in zip(strata, level.stations, strict=True) if has_it)
        return min(per_stratum.values(), default=0) > 1

    def _estimate_level(self, fit: DetectionFit, level: Level) -> LevelEstimate:
        availability = self.availability_of(fit, level.observations)
        stations = self._some(self._count(fit, level.observations), level.stations)
        survey = self._survey
        pa, _ = detection_of_observations(fit, self._candidates.groups_of(fit.function), len(survey.station))
        weights = survey.inside(fit.left_m, fit.right_m) * level.observations
        known = self._by_level
        shown = known.by_level[level.name] if known is not None and known.column == level.column else availability
        return LevelEstimate(
            column=level.column,
            level=level.name,
            density=self._density(fit, stations, availability),
            pa=float(weights.sum() / (weights / pa).sum()),
            availability=shown,
            is_of_stations=level.is_of_stations,
            group_size=self._group_size(fit, level.observations, level.stations, availability),
        )

    def _group_size(
        self,
        fit: DetectionFit,
        chosen: NDArray[np.bool_],
        at_stations: NDArray[np.bool_],
        availability: Availability,
    ) -> GroupSize | None:
        if self._survey.sizes is None:
            return None
        animals = self._some(self._count(fit, chosen), at_stations)
        groups = self._some(self._count(fit, chosen, is_of_groups=True), at_stations)
        mean, se = estimate_group_size(fit, groups, animals, self._survey.stratum_weights())
        return GroupSize(self._density(fit, groups, availability), mean, se)

    def _count(
        self, fit: DetectionFit, chosen: NDArray[np.bool_], *, is_of_groups: bool = False
    ) -> list[StationCounts]:
        each = count_each(self._survey, self._by_level, is_of_groups=is_of_groups)
        groups = self._candidates.groups_of(fit.function)
        return count_animals(self._survey, fit, groups, each=each, chosen=chosen)

    def _of_stratum(self, name: str) -> NDArray[np.bool_]:
        is_of_it = np.array([station.stratum == name for station in self._survey.stations])
        return np.asarray(is_of_it[self._survey.station])

    def _some(self, stations: Sequence[StationCounts], at_stations: NDArray[np.bool_]) -> list[StationCounts]:
        return [station for station, is_kept in zip(stations, at_stations, strict=True) if is_kept]

    def _density(
        self, fit: DetectionFit, stations: Sequence[StationCounts], availability: Availability
    ) -> DensityEstimate:
        return estimate_density(
            fit,
            stations,
            multiplier=self._survey.multiplier,
            areas_km2=self._survey.stratum_weights(),
            availability=availability,
            level=self._settings.level,
        )
