"""Shoulder heights of species.

`embedded/species.csv` gives the usual range of adults' shoulder heights, on all fours, in metres. The ranges come from
general knowledge and were not checked against a reference: check those that your result depends on, and give `shoulder_m` if
you know better. Left out are animals whose box says little about their shoulder: giraffes, kangaroos, birds, squirrels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.species_names import TABLE, canonical_name, require_known

MIN_SHOULDER_M, MAX_SHOULDER_M = 0.05, 4.0
STATED_HEIGHT_CV = 0.05
"""How far a height that a user gives may be off: the standard deviation, as a share of it."""
RANGE_SDS = 4.0
"""Standard deviations between the two ends of a range in the table."""


@dataclass(frozen=True, slots=True)
class ShoulderHeight:
    """An animal's shoulder height in metres, and its standard deviation in log metres (sd_log)."""

    height_m: float
    sd_log: float = STATED_HEIGHT_CV

    def __post_init__(self) -> None:
        if not MIN_SHOULDER_M <= self.height_m <= MAX_SHOULDER_M:
            raise InputError(
                f"expected a shoulder height of {MIN_SHOULDER_M} to {MAX_SHOULDER_M} m, got {self.height_m:g}"
            )


def shoulder_height_of(species: str) -> ShoulderHeight:
    """The shoulder height of a species by its scientific, English, German, French or Spanish name.

    Capitals, accents, hyphens and underscores don't matter.

    Raises:
        InputError: several species have the name, or none has; the message lists candidates.

    Example:
        >>> round(shoulder_height_of("Vulpes vulpes").height_m, 2)
        0.4
    """
    return _shoulder_heights()[require_known(species, "or give the height in metres")]


@cache
def usual_shoulder(species: str) -> ShoulderHeight | None:
    """The shoulder height of a canonical name; that of its genus, if the table has one only for the genus; else None."""
    heights = _shoulder_heights()
    return heights.get(species) or heights.get(species.partition(" ")[0])


def usual_shoulder_m(species: str) -> float | None:
    """The shoulder height in metres of a species, however it is called; None if the table lacks it."""
    found = usual_shoulder(canonical_name(species))
    return None if found is None else found.height_m


@cache
def usual_shoulder_heights() -> tuple[ShoulderHeight, ...]:
    """The shoulder height of every listed species, in the table's order."""
    return tuple(dict.fromkeys(_shoulder_heights().values()))


@cache
def _shoulder_heights() -> dict[str, ShoulderHeight]:
    """By canonical name."""
    heights: dict[str, ShoulderHeight] = {}
    for row in read_rows(TABLE, required=("scientific", "low_m", "high_m")):
        low, high = math.log(row.number("low_m")), math.log(row.number("high_m"))
        heights[row.text("scientific")] = ShoulderHeight(math.exp((low + high) / 2), (high - low) / RANGE_SDS)
    return heights
