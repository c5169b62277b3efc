"""Replays the log of decisions to the current state of each row; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from trapmeter.errors import InputError, TrapmeterError
from trapmeter.records import REVIEW_MODEL_ID, Box, Distance, Estimate, Observation, Status
from trapmeter.review.decisions import ABOUT_ANIMALS, STATIC_KINDS, Decision, DecisionKind
from trapmeter.review.results import Results
from trapmeter.tables.species_names import is_animal


class StaleDecisionError(TrapmeterError):
    """The page that sent a decision didn't know of a later one about the same row."""


class Verdict(StrEnum):
    """What a reviewer decided about a row."""

    OPEN = "open"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    ADDED = "added"
    DELETED = "deleted"
    NOT_ANIMAL = "not_animal"


REMOVED = (Verdict.DELETED, Verdict.NOT_ANIMAL)


@dataclass(frozen=True, slots=True)
class RowState:
    """The current state of a row.

    measured: the row as it was measured or added. distance_m, box, species: a person's corrections, None without one. reacts:
    the animal is marked as reacting to the camera. is_added: a person added it. is_checked: a person confirmed or entered the
    distance. is_blind: without knowing the model's. revision: the number of the last decision that touched the row, or 0.
    """

    number: int
    measured: Estimate
    verdict: Verdict = Verdict.OPEN
    distance_m: float | None = None
    box: Box | None = None
    species: str | None = None
    reacts: bool = False
    revision: int = 0
    is_added: bool = False
    is_checked: bool = False
    is_blind: bool = False

    @property
    def has_animal(self) -> bool:
        """Whether the row has a measured or added animal that was not removed."""
        is_measured = self.measured.distance is not None and self.verdict not in REMOVED
        return is_measured and is_animal(self.current_species)

    @property
    def current_species(self) -> str:
        """The corrected species, or else the measured one; "" if unknown."""
        return self.measured.observation.species if self.species is None else self.species

    @property
    def is_apart(self) -> bool:
        """Whether the row shows a person or vehicle, by its species."""
        return not is_animal(self.current_species) and self.verdict is not Verdict.DELETED

    @property
    def current_box(self) -> Box | None:
        """The corrected box, or else the measured one."""
        return self.box or self.measured.observation.box

    @property
    def current_distance(self) -> Distance | None:
        """The corrected distance, whose interval has no width, or else the measured one."""
        if self.distance_m is None:
            return self.measured.distance
        return Distance(self.distance_m, self.distance_m, self.distance_m)


@dataclass(frozen=True, slots=True)
class ReviewState:
    """The state of all rows after some decisions.

    changed: the rows that were changed or added. revisions: of all rows that a decision touched, even if it was undone since.
    active: the decisions in effect, in their order. added: the numbers of added rows, by the row at which they were added.
    """

    results: Results
    changed: Mapping[int, RowState]
    revisions: Mapping[int, int]
    active: tuple[Decision, ...]
    added: Mapping[int, tuple[int, ...]]

    def has(self, number: int) -> bool:
        """Whether a row has that number: a measured one, or an added one that was not undone."""
        return number in self.changed or 0 <= number < len(self.results.rows)

    def row(self, number: int) -> RowState:
        """The current state of a row.

        Raises:
            StaleDecisionError: no row has that number, or its addition was undone.
        """
        if number in self.changed:
            return self.changed[number]
        if not self.has(number):
            raise StaleDecisionError("this row is gone: its addition was undone")
        return RowState(number, self.results.rows[number], revision=self.revisions.get(number, 0))

    def anchor(self, number: int) -> int:
        """The row of distances.csv at which an added row was added; a measured row is its own anchor."""
        return next((anchor for anchor, numbers in self.added.items() if number in numbers), number)

    def touched_by(self, decision: Decision) -> list[int]:
        """The numbers of the rows that the last decision touched, including a row that it removed."""
        return [number for number, revision in self.revisions.items() if revision == decision.number]

    def of_medium(self, media_id: str) -> list[RowState]:
        """All rows of a medium; an added row follows the row at which it was added."""
        numbers = self.results.rows_of.get(media_id, [])
        return [self.row(n) for number in numbers for n in (number, *self.added.get(number, ()))]


def replay_decisions(results: Results, decisions: Sequence[Decision]) -> ReviewState:
    """The state of the rows after all decisions of a log, in their order.

    Raises:
        InputError: a decision is impossible, which trapmeter's own logs never contain.
    """
    active: list[Decision] = []
    new_rows: dict[int, RowState] = {}
    touched: list[tuple[int, Decision]] = []
    for decision in decisions:
        if decision.kind is DecisionKind.ADD:
            new_rows[decision.number] = _added_row(results, decision, new_rows.values())
        if decision.kind is DecisionKind.UNDO:
            if not active or active[-1].number != decision.target:
                raise InputError(f"decision {decision.number} undoes {decision.target}, which isn't the last one")
            touched.append((decision.number, active.pop()))
        else:
            active.append(decision)
            touched.append((decision.number, decision))
    tracks = _Tracks(results, new_rows)
    revisions = {row: number for number, decision in touched for row in tracks.touched_by(decision)}
    changed: dict[int, RowState] = {}
    added: dict[int, tuple[int, ...]] = {}
    for decision in active:
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
        results, MappingProxyType(changed), MappingProxyType(revisions), tuple(active), MappingProxyType(added)
    )


def check_decision(state: ReviewState, decision: Decision) -> None:
    """Checks that a decision is possible in the current state.

    Raises:
        StaleDecisionError: the page that sent it didn't know of a later decision.
        InputError: it is impossible for this row.
    """
    if decision.kind is DecisionKind.UNDO:
        last = state.active[-1].number if state.active else None
        if decision.target != last:
            raise StaleDecisionError("another tab has made a decision since: nothing was undone")
        return
    row = state.row(decision.row)
    if decision.kind is DecisionKind.ADD:
        if row.measured.status in (Status.FAILED, Status.PAST_END):
            raise InputError("this second has no picture, so no animal can be added")
        return
    if decision.kind in STATIC_KINDS:
        if not any(state.row(number).verdict is Verdict.OPEN for number in state.results.static_rows):
            raise InputError("no box is marked static, or all of them are decided")
        return
    if decision.base != row.revision:
        raise StaleDecisionError(
            "another tab has made a decision about this row since: nothing was changed, check it again"
        )
    if decision.kind is not DecisionKind.ACCEPT and row.measured.distance is None:
        raise InputError("no animal was measured in this second; press n to add one")


class _Tracks:
    """Which rows a decision touches: all rows of the animal if it is about the animal, otherwise one row."""

    def __init__(self, results: Results, new_rows: Mapping[int, RowState]) -> None:
        self._results, self._new_rows = results, new_rows

    def touched_by(self, decision: Decision) -> Sequence[int]:
        """The numbers of the rows that a decision touches."""
        if decision.kind is DecisionKind.ADD:
            return (self._new_rows[decision.number].number,)
        if decision.kind in STATIC_KINDS:
            return self._results.static_rows
        if decision.kind in ABOUT_ANIMALS and decision.row < len(self._results.rows):
            observation = self._results.rows[decision.row].observation
            if decision.kind is DecisionKind.SPECIES and not observation.animal_id:
                # Animals without a number may be of different species.
                return (decision.row,)
            return self._results.tracks[observation.animal_key]
        return (decision.row,)


def _added_row(results: Results, decision: Decision, others: Iterable[RowState]) -> RowState:
    """The row of an added animal. Its numbers are never used again, even if the addition is undone."""
    assert decision.xyxy is not None and decision.distance_m is not None, "checked when the decision was made"
    others = list(others)
    second = results.rows[decision.row].observation
    added = [row.measured.observation for row in others if row.measured.observation.event_key == second.event_key]
    highest = max(results.highest_ids[second.event_key], *(row.animal_id for row in added), 0)
    observation = Observation(
        second.media_id,
        second.time_s,
        Box(*decision.xyxy, 1.0),
        highest + 1,
        site_id=second.site_id,
        taken_at=second.taken_at,
        event_id=second.event_id,
    )
    distance = Distance(decision.distance_m, decision.distance_m, decision.distance_m)
    return RowState(
        len(results.rows) + len(others),
        Estimate(observation, Status.MEASURED, distance, model_id=REVIEW_MODEL_ID),
        Verdict.ADDED,
        is_added=True,
        is_checked=True,
    )


def _with_species(row: RowState, species: str) -> RowState:
    """The row of another species. The distance stays unchecked; a person or vehicle is no animal."""
    row = replace(row, species=species)
    if not is_animal(species):
        return replace(row, verdict=Verdict.NOT_ANIMAL)
    if row.verdict is not Verdict.NOT_ANIMAL:
        return row
    is_changed = row.distance_m is not None or row.box is not None
    return replace(row, verdict=Verdict.ADDED if row.is_added else Verdict.CORRECTED if is_changed else Verdict.OPEN)


def _apply(row: RowState, decision: Decision) -> RowState:
    """The row after a decision."""
    changed = Verdict.ADDED if row.is_added else Verdict.CORRECTED
    match decision.kind:
        case DecisionKind.ACCEPT:
            is_unchanged = not row.is_added and row.distance_m is None and row.box is None
            return replace(row, verdict=Verdict.ACCEPTED if is_unchanged else changed, is_checked=True)
        case DecisionKind.DISTANCE:
            row = replace(row, is_blind=decision.blind, is_checked=True)
            return replace(row, verdict=changed, distance_m=decision.distance_m)
        case DecisionKind.BOX:
            assert decision.xyxy is not None, "checked when the decision was made"
            score = 1.0 if row.current_box is None else row.current_box.score
            # Unless a person entered it, the distance belongs to the old box.
            is_checked = row.is_added or row.distance_m is not None
            return replace(row, verdict=changed, box=Box(*decision.xyxy, score), is_checked=is_checked)
        case DecisionKind.SPECIES:
            return _with_species(row, decision.species or "")
        case DecisionKind.DELETE:
            return replace(row, verdict=Verdict.DELETED)
        case DecisionKind.NOT_ANIMAL:
            return replace(row, verdict=Verdict.NOT_ANIMAL)
        case DecisionKind.STATIC_ACCEPT if row.verdict is Verdict.OPEN:
            return replace(row, verdict=Verdict.ACCEPTED, is_checked=True)
        case DecisionKind.STATIC_NOT_ANIMAL if row.verdict is Verdict.OPEN:
            return replace(row, verdict=Verdict.NOT_ANIMAL)
        case DecisionKind.STATIC_ACCEPT | DecisionKind.STATIC_NOT_ANIMAL:
            return row
        case DecisionKind.REACTS | DecisionKind.CALM:
            return replace(row, reacts=decision.kind is DecisionKind.REACTS)
        case _:
            raise AssertionError(f"{decision.kind} changes no row")
