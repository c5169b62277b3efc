"""Which rows the review lists, and in which order: the most doubtful first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trapmeter.records import Estimate, Status
from trapmeter.review.state import ReviewState, RowState, Verdict

_ORDER = (Status.MEASURED, Status.FAILED, Status.NO_ANIMAL, Status.PAST_END)
_NO_BOX_SCORE = 0.5


def doubt_score(row: Estimate) -> float:
    """How doubtful a measured distance is, 0 to 3: three things of 0 to 1 add up.

    - the interval's share: the width of the 90 % interval over the width and the distance together;
    - 1 if a reason stands in the row: unlike all that the model learnt from, damaged pictures, and the like;
    - how unsure the detector was, 1 - score; a row without a box counts as score 0.5.

    Rows without a distance have no doubt, 0.
    """
    distance, box = row.distance, row.observation.box
    if distance is None:
        return 0.0
    width = distance.high_m - distance.low_m
    share = width / (width + distance.distance_m) if width else 0.0
    return share + bool(row.reason) + 1.0 - (_NO_BOX_SCORE if box is None else box.score)


def order_by_doubt(rows: Sequence[Estimate]) -> list[int]:
    """The numbers of all rows: measured ones by their doubt, then seconds that failed, without an animal, past the end.

    Equal ones in the order of the table. The order never changes while rows are decided, so that nobody loses their place.
    """
    return sorted(range(len(rows)), key=lambda number: (_ORDER.index(rows[number].status), -doubt_score(rows[number])))


PAGE_ROWS = 100
"""Rows that come at once; more follow when the end of the list comes into sight."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """What is to be listed; what is None lets all through.

    site: a site's name. low_m, high_m: ends of the distance as it stands, in metres; with either, rows without a distance
    are left out. is_open: True for rows that nothing was decided about, False for the others.
    """

    site: str | None = None
    status: Status | None = None
    low_m: float | None = None
    high_m: float | None = None
    is_open: bool | None = None

    def matches(self, row: RowState) -> bool:
        """Whether a row is listed."""
        if self.site is not None and row.measured.observation.site_id != self.site:
            return False
        if self.status is not None and row.measured.status is not self.status:
            return False
        if self.is_open is not None and (row.verdict is Verdict.OPEN) is not self.is_open:
            return False
        if self.low_m is None and self.high_m is None:
            return True
        distance = row.current_distance
        return (
            distance is not None
            and (self.low_m is None or distance.distance_m >= self.low_m)
            and (self.high_m is None or distance.distance_m <= self.high_m)
        )


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How far the review is. n_decided of n_animals measured ones were decided about; n_added: animals added."""

    n_decided: int
    n_animals: int
    n_added: int


def filter_rows(state: ReviewState, order: Sequence[int], wanted: RowFilter) -> Iterator[RowState]:
    """The rows that a filter lets through, in the given order; added ones behind the row that they were added at."""
    for number in order:
        for row in (state.row(number), *map(state.row, state.added.get(number, ()))):
            if wanted.matches(row):
                yield row


def review_progress(state: ReviewState) -> ReviewProgress:
    """How many of the measured animals were decided about."""
    decided = [row for row in state.changed.values() if row.verdict is not Verdict.OPEN]
    n_added = sum(row.is_added for row in decided)
    n_animals = sum(row.distance is not None for row in state.results.rows)
    n_decided = sum(row.measured.distance is not None and not row.is_added for row in decided)
    return ReviewProgress(n_decided, n_animals, n_added)
