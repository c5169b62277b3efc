"""Levels: the parts of a survey for which densities are estimated separately, such as species or habitats.

A level of stations, such as a habitat, has the effort of these stations. A level of observations, such as a species or the
time of day, shares the effort of all stations, so the densities of its column add up to that of the survey.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.survey.survey import Availability, Survey
from trapmeter.errors import InputError

STRATUM = "stratum"
"""Stands for the strata of a survey where a column may be named."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """A level of a column.

    observations: which of them have it (n). stations: which of them have it, or all if the column describes observations
    (stations).
    """

    column: str
    name: str
    observations: NDArray[np.bool_]
    stations: NDArray[np.bool_]
    is_of_stations: bool


@dataclass(frozen=True, slots=True)
class AvailabilityByLevel:
    """A share of the effort for each level of a column, or of `STRATUM`."""

    column: str
    by_level: Mapping[str, Availability]

    def of_observations(self, survey: Survey) -> tuple[str, ...]:
        """The level of each observation (n).

        Raises:
            InputError: the availability of a level is unknown.
        """
        levels = values_of(survey, self.column)
        unknown = sorted(set(levels) - set(self.by_level))
        if unknown:
            raise InputError(
                f"the availability of {self.column} {unknown[0]!r} is unknown; it is known of "
                f"{', '.join(map(repr, self.by_level)) or 'none'}"
            )
        return levels


def values_of(survey: Survey, column: str) -> tuple[str, ...]:
    """The text of each observation (n) in a column; `STRATUM` takes its stratum if there is no such column."""
    if column in survey.columns:
        return survey.columns[column].values
    strata = [station.stratum for station in survey.stations]
    return tuple(strata[index] for index in survey.station.tolist())


def find_levels(survey: Survey, column: str, left_m: float, right_m: float) -> tuple[Level, ...]:
    """The levels of a column with detections between left_m and right_m, in alphabetical order."""
    values = np.array(survey.columns[column].values)
    at_stations = survey.columns[column].at_stations
    is_inside = survey.inside(left_m, right_m) > 0
    levels = []
    for name in sorted(set(values[is_inside].tolist())):
        stations = np.ones(len(survey.stations), bool) if at_stations is None else np.array(at_stations) == name
        levels.append(Level(column, name, values == name, stations, at_stations is not None))
    return tuple(levels)
