"""Detections and effort by camera station: what the encounter rate and its variance come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trapmeter.density.distances import check_distances, check_truncation
from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class Station:
    """A camera station: its effort in snapshots (point transects: visits) and its detections inside the truncation.

    n: the sum of their weights, 0 where nothing was detected; such stations count as much as the others.
    """

    station_id: str
    effort_snapshots: float
    n: float
    stratum: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.effort_snapshots < math.inf:
            raise InputError(
                f"station {self.station_id!r} has an effort of {self.effort_snapshots:g} snapshots, expected more than 0; "
                "correct it, or leave the station out if its camera never worked"
            )
        if not 0 <= self.n < math.inf:
            raise InputError(f"station {self.station_id!r} has {self.n:g} detections, expected 0 or more; correct it")


def count_by_station(
    station_ids: Sequence[str],
    distance_m: ArrayLike,
    effort_snapshots: Mapping[str, float],
    *,
    right_m: float,
    left_m: float = 0.0,
    weights: ArrayLike | None = None,
    strata: Mapping[str, str] | None = None,
) -> list[Station]:
    """Counts detections with left_m <= distance <= right_m at every station that had effort, none included.

    Args:
        station_ids: the station of each observation (n).
        distance_m: metres, >= 0 (n).
        effort_snapshots: of every station, those without a detection too.
        right_m: right truncation, the same as that of the fit.
        left_m: left truncation, the same as that of the fit.
        weights: of the observations (n), 1 each when not given.
        strata: the stratum of each station, one for all when not given.

    Raises:
        InputError: an observation's station has no effort, a distance is negative, or a station has no stratum.
    """
    distance = np.asarray(distance_m, np.float64)
    weight = np.ones_like(distance) if weights is None else np.asarray(weights, np.float64)
    check_distances(distance, weight)
    check_truncation(left_m, right_m)
    if len(station_ids) != len(distance):
        raise InputError(f"expected a station for each distance, got {len(station_ids)} for {len(distance)} distances")
    unknown = sorted(set(station_ids) - set(effort_snapshots))
    if unknown:
        raise InputError(f"no effort is given for station {unknown[0]!r} ({len(unknown)} such); give its snapshots")
    if strata is not None and set(effort_snapshots) - set(strata):
        raise InputError(
            f"station {min(set(effort_snapshots) - set(strata))!r} has no stratum; give one to every station"
        )
    inside = (distance >= left_m) & (distance <= right_m)
    counts = dict.fromkeys(effort_snapshots, 0.0)
    for station_id, share in zip(np.asarray(station_ids)[inside].tolist(), weight[inside].tolist(), strict=True):
        counts[station_id] += share
    return [
        Station(station_id, effort_snapshots[station_id], n, "" if strata is None else strata[station_id])
        for station_id, n in counts.items()
    ]
