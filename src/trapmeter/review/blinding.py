"""Which rows hide the model's answer, so that a person judges the distance without knowing it.

The answer is the distance with its interval, its draws and the reason for doubt. It is left out of what the server sends, not
merely hidden by the page, until a person has typed a distance. A decision counts as blind only if this server has not sent
the answer before.
"""

from __future__ import annotations

from collections.abc import Iterable

from trapmeter.review.decisions import Decision, DecisionKind
from trapmeter.review.state import RowState

_JUDGEMENTS = frozenset({DecisionKind.ACCEPT, DecisionKind.DISTANCE})


class Blinding:
    """Whether answers are hidden, and which rows a person has judged or whose answer was sent."""

    def __init__(self, *, is_on: bool, decisions: Iterable[Decision] = ()) -> None:
        self.is_on = is_on
        self._judged: set[int] = set()
        self._sent: set[int] = set()
        for decision in decisions:
            self.note(decision)

    def hides(self, row: RowState) -> bool:
        """Whether the answer of a row is hidden at present. What a person has seen after judging it stays visible."""
        has_answer = row.measured.distance is not None and not row.is_added
        return self.is_on and has_answer and row.number not in self._judged

    def is_unknown(self, row: RowState) -> bool:
        """Whether the answer of a row is hidden, and was never sent."""
        return self.hides(row) and row.number not in self._sent

    def note(self, decision: Decision) -> None:
        """Takes a decision into account; undoing it later does not make its row unknown again."""
        if decision.kind in _JUDGEMENTS:
            self._judged.add(decision.row)

    def reveal(self, row: RowState) -> bool:
        """Whether the answer of a row may be sent now. If so, it counts as known from now on."""
        if self.hides(row):
            return False
        self._sent.add(row.number)
        return True
