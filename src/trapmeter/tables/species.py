"""How high animals are: by their species, or by a number that somebody knows.

`embedded/shoulder_heights.csv` has a usual range of adults' shoulder heights, on all fours, in metres. The ranges were
written down from general knowledge, without looking them up in any book: check those that a result leans on, and give
`shoulder_m` where you know better. Left out are animals whose box tells little of their shoulder: giraffes, kangaroos,
birds, squirrels.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import defaultdict
from collections.abc import Iterable
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
"""What a height that somebody gives may be off by, as a share of it."""
RANGE_SDS = 4.0
"""Standard deviations from one end of the table's range to the other."""
NAME_COLUMNS = ("media_id", "video_id", "file", "site_id")
"""The column that says what a row is about: the first of these that a table has."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ShoulderHeight:
    """An animal's shoulder: height_m above the ground, and how far it may be off (sd_log, of log metres)."""

    height_m: float
    sd_log: float = STATED_HEIGHT_CV

    def __post_init__(self) -> None:
        if not MIN_SHOULDER_M <= self.height_m <= MAX_SHOULDER_M:
            raise InputError(
                f"a shoulder's height lies between {MIN_SHOULDER_M} and {MAX_SHOULDER_M} m, got {self.height_m:g}"
            )


def shoulder_height_of(species: str) -> ShoulderHeight:
    """The shoulder of a species by its English or scientific name; capitals, hyphens and underscores don't matter.

    Raises:
        InputError: the table doesn't know it; the text has names that are much like it.

    Example:
        >>> round(shoulder_of("Vulpes vulpes").height_m, 2)
        0.4
    """
    known = _known_shoulder_heights()
    found = known.get(_normalised(species))
    if found is None:
        alike = difflib.get_close_matches(_normalised(species), known, n=4, cutoff=0.6)
        hint = f"known are {', '.join(map(repr, alike))}" if alike else "its names are English or scientific"
        raise InputError(f"no shoulder height is known of {species!r}; {hint}; or give the height in metres")
    return found


def read_shoulder_heights(path: Path, media: Iterable[tuple[str, str]]) -> dict[str, ShoulderHeight]:
    """The shoulder of each medium that a table tells of.

    A CSV file with media_id, video_id, file or site_id, and species or shoulder_m. Rows with neither of these two are
    skipped: blanks, people.

    Args:
        path: the table.
        media: media_id and site_id of all media.

    Raises:
        InputError: a column is missing, a species isn't known, a name fits several media or stands twice with different
            heights, or no medium is told of.
    """
    columns = read_columns(path)
    name = next((column for column in NAME_COLUMNS if column in columns), NAME_COLUMNS[0])
    value = next((column for column in ("shoulder_m", "species", "scientificName") if column in columns), "species")
    told: dict[str, ShoulderHeight] = {}
    for row in read_rows(path, required=(name, value)):
        shoulder = _shoulder_height(row)
        if shoulder is None:
            continue
        if told.setdefault(row.text(name), shoulder) != shoulder:
            raise InputError(
                f"{row.where}: {row.text(name)} has another height above; one shoulder counts for all animals of a medium"
            )
    found = _values_by_medium(path, name, told, list(media))
    if not found:
        raise InputError(f"{path}: none of its {len(told)} names in column {name!r} is of what was measured")
    return found


def read_species(path: Path, media: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The species of each medium that the same table tells, as it stands there; where it tells several, none.

    Raises:
        InputError: a column is missing, or a name fits several media.
    """
    columns = read_columns(path)
    value = next((column for column in ("species", "scientificName") if column in columns), "")
    name = next((column for column in NAME_COLUMNS if column in columns), NAME_COLUMNS[0])
    if not value:
        return {}
    told: dict[str, set[str]] = defaultdict(set)
    for row in read_rows(path, required=(name, value)):
        if species := row.optional_text(value):
            told[row.text(name)].add(species)
    alone = {about: species.pop() for about, species in told.items() if len(species) == 1}
    return _values_by_medium(path, name, alone, list(media))


def _values_by_medium(path: Path, name: str, told: dict[str, Value], media: list[tuple[str, str]]) -> dict[str, Value]:
    """What a table tells of each medium by its own name or its site's."""
    if name == "site_id":
        return {media_id: told[site_id] for media_id, site_id in media if site_id in told}
    return _values_by_name(path, told, [media_id for media_id, _ in media])


def _values_by_name(path: Path, told: dict[str, Value], media_ids: list[str]) -> dict[str, Value]:
    index = NameIndex(told)
    for entry, users in index.clashes(media_ids).items():
        raise InputError(f"{path}: {entry} could be any of {', '.join(users[:5])}; put the folder before the name")
    found: dict[str, Value] = {}
    for media_id in media_ids:
        names = index.find(media_id)
        if len(names) > 1:
            raise InputError(f"{path}: {media_id} could be any of {', '.join(names[:5])}; put folders before the names")
        if names:
            found[media_id] = told[names[0]]
    return found


def _shoulder_height(row: Row) -> ShoulderHeight | None:
    height_m = row.optional_number("shoulder_m")
    species = row.optional_text("species") or row.optional_text("scientificName")
    try:
        if height_m is not None:
            return ShoulderHeight(height_m)
        return shoulder_height_of(species) if species else None
    except InputError as error:
        raise InputError(f"{row.where}: {error}; leave the cell empty where it isn't known") from None


@cache
def _known_shoulder_heights() -> dict[str, ShoulderHeight]:
    known: dict[str, ShoulderHeight] = {}
    for row in read_rows(TABLE, required=("scientific", "english", "low_m", "high_m")):
        low, high = math.log(row.number("low_m")), math.log(row.number("high_m"))
        shoulder = ShoulderHeight(math.exp((low + high) / 2), (high - low) / RANGE_SDS)
        for name in (row.text("scientific"), *row.text("english").split("; ")):
            known[_normalised(name)] = shoulder
    return known


def _normalised(name: str) -> str:
    return " ".join(re.sub(r"[-_’']", " ", name.casefold()).split())
