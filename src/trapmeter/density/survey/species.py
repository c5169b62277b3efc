"""Which rows of a table count: those of the requested species, and those that pass the filters of a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from trapmeter.errors import InputError
from trapmeter.tables.csvfile import read_columns

ALL_SPECIES = "all"
SPECIES_COLUMN = "species"
MAX_LISTED = 10
"""Names listed in a message."""

Row = TypeVar("Row")
Filter = tuple[str, Callable[[Sequence[Row]], list[Row]]]
"""The reason for which rows are left out, and a function that returns those that stay."""


def is_any_species(species: str | None) -> bool:
    """Whether a request, None or a species or "all", is for the rows of every species."""
    return species in (None, ALL_SPECIES)


def find_species_column(path: Path, requested: str | None, species: str | None) -> str | None:
    """The species column of a table; None if the table has none and none is needed.

    Args:
        path: the table.
        requested: name of the column; None takes `species`, if it exists.
        species: the requested species; "all" for every row, None if the user didn't choose.

    Raises:
        InputError: the table lacks the requested column.
    """
    columns = read_columns(path)
    if requested is None:
        return SPECIES_COLUMN if SPECIES_COLUMN in columns or not is_any_species(species) else None
    if requested not in columns:
        raise InputError(
            f"{path} has no column {requested!r} for the species; it has {', '.join(map(repr, columns))}. Correct "
            "--species-column, or leave it out"
        )
    return requested


def check_species(path: Path, column: str, detected: Iterable[str], species: str | None) -> None:
    """Makes sure that the requested species is unambiguous.

    Args:
        path: the table.
        column: its species column.
        detected: species of the detections.
        species: the requested species; "all" for every row, None if the user didn't choose.

    Raises:
        InputError: several species were detected and the user didn't choose, or the requested one was not detected.
    """
    names = sorted(set(detected))
    listed = ", ".join(map(repr, names[:MAX_LISTED]))
    if species is None and len(names) > 1:
        raise InputError(
            f"{path}, column {column!r}: there are {len(names)} species, {listed}; choose one with --species, or "
            f"--species all; --by {column} estimates the density of each"
        )
    if not is_any_species(species) and species not in names:
        raise InputError(
            f"{path}, column {column!r}: no detection of {species!r}; there are {listed or 'none'}: choose one of them with "
            "--species"
        )


def apply_filters(rows: Sequence[Row], filters: Iterable[Filter[Row]]) -> tuple[list[Row], tuple[str, ...]]:
    """The rows that pass all filters in turn, and a note for each filter that left some out."""
    kept, notes = list(rows), []
    for reason, select in filters:
        before, kept = len(kept), select(kept)
        if len(kept) < before:
            notes.append(f"{before - len(kept):,} of {before:,} measured animals left out: {reason}")
    return kept, tuple(notes)


def nothing_counts(path: Path, n_measured: int) -> InputError:
    """The error for a survey from which the species and the filters leave no animal."""
    return InputError(
        f"{path}: no measured animal counts ({n_measured:,} were measured); check species, deployments, snapshot interval, "
        "and what is left out"
    )
