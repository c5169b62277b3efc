"""A survey: stations with their effort, and the distances of the animals detected at each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

import numpy as np
from numpy.typing import NDArray

from trapmeter.density.detection.measurement_error import MeasurementError
from trapmeter.density.detection.quadrature import Floats
from trapmeter.errors import InputError
from trapmeter.tables.times import Hours

USUAL_DETECTIONS_PER_SNAPSHOT = 0.05
"""Above this share of snapshots with an animal, effort was probably not counted in snapshots: usual are 0.0001 to 0.01."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Share of the effort during which animals could be detected at all, and its standard error.

    A share above 1 is a rate: cues, such as calls or visits, that an animal gives during a snapshot on average.
    """

    share: float
    se: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.share < math.inf and 0 <= self.se < math.inf):
            raise InputError(
                f"expected an availability above 0 and its standard error, got {self.share:g} and {self.se:g}; "
                "give 1 if effort was counted only while all animals are active"
            )

    @property
    def cv(self) -> float:
        """The coefficient of variation."""
        return self.se / self.share


@dataclass(frozen=True, slots=True)
class StationCounts:
    """A station: its effort in snapshots (visits in point transects) and its detections inside the truncation.

    n: the sum of the detections' weights, 0 without detections; such stations count as much as the others. animals: those
    that the detections stand for, the sum of size / Pa(z) (Horvitz and Thompson 1952); None if it is n / Pa. slopes: of
    animals in the parameters of the detection function (parameters).
    """

    station_id: str
    effort_snapshots: float
    n: float
    stratum: str = ""
    animals: float | None = None
    slopes: Floats | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_effort(self.station_id, self.effort_snapshots)
        if not 0 <= self.n < math.inf:
            raise InputError(f"station {self.station_id!r} has {self.n:g} detections, expected 0 or more; correct it")


@dataclass(frozen=True, slots=True)
class Station:
    """A station: effort in snapshots (visits in point transects), share (0..1) of a circle that it covers, and stratum."""

    station_id: str
    effort_snapshots: float
    multiplier: float = 1.0
    stratum: str = ""

    def __post_init__(self) -> None:
        _check_effort(self.station_id, self.effort_snapshots)
        check_circle_share(self.multiplier, f"station {self.station_id!r}")


def _check_effort(station_id: str, effort_snapshots: float) -> None:
    if not 0 < effort_snapshots < math.inf:
        raise InputError(
            f"station {station_id!r} has an effort of {effort_snapshots:g} snapshots, expected more than 0; correct it, or "
            "leave the station out if its camera never worked"
        )


def check_circle_share(share: float, owner: str) -> None:
    """Raises InputError unless this is a share of a circle. owner: names what covers it, for the message."""
    if not 0 < share <= 1:
        raise InputError(
            f"{owner} covers {share:g} of a circle, expected a share above 0 and up to 1 (42 degrees: 42/360); divide "
            "degrees by 360"
        )


def check_effort_of_detections(survey: Survey, where: str) -> tuple[str, ...]:
    """Refuses fewer snapshots than detections; notes so few that effort is probably in hours or days.

    Stations that cover a whole circle are points that people visit, where one visit has many detections.

    Raises:
        InputError: a camera has more detections than snapshots.
    """
    counts = np.bincount(survey.station, minlength=len(survey.stations))
    shares = [
        (n / station.effort_snapshots, station, int(n))
        for station, n in zip(survey.stations, counts.tolist(), strict=True)
        if station.multiplier < 1
    ]
    most, station, n = max(shares, key=lambda share: share[0], default=(0.0, None, 0))
    if station is None or most <= USUAL_DETECTIONS_PER_SNAPSHOT:
        return ()
    effort = station.effort_snapshots
    text = (
        f"{where}: station {station.station_id!r} has {n:,} detections in an effort of {effort:,.6g} snapshots. Effort is "
        "the number of moments at which the camera looked for animals. With a snapshot every 2 s, days become "
        f"{effort * 43_200:,.0f} (43,200 a day) and hours {effort * 1_800:,.0f} (1,800 an hour)"
    )
    if most > 1:
        raise InputError(text)
    return (text,)


def circle_share(theta_deg: float) -> float:
    """The share m of a full circle that a camera with this angle of view covers: theta / 360, theta in degrees.

    Raises:
        InputError: the angle is not above 0 and up to 360, or so small that it must be in radians.
    """
    if not 0 < theta_deg <= 360:
        raise InputError(f"expected an angle of view above 0 and up to 360 degrees, got {theta_deg:g}; correct it")
    if theta_deg <= 2 * math.pi:
        raise InputError(
            f"expected an angle of view in degrees, got {theta_deg:g}, which looks like radians; "
            f"give {math.degrees(theta_deg):.4g} if so"
        )
    return theta_deg / 360


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a formula or a grouping names.

    values: text of each observation (n). at_stations: text of each station, if the column describes stations; None if it
    describes observations.
    """

    values: tuple[str, ...]
    at_stations: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """Stations and observations.

    station: index in `stations` of each observation (n). distance_m: metres, (n, 1) for point estimates and (n, draws) for
    equally likely draws of where each animal may have stood. areas: of strata; empty if unknown. errors: the measurement
    error of point estimates, if known. hours: snapshots by the hours of the day in which cameras worked; empty if that isn't
    known. zones: by station, whose clocks show these hours; stations whose times carry no zone are left out. notes: what
    users should know about how the survey was read. sizes: animals of each observation (n), if some are groups. columns:
    those that were asked for, by name.
    """

    stations: tuple[Station, ...]
    station: NDArray[np.intp]
    distance_m: Floats
    areas: Mapping[str, float] = field(default_factory=dict)
    errors: MeasurementError | None = None
    hours: Mapping[Hours, float] = field(default_factory=dict)
    zones: Mapping[str, tzinfo] = field(default_factory=dict)
    weight: Floats | None = None
    basis: str = ""
    notes: tuple[str, ...] = ()
    sizes: Floats | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.distance_m.ndim != 2 or self.station.shape != (len(self.distance_m),):
            raise ValueError(
                f"expected (n) stations and (n, draws) metres, got {self.station.shape} {self.distance_m.shape}"
            )
        if self.weight is not None and self.weight.shape != self.station.shape:
            raise ValueError(f"expected a weight for each of {len(self.station)} observations, got {self.weight.shape}")
        names = [station.station_id for station in self.stations]
        if len(set(names)) < len(names):
            raise ValueError("expected stations with different names")
        lengths = {len(column.values) for column in self.columns.values()}
        if lengths - {len(self.station)} or (self.sizes is not None and self.sizes.shape != self.station.shape):
            raise ValueError("expected a size and a value of each column for every observation")
        if self.errors is not None and self.n_draws > 1:
            raise ValueError("expected one distance per observation with a measurement error, got draws")

    @property
    def n_draws(self) -> int:
        """Distances of each observation: 1, or the number of draws."""
        return int(self.distance_m.shape[1])

    @property
    def multiplier(self) -> float:
        """The share of a circle that cameras cover, averaged over snapshots."""
        effort = sum(station.effort_snapshots for station in self.stations)
        return math.fsum(station.multiplier * station.effort_snapshots for station in self.stations) / effort

    @property
    def strata(self) -> tuple[str, ...]:
        """Names of the strata, in the order of the stations."""
        return tuple(dict.fromkeys(station.stratum for station in self.stations))

    def efforts(self) -> Floats:
        """The effort of each station in snapshots of the mean angle of view (stations).

        A camera with twice the angle covers as much as two others. If all cameras have one angle, this is the effort itself.
        """
        mean = self.multiplier
        return np.array([station.effort_snapshots * station.multiplier / mean for station in self.stations])

    def weights(self) -> Floats:
        """Weights of the distances (n, draws): those of an observation sum to its weight."""
        return np.repeat(self.observation_weights()[:, None] / self.n_draws, self.n_draws, axis=1)

    def observation_weights(self) -> Floats:
        """The weight of each observation (n)."""
        return np.ones(len(self.distance_m)) if self.weight is None else self.weight

    def inside(self, left_m: float, right_m: float) -> Floats:
        """The weight of each observation (n) between left_m and right_m: its own, times the share of its draws there."""
        is_inside = (self.distance_m >= left_m) & (self.distance_m <= right_m)
        return np.asarray(self.observation_weights() * is_inside.mean(axis=1))

    def count_detections(self, left_m: float, right_m: float) -> list[StationCounts]:
        """The detections at each station between left_m and right_m."""
        counts = np.bincount(self.station, self.inside(left_m, right_m), minlength=len(self.stations))
        return [
            StationCounts(station.station_id, effort, n, station.stratum)
            for station, effort, n in zip(self.stations, self.efforts().tolist(), counts.tolist(), strict=True)
        ]

    def stratum_weights(self) -> dict[str, float]:
        """The weight of each stratum: its area, or its effort if not all areas are known, as in R's mrds."""
        if self.has_areas:
            return {stratum: self.areas[stratum] for stratum in self.strata}
        effort = dict.fromkeys(self.strata, 0.0)
        for station, snapshots in zip(self.stations, self.efforts().tolist(), strict=True):
            effort[station.stratum] += snapshots
        return effort

    @property
    def has_areas(self) -> bool:
        """Whether the areas of all strata are known."""
        return all(self.areas.get(stratum, 0.0) > 0 for stratum in self.strata)
