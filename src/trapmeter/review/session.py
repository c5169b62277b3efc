"""A running review: the only writer of its log, for any number of open pages."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from trapmeter.errors import InputError, RunError
from trapmeter.journal import Journal
from trapmeter.review.blinding import Blinding
from trapmeter.review.decisions import XYXY, Decision, DecisionKind
from trapmeter.review.plausible import check_distance
from trapmeter.review.results import Results
from trapmeter.review.state import ReviewState, check_decision, replay_decisions
from trapmeter.tables.species_names import require_name


class ReviewSession:
    """The state of a review, and the log behind it."""

    def __init__(self, results: Results, log: Journal[Decision], *, is_blind: bool = False) -> None:
        """Resumes from the decisions in the log. is_blind: hides the model's answers until a person has judged."""
        self._results, self._log = results, log
        self._decisions = list(log.done.values())
        self._lock = threading.Lock()
        self._failure = ""
        self.state: ReviewState = replay_decisions(results, self._decisions)
        self.blinding = Blinding(is_on=is_blind, decisions=self._decisions)

    def decide(
        self,
        kind: DecisionKind,
        row: int,
        base: int = 0,
        *,
        distance_m: float | None = None,
        xyxy: XYXY | None = None,
        target: int | None = None,
        species: str | None = None,
        confirmed: bool = False,
    ) -> tuple[Decision, ReviewState]:
        """Adds a decision to the log, and returns once it is on disk. For the fields see `Decision`.

        confirmed: the reviewer has confirmed a doubtful distance_m.

        Raises:
            DoubtfulDistanceError: distance_m is implausible, and not confirmed or too far; nothing changed.
            StaleDecisionError: the page didn't know of a later decision; nothing changed.
            InputError: the decision is impossible; nothing changed.
            RunError: the log can't be written; it accepts no more decisions until the review is restarted.
        """
        with self._lock:
            if self._failure:
                raise RunError(self._failure)
            if kind is DecisionKind.UNDO and self.state.active:
                row = self.state.active[-1].row
            if kind is DecisionKind.ADD:
                row = self.state.anchor(row)
            before = self.state.row(row)
            observation = before.measured.observation
            decision = Decision(
                number=len(self._decisions) + 1,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                kind=kind,
                row=row,
                media_id=observation.media_id,
                time_s=observation.time_s,
                animal_id=observation.animal_id,
                base=base,
                distance_m=distance_m,
                xyxy=xyxy,
                target=target,
                species=None if species is None else require_name(species),
                blind=kind is DecisionKind.DISTANCE and self.blinding.is_unknown(before),
            )
            check_decision(self.state, decision)
            self._check_accepts_nothing_hidden(decision)
            if distance_m is not None:
                # A question about the measured interval would tell it.
                is_without = kind is DecisionKind.ADD or self.blinding.hides(before)
                measured = None if is_without else before.measured.distance
                check_distance(distance_m, measured, is_confirmed=confirmed)
            # Replay first: what is in the log stays there, so it must be possible.
            decisions = [*self._decisions, decision]
            state = replay_decisions(self._results, decisions)
            try:
                self._log.add(decision)
            except RunError as error:
                # The log may end in an incomplete line, and a line after it would be lost with it.
                self._failure = f"{error}; then restart `trapmeter review`: until then, no decisions are saved"
                raise RunError(self._failure) from error
            self._decisions, self.state = decisions, state
            self.blinding.note(decision)
            return decision, state

    def _check_accepts_nothing_hidden(self, decision: Decision) -> None:
        rows = {
            DecisionKind.ACCEPT: (decision.row,),
            DecisionKind.STATIC_ACCEPT: self._results.static_rows,
        }.get(decision.kind, ())
        if any(self.blinding.hides(self.state.row(number)) for number in rows):
            raise InputError("the measured distance is hidden, so it can't be accepted: type the distance that you see")
