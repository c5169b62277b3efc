"""What helps a person to judge a distance by eye: lines of equal distance, and reference photographs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from trapmeter.camera.distance_lines import SAME_ASPECT, distance_lines
from trapmeter.camera.fitted_cameras import FittedCamera
from trapmeter.errors import MediaError
from trapmeter.review.results import Results
from trapmeter.review.state import RowState

MAX_AHEAD_M = 100.0
"""The ground beyond is no help in choosing a photograph: a foot near the horizon lies anywhere."""


@dataclass(frozen=True, slots=True)
class Guides:
    """The guides of one medium, as plain values for the page.

    lines: metres and points of each line. aspect: width over height of the pictures that the lines fit, 0 without lines.
    note: why there are no lines; "" if no camera of the site was fitted. references: address and metres of each photograph,
    from near to far.
    """

    lines: tuple[dict[str, Any], ...] = ()
    aspect: float = 0.0
    note: str = ""
    references: tuple[dict[str, Any], ...] = ()
    camera: FittedCamera | None = field(default=None, compare=False)

    def values(self, row: RowState, *, hides_distance: bool) -> dict[str, Any]:
        """What the page needs for a row. hides_distance: the measured distance must not choose the photograph."""
        return {
            "lines": self.lines,
            "linesAspect": self.aspect,
            "sameAspect": SAME_ASPECT,
            "linesReason": self.note,
            "references": self.references,
            "near": self._near_m(row, hides_distance=hides_distance),
        }

    def _near_m(self, row: RowState, *, hides_distance: bool) -> float | None:
        """The distance whose photograph to show first: the current one, or else that of the ground at the animal's feet."""
        if row.current_distance is not None and not hides_distance:
            return round(row.current_distance.distance_m, 1)
        box = row.current_box
        if self.camera is None or box is None:
            return None
        metres = self.camera.fit.camera.distance_m((box.x1 + box.x2) / 2, box.y2)
        return round(metres, 1) if metres < MAX_AHEAD_M else None


class GuideFinder:
    """Finds the guides of the media of a review."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._number_of = {name: number for number, name in enumerate(results.references)}
        self._lines = lru_cache(maxsize=256)(_lines)

    def of_row(self, row: RowState) -> Guides:
        """The guides of the medium of a row. Photographs that can't be shown are left out."""
        cameras, observation = self._results.cameras, row.measured.observation
        camera = cameras.find(observation.media_id, observation.site_id)
        if camera is None:
            return Guides(note=cameras.why_none(observation.media_id, observation.site_id))
        references = [
            {"address": f"/references/{self._number_of[photo]}", "metres": round(metres, 2)}
            for photo, metres in sorted(set(camera.photo_distances), key=lambda pair: (pair[1], pair[0]))
            if self._is_there(photo)
        ]
        return Guides(
            self._lines(camera), round(camera.fit.aspect_ratio, 4), references=tuple(references), camera=camera
        )

    def _is_there(self, photo: str) -> bool:
        try:
            self._results.reference(self._number_of[photo])
        except (MediaError, OSError):
            return False
        return True


def _lines(camera: FittedCamera) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "metres": line.distance_m,
            "isRough": line.is_rough,
            "points": [[round(x, 4), round(y, 4)] for x, y in line.points],
        }
        for line in distance_lines(camera.fit)
    )
