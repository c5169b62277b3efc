"""What each detection stands for: size / Pa(z) animals, if groups of animals like it are detected with probability Pa(z).

Their sum is the number of all animals at the stations (Horvitz and Thompson 1952; Marques and Buckland 2003). Fewer large
groups and conspicuous species are missed, so each detection of these stands for fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.covariates import Groups
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.survey.survey import StationCounts, Survey


def detection_of_observations(fit: DetectionFit, groups: Groups | None, n: int) -> tuple[Floats, Floats]:
    """Pa of each of n observations (n), and its slopes in the parameters (n, parameters).

    groups: those of the fit's covariates, None without.
    """
    if fit.by_group is None or groups is None:
        return np.full(n, fit.pa), np.tile(fit.pa_slopes, (n, 1))
    # Groups beyond the truncation may have no chance of detection, and count nothing.
    pa = np.maximum(fit.by_group.pa, np.finfo(np.float64).tiny)
    return pa[groups.group], fit.by_group.pa_slopes[groups.group]


def count_animals(
    survey: Survey,
    fit: DetectionFit,
    groups: Groups | None,
    *,
    each: Floats,
    chosen: NDArray[np.bool_] | None = None,
) -> list[StationCounts]:
    """The stations with the animals that their detections stand for.

    Args:
        survey: with all stations.
        fit: of its observations.
        groups: see `detection_of_observations`.
        each: what each observation counts if all are detected, such as its size (n).
        chosen: which observations count (n); all by default.
    """
    inside = survey.inside(fit.left_m, fit.right_m)
    weights = inside if chosen is None else inside * chosen
    pa, pa_slopes = detection_of_observations(fit, groups, len(weights))
    stands_for = weights * each / pa
    n = _sum_by_station(survey, weights)
    animals = _sum_by_station(survey, stands_for)
    slopes = np.array([_sum_by_station(survey, -stands_for * slope / pa) for slope in pa_slopes.T])
    stations = [
        StationCounts(station.station_id, effort, count, station.stratum)
        for station, effort, count in zip(survey.stations, survey.efforts().tolist(), n.tolist(), strict=True)
    ]
    return _with_animals(stations, animals, slopes)


def _with_animals(stations: Sequence[StationCounts], animals: Floats, slopes: Floats) -> list[StationCounts]:
    return [
        replace(station, animals=float(animals[index]), slopes=slopes[:, index] if len(slopes) else np.zeros(0))
        for index, station in enumerate(stations)
    ]


def _sum_by_station(survey: Survey, values: Floats) -> Floats:
    return np.bincount(survey.station, values, minlength=len(survey.stations)).astype(np.float64)
