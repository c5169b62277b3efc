"""Which rows the page lists: all of them by doubt, or those that a filter lets through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trapmeter.records import Status
from trapmeter.review.state import Standing, State, Verdict

PAGE = 100
"""Rows that come at once; more follow when the end of the list comes into sight."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is to be listed; what is None lets all through.

    site: a site's name. low_m, high_m: ends of the distance as it stands, in metres; with either, rows without a distance
    are left out. is_open: True for rows that nothing was decided about, False for the others.
    """

    site: str | None = None
    status: Status | None = None
    low_m: float | None = None
    high_m: float | None = None
    is_open: bool | None = None

    def lets_through(self, row: Standing) -> bool:
        """Whether a row is listed."""
        if self.site is not None and row.measured.observation.site_id != self.site:
            return False
        if self.status is not None and row.measured.status is not self.status:
            return False
        if self.is_open is not None and (row.verdict is Verdict.OPEN) is not self.is_open:
            return False
        if self.low_m is None and self.high_m is None:
            return True
        distance = row.distance_now
        return (
            distance is not None
            and (self.low_m is None or distance.distance_m >= self.low_m)
            and (self.high_m is None or distance.distance_m <= self.high_m)
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the review is. n_decided of n_animals measured ones were decided about; n_added: animals added."""

    n_decided: int
    n_animals: int
    n_added: int


def listed(state: State, order: Sequence[int], wanted: Filter) -> Iterator[Standing]:
    """The rows that a filter lets through, in the given order; added ones behind the row that they were added at."""
    for number in order:
        for row in (state.row(number), *map(state.row, state.added.get(number, ()))):
            if wanted.lets_through(row):
                yield row


def progress(state: State) -> Progress:
    """How many of the measured animals were decided about."""
    decided = [row for row in state.changed.values() if row.verdict is not Verdict.OPEN]
    n_added = sum(row.is_added for row in decided)
    n_animals = sum(row.distance is not None for row in state.results.rows)
    n_decided = sum(row.measured.distance is not None and not row.is_added for row in decided)
    return Progress(n_decided, n_animals, n_added)
