"""The species whose distances count, in a table that holds several."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_columns

ALL_SPECIES = "all"
SPECIES_COLUMN = "species"


def find_species_column(path: Path, given: str | None, species: str | None) -> str | None:
    """The column of a table where the species stands; None where the table has none and none is needed.

    Args:
        path: the table.
        given: the column that was asked for; None takes `species`, if it is there.
        species: who counts; ALL for every row, None where nobody said.

    Raises:
        InputError: the table lacks the column that was asked for.
    """
    columns = read_columns(path)
    if given is None:
        return SPECIES_COLUMN if SPECIES_COLUMN in columns or species not in (None, ALL_SPECIES) else None
    if given not in columns:
        raise InputError(
            f"{path} has no column {given!r} for the species; there are {', '.join(map(repr, columns))}. Correct "
            "--species-column, or leave it out"
        )
    return given


def check_species(path: Path, column: str, seen: Iterable[str], species: str | None) -> None:
    """Makes sure that it is clear whose distances count.

    Args:
        path: the table.
        column: where the species stands.
        seen: species that were detected.
        species: who counts; ALL for every row, None where nobody said.

    Raises:
        InputError: several were seen and nobody said, or the one that was asked for was not seen.
    """
    names = sorted(set(seen))
    listed = ", ".join(map(repr, names[:10]))
    if species is None and len(names) > 1:
        raise InputError(
            f"{path}, column {column!r}: there are {len(names)} species, {listed}; choose one with --species, or "
            "--species all"
        )
    if species not in (None, ALL_SPECIES) and species not in names:
        raise InputError(
            f"{path}, column {column!r}: no detection of {species!r}; there are {listed or 'none'}: choose one of them with "
            "--species"
        )
