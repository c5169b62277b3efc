"""The page and its parts as HTML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from trapmeter.records import Status
from trapmeter.report import words
from trapmeter.review.decisions import DecisionKind
from trapmeter.review.listing import PAGE_ROWS, RowFilter, doubt_score, filter_rows, order_by_doubt, review_progress
from trapmeter.review.pictures import PLAYABLE_TYPES
from trapmeter.review.results import Results
from trapmeter.review.state import REMOVED, ReviewState, RowState, Verdict

BOX_WINDOW_S = 60.0
"""Boxes of so many seconds before and after the row's own come with it, to be drawn while the video plays."""

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
}


@dataclass(frozen=True, slots=True)
class RowView:
    """A row in the words of the page; medium is the medium's number, and picture the address of its picture."""

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
    reason: str
    score: str
    doubt: str


class PageRenderer:
    """Renders what the server answers."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._order = order_by_doubt(results.rows)
        folder = files("trapmeter.review").joinpath("templates")
        self._environment = Environment(
            loader=FileSystemLoader(str(folder)),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=words.printable_value,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(self, state: ReviewState, wanted: RowFilter, row: int | None) -> str:
        """The whole page, at a row or at the first that is listed."""
        rows, rest = self._rows(state, wanted, 0)
        first = rows[0] if rows else state.row(self._order[0])
        shown = state.row(row) if row is not None and state.has(row) else first
        return self._render(
            "page.html",
            state,
            rows=[self._view(one) for one in rows],
            rest=rest,
            wanted=wanted,
            sites=self._results.sites,
            statuses=_STATUSES,
            folder=str(self._results.source.parent),
            **self._detail(state, shown),
        )

    def rows(self, state: ReviewState, wanted: RowFilter, offset: int) -> str:
        """A page of the list from an offset on."""
        rows, rest = self._rows(state, wanted, offset)
        return self._render("rows.html", state, rows=[self._view(one) for one in rows], rest=rest, offset=offset)

    def detail(self, state: ReviewState, row: RowState) -> str:
        """One row, with its picture and what can be decided."""
        return self._render("detail.html", state, **self._detail(state, row))

    def answer(
        self,
        state: ReviewState,
        shown: RowState,
        *,
        changed: Iterable[RowState],
        gone: Sequence[int],
        anchor: int | None,
        message: str,
    ) -> str:
        """What follows a decision: the row to show next, the list's items that changed, progress and a message.

        gone: numbers of rows that aren't there any more; anchor: the number of the row that the changed one was added at.
        """
        return self._render(
            "answer.html",
            state,
            changed=[self._view(one) for one in changed],
            gone=gone,
            anchor=anchor,
            message=message,
            **self._detail(state, shown),
        )

    def _rows(self, state: ReviewState, wanted: RowFilter, offset: int) -> tuple[Sequence[RowState], str]:
        """A page of rows, and the address of the next one; "" when these are the last."""
        found = list(islice(filter_rows(state, self._order, wanted), offset, offset + PAGE_ROWS + 1))
        return found[:PAGE_ROWS], f"/rows?{self._query(wanted, offset + PAGE_ROWS)}" if len(found) > PAGE_ROWS else ""

    def _query(self, wanted: RowFilter, offset: int) -> str:
        """What `trapmeter.review.requests.read_filter` reads back."""
        given = {
            "site": None if wanted.site is None else self._results.sites.index(wanted.site),
            "status": wanted.status,
            "low": wanted.low_m,
            "high": wanted.high_m,
            "decided": None if wanted.is_open is None else ("no" if wanted.is_open else "yes"),
            "offset": offset,
        }
        return urlencode({name: value for name, value in given.items() if value is not None})

    def _render(self, name: str, state: ReviewState, **values: Any) -> str:
        last = state.active[-1] if state.active else None
        told = "" if last is None else f"{_KINDS[last.kind]}, {last.media_id} at {words.seconds_text(last.time_s)} s"
        return self._environment.get_template(name).render(
            progress=review_progress(state), last=last, last_told=told, **{"message": "", **values}
        )

    def _detail(self, state: ReviewState, row: RowState) -> dict[str, Any]:
        seen = row.measured.observation
        near = [
            other
            for other in state.of_medium(seen.media_id)
            if other.current_box is not None and abs(other.measured.observation.time_s - seen.time_s) <= BOX_WINDOW_S
        ]
        view = self._view(row)
        suffix = "." + seen.media_id.rpartition(".")[2].lower()
        stage = {
            "row": row.number,
            "revision": row.revision,
            "time": seen.time_s,
            "picture": f"/media/{view.medium}/picture",
            "video": f"/media/{view.medium}" if suffix in PLAYABLE_TYPES and not self._results.is_store else "",
            "boxes": [_box(other) for other in near],
            "isAnimal": row.measured.distance is not None,
            "reacts": row.reacts,
        }
        return {"row": view, "stage": json.dumps(stage)}

    def _view(self, row: RowState) -> RowView:
        seen, distance = row.measured.observation, row.current_distance
        medium = self._results.number_of[seen.media_id]
        was = row.measured.distance if row.distance_m is not None and not row.is_added else None
        return RowView(
            number=row.number,
            revision=row.revision,
            medium=medium,
            picture=f"/media/{medium}/picture?{urlencode({'time': seen.time_s})}",
            media_id=seen.media_id,
            site_id=seen.site_id,
            time=words.seconds_text(seen.time_s),
            animal=str(seen.animal_id) if seen.animal_id else "",
            distance="" if distance is None else f"{distance.distance_m:.1f}",
            interval="" if distance is None or distance.low_m == distance.high_m else _interval(row),
            was="" if was is None else f"{was.distance_m:.1f}",
            status=_STATUSES[row.measured.status],
            verdict=_VERDICTS[row.verdict],
            is_open=row.verdict is Verdict.OPEN,
            is_gone=row.verdict in REMOVED,
            is_animal=row.measured.distance is not None,
            reacts=row.reacts,
            reason=row.measured.reason,
            score="" if seen.box is None or row.is_added else f"{seen.box.score:.2f}",
            doubt=f"{doubt_score(row.measured):.1f}",
        )


def _box(row: RowState) -> dict[str, Any]:
    box, distance = row.current_box, row.current_distance
    assert box is not None, "rows without a box are left out"
    label = "" if distance is None else f"{distance.distance_m:.1f} m"
    interval = "" if distance is None or distance.low_m == distance.high_m else _interval(row)
    return {
        "row": row.number,
        "time": row.measured.observation.time_s,
        "xyxy": box.xyxy,
        "label": _VERDICTS[row.verdict] if row.verdict in REMOVED else label,
        "interval": "" if row.verdict in REMOVED else interval,
        "gone": row.verdict in REMOVED,
    }


def _interval(row: RowState) -> str:
    distance = row.current_distance
    return "" if distance is None else f"{distance.low_m:.1f}–{distance.high_m:.1f}"
