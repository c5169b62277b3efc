"""A row as texts and plain values for the page, with or without the model's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from trapmeter.records import Distance, Status
from trapmeter.report import words
from trapmeter.report.examples import log_interval_width
from trapmeter.review.state import REMOVED, RowState, Verdict
from trapmeter.tables.species_names import PERSON, VEHICLE

_VERDICTS = {
    Verdict.OPEN: "",
    Verdict.ACCEPTED: "accepted",
    Verdict.CORRECTED: "corrected",
    Verdict.ADDED: "added",
    Verdict.DELETED: "deleted",
    Verdict.NOT_ANIMAL: "not an animal",
}
STATUSES = {
    Status.MEASURED: "measured",
    Status.NO_ANIMAL: "no animal",
    Status.UNKNOWN: "unknown",
    Status.FAILED: "failed",
    Status.PAST_END: "past the end",
}


_APART = {PERSON: "person", VEHICLE: "vehicle"}
"""What is no animal, by its canonical name."""


@dataclass(frozen=True, slots=True)
class RowView:
    """A row as texts for the page.

    medium: the number of its medium. picture: the address of its picture. is_hidden: the texts lack the model's answer.
    """

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
    is_hidden: bool
    is_animal: bool
    reacts: bool
    is_static: bool
    reason: str
    score: str
    width: str
    species: str
    species_score: str
    species_label: str


def view_of(row: RowState, medium: int, *, is_shown: bool) -> RowView:
    """A row as texts. medium: its number. is_shown: False leaves out the model's answer.

    Only texts that come from here and from `box_values` reach the page, so what is left out is not even in its source.
    """
    observation = row.measured.observation
    distance = row.current_distance if is_shown else None
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
        interval=_interval(distance),
        was=""
        if before is None
        else " m, interval ".join(filter(None, (f"{before.distance_m:.1f}", _interval(before)))),
        status=_APART.get(observation.species, STATUSES[row.measured.status]),
        verdict=_APART[row.current_species] if row.species is not None and row.is_apart else _VERDICTS[row.verdict],
        is_open=row.verdict is Verdict.OPEN,
        is_gone=row.verdict in REMOVED,
        is_hidden=not is_shown,
        is_animal=row.measured.distance is not None,
        reacts=row.reacts,
        is_static=row.measured.is_static and is_shown,
        reason=row.measured.reason if is_shown else "",
        score="" if observation.box is None or row.is_added else f"{observation.box.score:.2f}",
        species=row.current_species,
        species_score=""
        if row.species is not None or observation.species_score is None
        else f"{observation.species_score:.2f}",
        species_label=observation.species_label or (observation.species if row.species is not None else ""),
        width=f"{log_interval_width(distance):.2f}" if distance is not None and _interval(distance) else "",
    )


def box_values(row: RowState, *, is_shown: bool) -> dict[str, Any]:
    """A box for the picture, with its distance if that may be shown."""
    box, distance = row.current_box, row.current_distance if is_shown else None
    assert box is not None, "the caller leaves out rows without a box"
    label = "" if distance is None else f"{distance.distance_m:.1f} m"
    return {
        "row": row.number,
        "time": row.measured.observation.time_s,
        "xyxy": box.xyxy,
        "label": _VERDICTS[row.verdict] if row.verdict in REMOVED else label,
        "interval": "" if row.verdict in REMOVED else _interval(distance),
        "gone": row.verdict in REMOVED,
    }


def _interval(distance: Distance | None) -> str:
    """The 90 % interval; "" without a distance, or if a person entered it."""
    return (
        "" if distance is None or distance.low_m == distance.high_m else f"{distance.low_m:.1f}–{distance.high_m:.1f}"
    )
