"""What a person decides about a row, and the log that keeps it.

The log is a journal (`trapmeter.journal`): a line per decision, on the disk before the page says so, never changed. Taking
one back is a decision as well.
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
"""No animal in a picture stands farther away: more is a slip of the keyboard."""

_MISMATCH_HINT = (
    f"its decisions were made about another distances.csv: put that back, or move {REVIEW_LOG} away to begin a new review "
    "(each line names its medium, second and animal)"
)

XYXY = tuple[float, float, float, float]


class DecisionKind(StrEnum):
    """What can be decided."""

    ACCEPT = "accept"
    DISTANCE = "distance"
    BOX = "box"
    DELETE = "delete"
    NOT_ANIMAL = "not_animal"
    ADD = "add"
    REACTS = "reacts"
    CALM = "calm"
    UNDO = "undo"


_REQUIRED_FIELDS = {
    DecisionKind.DISTANCE: {"distance_m"},
    DecisionKind.BOX: {"xyxy"},
    DecisionKind.ADD: {"distance_m", "xyxy"},
    DecisionKind.UNDO: {"target"},
}
"""What is given with each kind; nothing with the others."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A line of the log.

    number: 1, 2, ... in the order of the log. at: when, ISO 8601. row: the row it is about, counted from 0 in distances.csv,
    and on from its end for added animals; for one that is added, a row of its second. media_id, time_s and animal_id say
    the same to people. base: the number of the last decision about that row that the page knew, 0 without any.
    distance_m: metres, of DISTANCE and ADD; xyxy: the box, of BOX and ADD; target: the number that UNDO takes back.
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

    def __post_init__(self) -> None:
        given = {name for name in ("distance_m", "xyxy", "target") if getattr(self, name) is not None}
        if given != _REQUIRED_FIELDS.get(self.kind, set()):
            raise InputError(
                f"{self.kind} goes with {', '.join(sorted(_REQUIRED_FIELDS.get(self.kind, set()))) or 'nothing'}, "
                f"got {', '.join(sorted(given)) or 'nothing'}"
            )
        if self.distance_m is not None and not 0 < self.distance_m <= MAX_DISTANCE_M:
            raise InputError(f"a distance lies above 0 and up to {MAX_DISTANCE_M:g} m, got {self.distance_m:g}")
        if self.xyxy is not None:
            if len(self.xyxy) != 4 or not all(map(math.isfinite, self.xyxy)):
                raise InputError(f"a box is four numbers, got {self.xyxy}")
            Box(*self.xyxy, 1.0)

    @property
    def key(self) -> str:
        """Under which the log keeps it."""
        return str(self.number)

    def to_json(self) -> dict[str, Any]:
        """As plain values; what isn't given is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Decision:
        """The inverse of `to_json`; ValueError, KeyError, TypeError or InputError when it is something else."""
        xyxy = {"xyxy": tuple(data["xyxy"])} if "xyxy" in data else {}
        return Decision(**{**data, "kind": DecisionKind(data["kind"]), **xyxy})


@contextmanager
def open_log(source: Path) -> Iterator[Journal[Decision]]:
    """The log beside a distances.csv, open for further decisions, by one process alone.

    Raises:
        RunError: another process has it, it belongs to another distances.csv, or it can't be written.
    """
    path = source.with_name(REVIEW_LOG)
    with (
        lock_file(path, "folder (a second page of the same review opens in the same browser)"),
        Journal(path, _header(source), Decision.from_json, _MISMATCH_HINT) as journal,
    ):
        yield journal


def read_log(source: Path) -> tuple[Decision, ...]:
    """The decisions so far, also while a page is open.

    Raises:
        InputError: nobody has reviewed this folder.
        RunError: the log belongs to another distances.csv.
    """
    path = source.with_name(REVIEW_LOG)
    if not path.exists():
        raise InputError(
            f"{path} does not exist: nothing was decided yet; open `trapmeter review {source.parent}` first"
        )
    return tuple(read_journal(path, _header(source), Decision.from_json, _MISMATCH_HINT)[0].values())


def _header(source: Path) -> dict[str, Any]:
    return {"distances_sha256": sha256_of(source)}
