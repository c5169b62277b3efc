"""Which rows of a table count: those of the requested species, and those that pass the filters of a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from trapmeter.errors import InputError
from trapmeter.records import Estimate
from trapmeter.tables.csvfile import read_columns
from trapmeter.tables.species_names import UNKNOWN, canonical_name, is_animal, require_name

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


def is_requested(name: str, species: str | None) -> bool:
    """Whether an animal of this name counts: people and vehicles never do. species: the requested one, by any name."""
    canonical = canonical_name(name)
    return is_animal(canonical) and (species is None or is_any_species(species) or canonical == canonical_name(species))


def unknown_species_notes(rows: Iterable[Estimate], species: str | None) -> tuple[str, ...]:
    """A note on the animals that a request for one species leaves out because nobody knows theirs."""
    measured = [row.observation.species for row in rows if row.distance is not None]
    n_unknown = 0 if is_any_species(species) else measured.count(UNKNOWN)
    if not n_unknown:
        return ()
    return (
        f"{n_unknown:,} of {len(measured):,} measured animals have an unknown species and don't count: density is too low if "
        "some of them are of the requested one",
    )


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
    by_name = {canonical_name(name): name for name in sorted(detected, reverse=True)}
    names = sorted(name for canonical, name in by_name.items() if is_animal(canonical))
    listed = ", ".join(map(repr, names[:MAX_LISTED]))
    if species is None and len(names) > 1:
        raise InputError(
            f"{path}, column {column!r}: there are {len(names)} species, {listed}; choose one with --species, or "
            f"--species all; --by {column} estimates the density of each"
        )
    if species is not None and not is_any_species(species) and canonical_name(species) not in by_name:
        require_name(species)  # a misspelt or ambiguous name has an error of its own
    if not is_any_species(species) and not any(is_requested(name, species) for name in names):
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
