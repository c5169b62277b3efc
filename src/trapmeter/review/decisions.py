"""What a reviewer decides about a row, and the log that keeps it.

The log is a journal (`trapmeter.journal`) with a line per decision. A line is on disk before the page confirms it, and never
changes: undoing a decision is another decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from trapmeter.errors import InputError
from trapmeter.files import lock_file, sha256_of
from trapmeter.journal import Journal, read_journal
from trapmeter.records import Box
from trapmeter.tables.distances import REVIEW_LOG

MAX_DISTANCE_M = 1000.0
"""No visible animal is farther away: a larger number is a typing mistake."""

_MISMATCH_HINT = (
    f"its decisions are about another distances.csv: restore that one, or move {REVIEW_LOG} elsewhere to start a new review "
    "(each line names its video or photo, second and animal)"
)

XYXY = tuple[float, float, float, float]


class DecisionKind(StrEnum):
    """The kinds of decisions. Those that begin with static are about all boxes that are marked static and still open."""

    ACCEPT = "accept"
    DISTANCE = "distance"
    SPECIES = "species"
    BOX = "box"
    DELETE = "delete"
    NOT_ANIMAL = "not_animal"
    ADD = "add"
    REACTS = "reacts"
    CALM = "calm"
    STATIC_ACCEPT = "static_accept"
    STATIC_NOT_ANIMAL = "static_not_animal"
    UNDO = "undo"


ABOUT_ANIMALS = frozenset({DecisionKind.REACTS, DecisionKind.CALM, DecisionKind.SPECIES})
"""Kinds that are about an animal in all its rows."""
STATIC_KINDS = frozenset({DecisionKind.STATIC_ACCEPT, DecisionKind.STATIC_NOT_ANIMAL})

_REQUIRED_FIELDS = {
    DecisionKind.DISTANCE: {"distance_m"},
    DecisionKind.SPECIES: {"species"},
    DecisionKind.BOX: {"xyxy"},
    DecisionKind.ADD: {"distance_m", "xyxy"},
    DecisionKind.UNDO: {"target"},
}
"""The fields that a kind needs; other kinds need none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A line of the log.

    number: 1, 2, ... in the order of the log. at: the time, ISO 8601. row: the row of distances.csv, counted from 0; added
    animals get the numbers after its end, and ADD itself names a row of the same second. media_id, time_s and animal_id
    describe the row to people. base: the number of the last decision about the row that the page knew, 0 without one.
    distance_m: metres, for DISTANCE and ADD. xyxy: the box, for BOX and ADD. target: the number of the decision that UNDO
    takes back. species: the canonical name, "" if unknown, for SPECIES. blind: the person typed the distance without knowing
    the model's.
    """

    number: int
    at: str
    kind: DecisionKind
    row: int
    media_id: str
    time_s: float
    animal_id: int
    base: int = 0
    distance_m: float | None = None
    xyxy: XYXY | None = None
    target: int | None = None
    species: str | None = None
    blind: bool = False

    def __post_init__(self) -> None:
        fields = {name for name in ("distance_m", "xyxy", "target", "species") if getattr(self, name) is not None}
        required = _REQUIRED_FIELDS.get(self.kind, set())
        if fields != required:
            raise InputError(
                f"{self.kind} needs {', '.join(sorted(required)) or 'no fields'}; got {', '.join(sorted(fields)) or 'none'}"
            )
        if self.blind and self.kind is not DecisionKind.DISTANCE:
            raise InputError(f"only a distance can be judged blind; got {self.kind}")
        if self.distance_m is not None and not 0 < self.distance_m <= MAX_DISTANCE_M:
            raise InputError(f"a distance must be above 0 m and at most {MAX_DISTANCE_M:g} m; got {self.distance_m:g}")
        if self.xyxy is not None:
            if len(self.xyxy) != 4 or not all(map(math.isfinite, self.xyxy)):
                raise InputError(f"a box needs four numbers; got {self.xyxy}")
            Box(*self.xyxy, 1.0)

    @property
    def key(self) -> str:
        """Its key in the log."""
        return str(self.number)

    def to_json(self) -> dict[str, Any]:
        """As plain values, without the fields that are None; blind is there only if it is true."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return values if self.blind else {name: value for name, value in values.items() if name != "blind"}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Decision:
        """The inverse of `to_json`; raises ValueError, KeyError, TypeError or InputError for other data."""
        xyxy = {"xyxy": tuple(data["xyxy"])} if "xyxy" in data else {}
        return Decision(**{**data, "kind": DecisionKind(data["kind"]), **xyxy})


@contextmanager
def open_log(source: Path) -> Iterator[Journal[Decision]]:
    """Opens the log beside a distances.csv for further decisions, locked against other processes.

    Raises:
        RunError: another process has it open, it belongs to another distances.csv, or it can't be written.
    """
    path = source.with_name(REVIEW_LOG)
    with (
        lock_file(path, "folder (open a second page of this review in the same browser instead)"),
        Journal(path, _header(source), Decision.from_json, _MISMATCH_HINT) as journal,
    ):
        yield journal


def read_log(source: Path) -> tuple[Decision, ...]:
    """The decisions so far; works while a page is open, too.

    Raises:
        InputError: this folder has not been reviewed.
        RunError: the log belongs to another distances.csv.
    """
    path = source.with_name(REVIEW_LOG)
    if not path.exists():
        raise InputError(
            f"{path} does not exist: nothing has been decided yet; run `trapmeter review {source.parent}` first"
        )
    return tuple(read_journal(path, _header(source), Decision.from_json, _MISMATCH_HINT)[0].values())


def _header(source: Path) -> dict[str, Any]:
    return {"distances_sha256": sha256_of(source)}
