"""A survey: stations with their effort, and the distances of the animals detected at each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.measurement_error import MeasurementError
from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class StationCounts:
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


Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Station:
    """A camera station: effort in snapshots (point transects: visits), share (0..1) of a circle that it covers, stratum."""

    station_id: str
    effort_snapshots: float
    multiplier: float = 1.0
    stratum: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.effort_snapshots < math.inf:
            raise InputError(
                f"station {self.station_id!r} has an effort of {self.effort_snapshots:g} snapshots, expected more than 0; "
                "correct it, or leave the station out if its camera never worked"
            )
        if not 0 < self.multiplier <= 1:
            raise InputError(
                f"station {self.station_id!r} covers {self.multiplier:g} of a circle, expected a share above 0 and up to 1; "
                "divide degrees by 360"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """Cameras and observations.

    camera: which of `stations` made each observation (n). distance_m: metres, (n, 1) where distances are known and (n, draws)
    where each row tells by equally likely draws where the animal may have stood. areas: of strata, empty where not known.
    errors: how distances are measured, where that is known and they are answers, not draws.
    hours: ranges of the day (0..24) in which cameras worked, () for all day. notes: what to know of how it was read.
    """

    stations: tuple[Station, ...]
    station: NDArray[np.intp]
    distance_m: Floats
    areas: Mapping[str, float] = field(default_factory=dict)
    errors: MeasurementError | None = None
    hours: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.distance_m.ndim != 2 or self.station.shape != (len(self.distance_m),):
            raise ValueError(
                f"expected (n) cameras and (n, draws) metres, got {self.station.shape} {self.distance_m.shape}"
            )
        names = [camera.station_id for camera in self.stations]
        if len(set(names)) < len(names):
            raise ValueError("expected cameras with names of their own")
        if self.errors is not None and self.n_draws > 1:
            raise ValueError("expected one distance for each observation where its error is known, got draws")

    @property
    def n_draws(self) -> int:
        """Distances of each observation: 1, or the number of its draws."""
        return int(self.distance_m.shape[1])

    @property
    def multiplier(self) -> float:
        """The share of a circle that cameras cover, in the mean over snapshots."""
        effort = sum(camera.effort_snapshots for camera in self.stations)
        return math.fsum(camera.multiplier * camera.effort_snapshots for camera in self.stations) / effort

    @property
    def strata(self) -> tuple[str, ...]:
        """Names of the strata, in their order."""
        return tuple(dict.fromkeys(camera.stratum for camera in self.stations))

    def efforts(self) -> Floats:
        """The effort of each camera in snapshots of the mean angle of view (cameras).

        A camera with twice the angle sees what two others see. With one angle for all this is the effort itself.
        """
        mean = self.multiplier
        return np.array([camera.effort_snapshots * camera.multiplier / mean for camera in self.stations])

    def weights(self) -> Floats:
        """Of distances (n, draws): an observation counts 1, whatever its draws."""
        return np.full(self.distance_m.shape, 1.0 / self.n_draws)

    def count_detections(self, left_m: float, right_m: float) -> list[StationCounts]:
        """What each camera saw between left_m and right_m."""
        inside = (self.weights() * ((self.distance_m >= left_m) & (self.distance_m <= right_m))).sum(axis=1)
        counts = np.bincount(self.station, inside, minlength=len(self.stations))
        return [
            StationCounts(camera.station_id, effort, n, camera.stratum)
            for camera, effort, n in zip(self.stations, self.efforts().tolist(), counts.tolist(), strict=True)
        ]

    def stratum_weights(self) -> dict[str, float]:
        """How much each stratum counts: its area, or where no areas are known its effort, as in R's mrds."""
        if self.has_areas:
            return {stratum: self.areas[stratum] for stratum in self.strata}
        effort = dict.fromkeys(self.strata, 0.0)
        for camera, snapshots in zip(self.stations, self.efforts().tolist(), strict=True):
            effort[camera.stratum] += snapshots
        return effort

    @property
    def has_areas(self) -> bool:
        """Whether the areas of all strata are known."""
        return all(self.areas.get(stratum, 0.0) > 0 for stratum in self.strata)
