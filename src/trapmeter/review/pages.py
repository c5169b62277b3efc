"""Renders the review page and its parts as HTML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from trapmeter.report import words
from trapmeter.report.html_page import page_environment
from trapmeter.review.blinding import Blinding
from trapmeter.review.decisions import DecisionKind
from trapmeter.review.guides import GuideFinder
from trapmeter.review.listing import (
    PAGE_ROWS,
    RowFilter,
    RowOrder,
    filter_rows,
    order_by_doubt,
    order_by_time,
    review_progress,
)
from trapmeter.review.pictures import PLAYABLE_TYPES
from trapmeter.review.results import Results
from trapmeter.review.row_view import STATUSES, RowView, box_values, view_of
from trapmeter.review.state import ReviewState, RowState
from trapmeter.tables.species_names import PERSON, VEHICLE, all_names, english_name

BOX_WINDOW_S = 60.0
"""A row comes with the boxes of this many seconds before and after it, to draw while the video plays."""

_KINDS = {
    DecisionKind.ACCEPT: "accepted",
    DecisionKind.DISTANCE: "distance",
    DecisionKind.SPECIES: "species",
    DecisionKind.BOX: "box moved",
    DecisionKind.DELETE: "deleted",
    DecisionKind.NOT_ANIMAL: "not an animal",
    DecisionKind.ADD: "added",
    DecisionKind.REACTS: "reacts to the camera",
    DecisionKind.CALM: "doesn't react",
    DecisionKind.STATIC_ACCEPT: "all static boxes accepted",
    DecisionKind.STATIC_NOT_ANIMAL: "all static boxes are no animals",
}


class PageRenderer:
    """Renders the responses of the server."""

    def __init__(self, results: Results, blinding: Blinding | None = None) -> None:
        self._results = results
        self._blinding = blinding or Blinding(is_on=False)
        self._guides = GuideFinder(results)
        self._orders: dict[RowOrder, list[int]] = {}
        self._environment = page_environment(files("trapmeter.review").joinpath("templates"))

    def page(self, state: ReviewState, row_filter: RowFilter, row: int | None) -> str:
        """The complete page, showing a row, or the first one of the list."""
        rows, rest = self._rows(state, row_filter, 0)
        first = rows[0] if rows else state.row(self._order(row_filter.order)[0])
        shown = state.row(row) if row is not None and state.has(row) else first
        return self._render(
            "page.html",
            state,
            rows=[self._view(row) for row in rows],
            rest=rest,
            row_filter=row_filter,
            sites=self._results.sites,
            statuses=STATUSES,
            species_names=self._species_names(),
            is_blind=self._blinding.is_on,
            n_only=None if self._results.only is None else len(self._results.only),
            folder=str(self._results.source.parent),
            **self._detail(state, shown),
        )

    def _species_names(self) -> list[tuple[str, str]]:
        """The species to choose from, with their English names: those of the results first."""
        known = sorted({row.observation.species for row in self._results.rows} - {""})
        names = dict.fromkeys((*known, PERSON, VEHICLE, *all_names()))
        return [(name, english_name(name)) for name in names]

    def rows(self, state: ReviewState, row_filter: RowFilter, offset: int) -> str:
        """A part of the list, from an offset on."""
        rows, rest = self._rows(state, row_filter, offset)
        return self._render("rows.html", state, rows=[self._view(row) for row in rows], rest=rest, offset=offset)

    def detail(self, state: ReviewState, row: RowState) -> str:
        """One row, with its picture and the possible decisions."""
        return self._render("detail.html", state, **self._detail(state, row))

    def after_decision(
        self,
        state: ReviewState,
        shown: RowState,
        *,
        changed: Iterable[RowState],
        gone: Sequence[int],
        anchor: int | None,
        message: str,
    ) -> str:
        """The response to a decision: the row to show next, the changed items of the list, the progress and a message.

        gone: the numbers of rows that no longer exist. anchor: the number of the row at which the changed row was added.
        """
        return self._render(
            "answer.html",
            state,
            changed=[self._view(row) for row in changed],
            gone=gone,
            anchor=anchor,
            message=message,
            **self._detail(state, shown),
        )

    def _rows(self, state: ReviewState, row_filter: RowFilter, offset: int) -> tuple[Sequence[RowState], str]:
        """A part of the list, and the address of the next part; "" if this is the last one."""
        listed = filter_rows(state, self._order(row_filter.order), row_filter, self._blinding.hides)
        rows = list(islice(listed, offset, offset + PAGE_ROWS + 1))
        rest = f"/rows?{self._query(row_filter, offset + PAGE_ROWS)}" if len(rows) > PAGE_ROWS else ""
        return rows[:PAGE_ROWS], rest

    def _order(self, order: RowOrder) -> list[int]:
        """The numbers of the rows to list, in an order that never changes during a review."""
        if order not in self._orders:
            by_time, rows = order is RowOrder.TIME, self._results.rows
            numbers = order_by_time(rows, self._results.times) if by_time else order_by_doubt(rows)
            self._orders[order] = [number for number in numbers if self._results.lists(number)]
        return self._orders[order]

    def _query(self, row_filter: RowFilter, offset: int) -> str:
        """The query that `trapmeter.review.requests.read_filter` reads back."""
        values = {
            "site": None if row_filter.site is None else self._results.sites.index(row_filter.site),
            "status": row_filter.status,
            "low": row_filter.low_m,
            "high": row_filter.high_m,
            "decided": None if row_filter.is_open is None else ("no" if row_filter.is_open else "yes"),
            "order": row_filter.order,
            "offset": offset,
        }
        return urlencode({name: value for name, value in values.items() if value is not None})

    def _render(self, name: str, state: ReviewState, **values: Any) -> str:
        last = state.active[-1] if state.active else None
        last_text = (
            "" if last is None else f"{_KINDS[last.kind]}, {last.media_id} at {words.seconds_text(last.time_s)} s"
        )
        return self._environment.get_template(name).render(
            progress=review_progress(state), last=last, last_text=last_text, **{"message": "", **values}
        )

    def _detail(self, state: ReviewState, row: RowState) -> dict[str, Any]:
        observation = row.measured.observation
        near = [
            other
            for other in state.of_medium(observation.media_id)
            if other.current_box is not None
            and abs(other.measured.observation.time_s - observation.time_s) <= BOX_WINDOW_S
        ]
        view = self._view(row)
        suffix = "." + observation.media_id.rpartition(".")[2].lower()
        stage = {
            "row": row.number,
            "revision": row.revision,
            "time": observation.time_s,
            "picture": f"/media/{view.medium}/picture",
            "video": f"/media/{view.medium}" if suffix in PLAYABLE_TYPES and not self._results.is_store else "",
            "boxes": [box_values(other, is_shown=self._blinding.reveal(other)) for other in near],
            "isAnimal": row.measured.distance is not None,
            "reacts": row.reacts,
            "isHidden": view.is_hidden,
            "isRevealed": self._blinding.is_on and view.is_animal and not view.is_hidden,
            **self._guides.of_row(row).values(row, hides_distance=view.is_hidden),
        }
        return {"row": view, "stage": json.dumps(stage)}

    def _view(self, row: RowState) -> RowView:
        medium = self._results.number_of[row.measured.observation.media_id]
        return view_of(row, medium, is_shown=self._blinding.reveal(row))
