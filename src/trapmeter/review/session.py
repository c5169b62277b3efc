"""A review in hand: one writer of the log, however many pages are open."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from trapmeter.errors import RunError
from trapmeter.journal import Journal
from trapmeter.review.decisions import XYXY, Decision, DecisionKind
from trapmeter.review.results import Results
from trapmeter.review.state import ReviewState, check_decision, replay_decisions


class ReviewSession:
    """The state, and the log behind it."""

    def __init__(self, results: Results, log: Journal[Decision]) -> None:
        """Goes on from what the log holds."""
        self._results, self._log = results, log
        self._decisions = list(log.done.values())
        self._lock = threading.Lock()
        self._broken = ""
        self.state: ReviewState = replay_decisions(results, self._decisions)

    def decide(
        self,
        kind: DecisionKind,
        row: int,
        base: int = 0,
        *,
        distance_m: float | None = None,
        xyxy: XYXY | None = None,
        target: int | None = None,
    ) -> tuple[Decision, ReviewState]:
        """Adds a decision to the log; once this returns it is on the disk. Fields as of `Decision`.

        Raises:
            StaleError: another page has decided since; nothing was changed.
            InputError: the decision makes no sense; nothing was changed.
            RunError: the log can't be written, and takes no more decisions until the review is started again.
        """
        with self._lock:
            if self._broken:
                raise RunError(self._broken)
            if kind is DecisionKind.UNDO and self.state.active:
                row = self.state.active[-1].row
            if kind is DecisionKind.ADD:
                row = self.state.anchor(row)
            about = self.state.row(row).measured.observation
            decision = Decision(
                number=len(self._decisions) + 1,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                kind=kind,
                row=row,
                media_id=about.media_id,
                time_s=about.time_s,
                animal_id=about.animal_id,
                base=base,
                distance_m=distance_m,
                xyxy=xyxy,
                target=target,
            )
            check_decision(self.state, decision)
            # Before it is in the log for ever: what it makes of the rows can be told.
            decisions = [*self._decisions, decision]
            state = replay_decisions(self._results, decisions)
            try:
                self._log.add(decision)
            except RunError as error:
                # A part of the line may stand there; a further one behind it would be lost with it.
                self._broken = f"{error}; then start `trapmeter review` again: until then nothing more is kept"
                raise RunError(self._broken) from error
            self._decisions, self.state = decisions, state
            return decision, state
