"""What the decisions make of the rows: a pure rule from rows and log to how each row stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from trapmeter.errors import InputError, TrapmeterError
from trapmeter.records import REVIEW_MODEL_ID, Box, Distance, Estimate, Observation, Status
from trapmeter.review.decisions import Decision, DecisionKind
from trapmeter.review.results import Results


class StaleDecisionError(TrapmeterError):
    """The page didn't know of a later decision about the same row."""


class Verdict(StrEnum):
    """What was decided about a row."""

    OPEN = "open"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    ADDED = "added"
    DELETED = "deleted"
    NOT_ANIMAL = "not_animal"


REMOVED = (Verdict.DELETED, Verdict.NOT_ANIMAL)


@dataclass(frozen=True, slots=True)
class RowState:
    """How a row stands.

    measured: the row as it was measured, or added. distance_m and box: what a person put in the place of its own, None where
    nothing was. reacts: the animal was marked as reacting to the camera. is_added: a person added it. is_checked: a
    person said that the distance is right, or what it is. revision: the number of the last decision that
    touched the row, 0 without any.
    """

    number: int
    measured: Estimate
    verdict: Verdict = Verdict.OPEN
    distance_m: float | None = None
    box: Box | None = None
    reacts: bool = False
    revision: int = 0
    is_added: bool = False
    is_checked: bool = False

    @property
    def has_animal(self) -> bool:
        """Whether an animal was measured, or added, and nobody took it away."""
        return self.measured.distance is not None and self.verdict not in REMOVED

    @property
    def current_box(self) -> Box | None:
        """The box as it stands."""
        return self.box or self.measured.observation.box

    @property
    def current_distance(self) -> Distance | None:
        """The distance as it stands; one that a person gave has no width."""
        if self.distance_m is None:
            return self.measured.distance
        return Distance(self.distance_m, self.distance_m, self.distance_m)


@dataclass(frozen=True, slots=True)
class ReviewState:
    """How all rows stand after some decisions.

    changed: the rows that decisions changed or added; revisions: of all rows that some decision touched, also one that was
    taken back; live: the decisions that hold, in their order; added: the numbers of added rows by the row that their
    addition named.
    """

    results: Results
    changed: Mapping[int, RowState]
    revisions: Mapping[int, int]
    active: tuple[Decision, ...]
    added: Mapping[int, tuple[int, ...]]

    def has(self, number: int) -> bool:
        """Whether there is a row of that number: measured, or added and not taken back."""
        return number in self.changed or 0 <= number < len(self.results.rows)

    def row(self, number: int) -> RowState:
        """How a row stands.

        Raises:
            StaleError: there is none of that number, or its addition was taken back.
        """
        if number in self.changed:
            return self.changed[number]
        if not self.has(number):
            raise StaleDecisionError("this row is gone: its addition was taken back")
        return RowState(number, self.results.rows[number], revision=self.revisions.get(number, 0))

    def anchor(self, number: int) -> int:
        """The row of distances.csv that an added row was added at; a row that was measured is its own."""
        return next((anchor for anchor, numbers in self.added.items() if number in numbers), number)

    def touched_by(self, decision: Decision) -> list[int]:
        """The numbers of the rows that the last decision was about, also of one that it took away."""
        return [number for number, revision in self.revisions.items() if revision == decision.number]

    def of_medium(self, media_id: str) -> list[RowState]:
        """All rows of a medium, added ones behind the row that they were added at."""
        numbers = self.results.rows_of.get(media_id, [])
        return [self.row(n) for number in numbers for n in (number, *self.added.get(number, ()))]


def replay_decisions(results: Results, decisions: Sequence[Decision]) -> ReviewState:
    """How the rows stand after all decisions of a log, in its order.

    Raises:
        InputError: a decision is impossible, which no log of ours holds.
    """
    live: list[Decision] = []
    new_rows: dict[int, RowState] = {}
    touched: list[tuple[int, Decision]] = []
    for decision in decisions:
        if decision.kind is DecisionKind.ADD:
            new_rows[decision.number] = _added_row(results, decision, new_rows.values())
        if decision.kind is DecisionKind.UNDO:
            if not live or live[-1].number != decision.target:
                raise InputError(f"decision {decision.number} takes back {decision.target}, which isn't the last one")
            touched.append((decision.number, live.pop()))
        else:
            live.append(decision)
            touched.append((decision.number, decision))
    tracks = _Tracks(results, new_rows)
    revisions = {row: number for number, decision in touched for row in tracks.touched_by(decision)}
    changed: dict[int, RowState] = {}
    added: dict[int, tuple[int, ...]] = {}
    for decision in live:
        if decision.kind is DecisionKind.ADD:
            new = new_rows[decision.number]
            changed[new.number] = new
            added[decision.row] = (*added.get(decision.row, ()), new.number)
            continue
        for number in tracks.touched_by(decision):
            before = changed[number] if number in changed else RowState(number, results.rows[number])
            changed[number] = _apply(before, decision)
    changed = {number: replace(row, revision=revisions[number]) for number, row in changed.items()}
    return ReviewState(
        results, MappingProxyType(changed), MappingProxyType(revisions), tuple(live), MappingProxyType(added)
    )


def check_decision(state: ReviewState, decision: Decision) -> None:
    """Makes sure that a decision can be made about the rows as they stand.

    Raises:
        StaleError: the page that sent it didn't know of a later decision.
        InputError: it makes no sense for this row.
    """
    if decision.kind is DecisionKind.UNDO:
        last = state.active[-1].number if state.active else None
        if decision.target != last:
            raise StaleDecisionError("decided in another tab since: nothing was taken back")
        return
    row = state.row(decision.row)
    if decision.kind is DecisionKind.ADD:
        if row.measured.status in (Status.FAILED, Status.PAST_END):
            raise InputError("there is no picture at this second, so no animal can be added to it")
        return
    if decision.base != row.revision:
        raise StaleDecisionError("decided in another tab since: look again, nothing was changed")
    if decision.kind is not DecisionKind.ACCEPT and row.measured.distance is None:
        raise InputError("no animal was measured at this second; add one in its place (n)")


class _Tracks:
    """Which rows a decision touches: all of an animal where it is about the animal, else one."""

    def __init__(self, results: Results, new_rows: Mapping[int, RowState]) -> None:
        self._results, self._new_rows = results, new_rows

    def touched_by(self, decision: Decision) -> Sequence[int]:
        """The numbers of the rows."""
        if decision.kind is DecisionKind.ADD:
            return (self._new_rows[decision.number].number,)
        if decision.kind in (DecisionKind.REACTS, DecisionKind.CALM) and decision.row < len(self._results.rows):
            seen = self._results.rows[decision.row].observation
            return self._results.tracks[seen.media_id, seen.animal_id]
        return (decision.row,)


def _added_row(results: Results, decision: Decision, others: Iterable[RowState]) -> RowState:
    """The row of an added animal. Its numbers are never used again, not even when it is taken back."""
    assert decision.xyxy is not None and decision.distance_m is not None, "checked when the decision was made"
    others = list(others)
    seen = results.rows[decision.row].observation
    of_medium = [results.rows[number].observation.animal_id for number in results.rows_of[seen.media_id]]
    of_medium += [
        row.measured.observation.animal_id for row in others if row.measured.observation.media_id == seen.media_id
    ]
    observation = Observation(
        seen.media_id, seen.time_s, Box(*decision.xyxy, 1.0), max(of_medium) + 1, site_id=seen.site_id
    )
    distance = Distance(decision.distance_m, decision.distance_m, decision.distance_m)
    return RowState(
        len(results.rows) + len(others),
        Estimate(observation, Status.MEASURED, distance, model_id=REVIEW_MODEL_ID),
        Verdict.ADDED,
        is_added=True,
        is_checked=True,
    )


def _apply(row: RowState, decision: Decision) -> RowState:
    """The row after a decision about it."""
    changed = Verdict.ADDED if row.is_added else Verdict.CORRECTED
    match decision.kind:
        case DecisionKind.ACCEPT:
            as_it_was = not row.is_added and row.distance_m is None and row.box is None
            return replace(row, verdict=Verdict.ACCEPTED if as_it_was else changed, is_checked=True)
        case DecisionKind.DISTANCE:
            return replace(row, verdict=changed, distance_m=decision.distance_m, is_checked=True)
        case DecisionKind.BOX:
            assert decision.xyxy is not None, "checked when the decision was made"
            score = 1.0 if row.current_box is None else row.current_box.score
            # The distance was measured for another box, unless a person gave it.
            is_checked = row.is_added or row.distance_m is not None
            return replace(row, verdict=changed, box=Box(*decision.xyxy, score), is_checked=is_checked)
        case DecisionKind.DELETE:
            return replace(row, verdict=Verdict.DELETED)
        case DecisionKind.NOT_ANIMAL:
            return replace(row, verdict=Verdict.NOT_ANIMAL)
        case DecisionKind.REACTS | DecisionKind.CALM:
            return replace(row, reacts=decision.kind is DecisionKind.REACTS)
        case _:
            raise AssertionError(f"{decision.kind} changes no row")
