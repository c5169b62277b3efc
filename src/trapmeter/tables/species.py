"""Species and shoulder heights of animals.

`embedded/shoulder_heights.csv` gives the usual range of adults' shoulder heights, on all fours, in metres. The ranges come
from general knowledge and were not checked against a reference: check those that your result depends on, and give
`shoulder_m` if you know better. Left out are animals whose box says little about their shoulder: giraffes, kangaroos, birds,
squirrels.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import Row, read_columns, read_rows
from trapmeter.tables.file_names import NameIndex

TABLE = Path(__file__).parent / "embedded" / "shoulder_heights.csv"
MIN_SHOULDER_M, MAX_SHOULDER_M = 0.05, 4.0
STATED_HEIGHT_CV = 0.05
"""How far a height that a user gives may be off: the standard deviation, as a share of it."""
RANGE_SDS = 4.0
"""Standard deviations between the two ends of a range in the table."""
NAME_COLUMNS = ("media_id", "video_id", "file", "site_id")
"""The first of these columns that a table has says what a row is about."""
SPECIES_COLUMNS = ("species", "scientificName")

Value = TypeVar("Value")


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
    """The shoulder height of a species by its English or scientific name; capitals, hyphens and underscores don't matter.

    Raises:
        InputError: the table lacks it; the message lists similar names.

    Example:
        >>> round(shoulder_height_of("Vulpes vulpes").height_m, 2)
        0.4
    """
    known = _known_shoulder_heights()
    found = known.get(_normalised(species))
    if found is None:
        alike = difflib.get_close_matches(_normalised(species), known, n=4, cutoff=0.6)
        hint = f"known are {', '.join(map(repr, alike))}" if alike else "use an English or scientific name"
        raise InputError(f"no shoulder height is known for {species!r}; {hint}; or give the height in metres")
    return found


@cache
def usual_shoulder_m(species: str) -> float | None:
    """The shoulder height of a species in metres; None if the table lacks it."""
    found = _known_shoulder_heights().get(_normalised(species))
    return None if found is None else found.height_m


def read_shoulder_heights(path: str | Path, media: Iterable[tuple[str, str]]) -> dict[str, ShoulderHeight]:
    """Reads the shoulder height of each medium from a table.

    A CSV file with media_id, video_id, file or site_id, and with species or shoulder_m. Rows that have neither of these two,
    such as blanks and people, are skipped.

    Args:
        path: the table.
        media: media_id and site_id of all media.

    Raises:
        InputError: a column is missing, a species isn't known, a name fits several media or has two heights, or the table
            has none of the media.
    """
    columns = read_columns(path)
    value = next((column for column in ("shoulder_m", *SPECIES_COLUMNS) if column in columns), "species")
    name = _name_column(columns)
    heights: dict[str, ShoulderHeight] = {}
    for row in read_rows(path, required=(name, value)):
        height = _shoulder_height(row)
        if height is not None and heights.setdefault(row.text(name), height) != height:
            raise InputError(
                f"{row.where}: {row.text(name)} has another height in a row above; give all animals of a medium the same"
            )
    found = _values_by_medium(path, name, heights, list(media))
    if not found:
        raise InputError(
            f"{path}: none of the {len(heights)} names in column {name!r} is one of the media; write names as in media_id"
        )
    return found


def read_species(path: str | Path, media: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Reads the species of each medium from such a table, as it is written there; media with several species have none.

    Raises:
        InputError: a column is missing, or a name fits several media.
    """
    columns = read_columns(path)
    value = next((column for column in SPECIES_COLUMNS if column in columns), "")
    if not value:
        return {}
    name = _name_column(columns)
    names: dict[str, set[str]] = defaultdict(set)
    for row in read_rows(path, required=(name, value)):
        if species := row.optional_text(value):
            names[row.text(name)].add(species)
    unique = {about: species.pop() for about, species in names.items() if len(species) == 1}
    return _values_by_medium(path, name, unique, list(media))


def _name_column(columns: Collection[str]) -> str:
    return next((column for column in NAME_COLUMNS if column in columns), NAME_COLUMNS[0])


def _values_by_medium(
    path: str | Path, name: str, values: dict[str, Value], media: list[tuple[str, str]]
) -> dict[str, Value]:
    """The value of each medium, by its own name or its site's."""
    if name == "site_id":
        return {media_id: values[site_id] for media_id, site_id in media if site_id in values}
    entries = NameIndex(values).match((media_id for media_id, _ in media), path)
    return {media_id: values[entry] for media_id, entry in entries.items()}


def _shoulder_height(row: Row) -> ShoulderHeight | None:
    height_m = row.optional_number("shoulder_m")
    species = row.optional_text("species") or row.optional_text("scientificName")
    try:
        if height_m is not None:
            return ShoulderHeight(height_m)
        return shoulder_height_of(species) if species else None
    except InputError as error:
        raise InputError(f"{row.where}: {error}; leave the cell empty if you don't know it") from None


@cache
def usual_shoulder_heights() -> tuple[ShoulderHeight, ...]:
    """The shoulder height of every listed species, in the table's order."""
    return tuple(dict.fromkeys(_known_shoulder_heights().values()))


@cache
def _known_shoulder_heights() -> dict[str, ShoulderHeight]:
    known: dict[str, ShoulderHeight] = {}
    for row in read_rows(TABLE, required=("scientific", "english", "low_m", "high_m")):
        low, high = math.log(row.number("low_m")), math.log(row.number("high_m"))
        height = ShoulderHeight(math.exp((low + high) / 2), (high - low) / RANGE_SDS)
        for name in (row.text("scientific"), *row.text("english").split("; ")):
            known[_normalised(name)] = height
    return known


def _normalised(name: str) -> str:
    return " ".join(re.sub(r"[-_’']", " ", name.casefold()).split())
