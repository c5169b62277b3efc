"""Renders the review page and its parts as HTML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from trapmeter.records import Status
from trapmeter.report import words
from trapmeter.report.examples import log_interval_width
from trapmeter.report.html_page import page_environment
from trapmeter.review.decisions import DecisionKind
from trapmeter.review.listing import PAGE_ROWS, RowFilter, filter_rows, order_by_doubt, review_progress
from trapmeter.review.pictures import PLAYABLE_TYPES
from trapmeter.review.results import Results
from trapmeter.review.state import REMOVED, ReviewState, RowState, Verdict

BOX_WINDOW_S = 60.0
"""A row comes with the boxes of this many seconds before and after it, to draw while the video plays."""

_VERDICTS = {
    Verdict.OPEN: "",
    Verdict.ACCEPTED: "accepted",
    Verdict.CORRECTED: "corrected",
    Verdict.ADDED: "added",
    Verdict.DELETED: "deleted",
    Verdict.NOT_ANIMAL: "not an animal",
}
_STATUSES = {
    Status.MEASURED: "measured",
    Status.NO_ANIMAL: "no animal",
    Status.UNKNOWN: "unknown",
    Status.FAILED: "failed",
    Status.PAST_END: "past the end",
}
_KINDS = {
    DecisionKind.ACCEPT: "accepted",
    DecisionKind.DISTANCE: "distance",
    DecisionKind.BOX: "box moved",
    DecisionKind.DELETE: "deleted",
    DecisionKind.NOT_ANIMAL: "not an animal",
    DecisionKind.ADD: "added",
    DecisionKind.REACTS: "reacts to the camera",
    DecisionKind.CALM: "doesn't react",
    DecisionKind.STATIC_ACCEPT: "all static boxes accepted",
    DecisionKind.STATIC_NOT_ANIMAL: "all static boxes are no animals",
}


@dataclass(frozen=True, slots=True)
class RowView:
    """A row as texts for the page. medium: the number of its medium. picture: the address of its picture."""

    number: int
    revision: int
    medium: int
    picture: str
    media_id: str
    site_id: str
    time: str
    animal: str
    distance: str
    interval: str
    was: str
    status: str
    verdict: str
    is_open: bool
    is_gone: bool
    is_animal: bool
    reacts: bool
    is_static: bool
    reason: str
    score: str
    width: str


class PageRenderer:
    """Renders the responses of the server."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._order = order_by_doubt(results.rows)
        self._environment = page_environment(files("trapmeter.review").joinpath("templates"))

    def page(self, state: ReviewState, row_filter: RowFilter, row: int | None) -> str:
        """The complete page, showing a row, or the first one of the list."""
        rows, rest = self._rows(state, row_filter, 0)
        first = rows[0] if rows else state.row(self._order[0])
        shown = state.row(row) if row is not None and state.has(row) else first
        return self._render(
            "page.html",
            state,
            rows=[self._view(row) for row in rows],
            rest=rest,
            row_filter=row_filter,
            sites=self._results.sites,
            statuses=_STATUSES,
            folder=str(self._results.source.parent),
            **self._detail(state, shown),
        )

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
        rows = list(islice(filter_rows(state, self._order, row_filter), offset, offset + PAGE_ROWS + 1))
        rest = f"/rows?{self._query(row_filter, offset + PAGE_ROWS)}" if len(rows) > PAGE_ROWS else ""
        return rows[:PAGE_ROWS], rest

    def _query(self, row_filter: RowFilter, offset: int) -> str:
        """The query that `trapmeter.review.requests.read_filter` reads back."""
        values = {
            "site": None if row_filter.site is None else self._results.sites.index(row_filter.site),
            "status": row_filter.status,
            "low": row_filter.low_m,
            "high": row_filter.high_m,
            "decided": None if row_filter.is_open is None else ("no" if row_filter.is_open else "yes"),
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
            "boxes": [_box(other) for other in near],
            "isAnimal": row.measured.distance is not None,
            "reacts": row.reacts,
        }
        return {"row": view, "stage": json.dumps(stage)}

    def _view(self, row: RowState) -> RowView:
        observation, distance = row.measured.observation, row.current_distance
        medium = self._results.number_of[observation.media_id]
        before = row.measured.distance if row.distance_m is not None and not row.is_added else None
        return RowView(
            number=row.number,
            revision=row.revision,
            medium=medium,
            picture=f"/media/{medium}/picture?{urlencode({'time': observation.time_s})}",
            media_id=observation.media_id,
            site_id=observation.site_id,
            time=words.seconds_text(observation.time_s),
            animal=str(observation.animal_id) if observation.animal_id else "",
            distance="" if distance is None else f"{distance.distance_m:.1f}",
            interval=_interval(row),
            was="" if before is None else f"{before.distance_m:.1f}",
            status=_STATUSES[row.measured.status],
            verdict=_VERDICTS[row.verdict],
            is_open=row.verdict is Verdict.OPEN,
            is_gone=row.verdict in REMOVED,
            is_animal=row.measured.distance is not None,
            reacts=row.reacts,
            is_static=row.measured.is_static,
            reason=row.measured.reason,
            score="" if observation.box is None or row.is_added else f"{observation.box.score:.2f}",
            width=f"{log_interval_width(distance):.2f}" if _interval(row) and distance is not None else "",
        )


def _box(row: RowState) -> dict[str, Any]:
    box, distance = row.current_box, row.current_distance
    assert box is not None, "the caller leaves out rows without a box"
    label = "" if distance is None else f"{distance.distance_m:.1f} m"
    return {
        "row": row.number,
        "time": row.measured.observation.time_s,
        "xyxy": box.xyxy,
        "label": _VERDICTS[row.verdict] if row.verdict in REMOVED else label,
        "interval": "" if row.verdict in REMOVED else _interval(row),
        "gone": row.verdict in REMOVED,
    }


def _interval(row: RowState) -> str:
    """The 90 % interval; "" without a distance, or if a person entered it."""
    distance = row.current_distance
    return (
        "" if distance is None or distance.low_m == distance.high_m else f"{distance.low_m:.1f}–{distance.high_m:.1f}"
    )
