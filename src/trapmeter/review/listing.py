"""Which rows the review lists, and in which order: the most doubtful first, or by site and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from trapmeter.records import Estimate, Status
from trapmeter.report.examples import doubt_key
from trapmeter.review.state import ReviewState, RowState, Verdict
from trapmeter.tables.times import in_zone

_ORDER = (Status.MEASURED, Status.UNKNOWN, Status.FAILED, Status.NO_ANIMAL, Status.PAST_END)


class RowOrder(StrEnum):
    """The orders of the list."""

    DOUBT = "doubt"
    TIME = "time"


PAGE_ROWS = 100
"""Rows in one response; the browser requests more when the user scrolls to the end of the list."""


def order_by_doubt(rows: Sequence[Estimate]) -> list[int]:
    """The numbers of all rows: measured ones, the most doubtful first, then unknown, failed, empty and past-the-end seconds.

    Equal rows stay in the order of the table. The order never changes during a review, which lets reviewers keep their place.
    """
    no_doubt = (False, 0.0)

    def key(number: int) -> tuple[int, bool, float]:
        row = rows[number]
        has_reason, width = no_doubt if row.distance is None else doubt_key([row])
        return _ORDER.index(row.status), not has_reason, -width

    return sorted(range(len(rows)), key=key)


def order_by_time(rows: Sequence[Estimate], times: Mapping[str, datetime]) -> list[int]:
    """The numbers of all rows by site, and at each site by the time of the medium, its name, the second and the animal.

    times: of the media, by media_id. Media without a known time follow those with one.
    """

    def key(number: int) -> tuple[str, bool, bool, datetime, str, float, int]:
        observation = rows[number].observation
        time = times.get(observation.media_id)
        # A time without a zone is what the camera's clock showed: it can't be compared with instants.
        has_zone = time is not None and time.tzinfo is not None
        comparable = in_zone(time or datetime.min, UTC)
        name = observation.media_id, observation.time_s, observation.animal_id
        return observation.site_id, time is None, has_zone, comparable, *name

    return sorted(range(len(rows)), key=key)


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows to list, and in which order; None lists all.

    site: a site_id, "" for rows without one. low_m, high_m: the range of the current distance in metres, ends included; rows
    without a distance never match a range. is_open: True for rows without a decision, False for the others.
    """

    site: str | None = None
    status: Status | None = None
    low_m: float | None = None
    high_m: float | None = None
    is_open: bool | None = None
    order: RowOrder = RowOrder.DOUBT

    def matches(self, row: RowState, *, hides_distance: bool = False) -> bool:
        """Whether to list a row. hides_distance: its measured distance is hidden, so that it matches no range."""
        if self.site is not None and row.measured.observation.site_id != self.site:
            return False
        if self.status is not None and row.measured.status is not self.status:
            return False
        if self.is_open is not None and (row.verdict is Verdict.OPEN) is not self.is_open:
            return False
        if self.low_m is None and self.high_m is None:
            return True
        distance = None if hides_distance else row.current_distance
        return (
            distance is not None
            and (self.low_m is None or distance.distance_m >= self.low_m)
            and (self.high_m is None or distance.distance_m <= self.high_m)
        )


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How far the review is: n_decided of n_animals measured animals have a decision; n_added animals were added."""

    n_decided: int
    n_animals: int
    n_added: int


def filter_rows(
    state: ReviewState,
    order: Sequence[int],
    row_filter: RowFilter,
    hides: Callable[[RowState], bool] = lambda _: False,
) -> Iterator[RowState]:
    """The rows that match a filter, in the given order; an added row follows the row at which it was added.

    hides: whether the measured distance of a row is hidden.
    """
    for number in order:
        for row in (state.row(number), *map(state.row, state.added.get(number, ()))):
            if row_filter.matches(row, hides_distance=hides(row)):
                yield row


def review_progress(state: ReviewState) -> ReviewProgress:
    """How many of the measured animals that the review lists have a decision."""
    lists = state.results.lists
    decided = [row for row in state.changed.values() if row.verdict is not Verdict.OPEN]
    n_added = sum(row.is_added for row in decided)
    n_animals = sum(row.distance is not None and lists(number) for number, row in enumerate(state.results.rows))
    n_decided = sum(row.measured.distance is not None and not row.is_added and lists(row.number) for row in decided)
    return ReviewProgress(n_decided, n_animals, n_added)
