"""Detections and effort by camera station: what the encounter rate and its variance come from."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
