"""Boxes from a file instead of a detector: one lookup, whatever program made the file.

Read are MegaDetector's JSON, the competition's metadata CSV, and our own distances.csv; which one it is, is told from
what the file holds and not from its name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.records import Box, Status
from trapmeter.tables.csvfile import read_columns, read_text
from trapmeter.tables.distances import COLUMNS, read_distances
from trapmeter.tables.drivendata import METADATA_COLUMNS, read_metadata
from trapmeter.tables.file_names import NameIndex
from trapmeter.tables.megadetector import FileDetections, read_megadetector

MEGADETECTOR = "MegaDetector JSON"


@dataclass(frozen=True, slots=True)
class MediumBoxes:
    """What a table tells of one photo or video.

    moments: (seconds, boxes) in order of time, with no boxes where the detector looked and saw nothing.
    by_number: (frame number, boxes) in order, where only the video itself knows the seconds: see timed.
    always: boxes that have no time, as those of a photo. failure: why there are none, "" when there is no reason.
    is_exhaustive: every moment that was looked at stands in moments, so that nothing is known of any other second.
    """

    name: str
    moments: tuple[tuple[float, tuple[Box, ...]], ...] = ()
    always: tuple[Box, ...] = ()
    failure: str = ""
    by_frame_number: tuple[tuple[int, tuple[Box, ...]], ...] = ()
    is_exhaustive: bool = False

    def with_frame_rate(self, frame_rate: float | None) -> MediumBoxes:
        """With moments in place of frame numbers, by the medium's own rate (pictures a second, None for a photo)."""
        if not self.by_frame_number or frame_rate is None:
            return self
        moments = tuple((number / frame_rate, boxes) for number, boxes in self.by_frame_number)
        return replace(self, moments=moments, by_frame_number=())

    def at(self, time_s: float, tolerance_s: float = 0.5) -> list[Box] | None:
        """The boxes of the moment nearest to time_s (seconds), best score first; None if nobody looked there.

        A moment counts from time_s - tolerance_s on and before time_s + tolerance_s: with half a second each moment
        belongs to one whole second. Of two that are equally near the earlier is taken. Boxes without a time always count.
        """
        boxes = list(self.always)
        after = bisect_left(self.moments, time_s, key=lambda moment: moment[0])
        near = [
            moment
            for moment in self.moments[max(0, after - 1) : after + 1]
            if -tolerance_s <= moment[0] - time_s < tolerance_s
        ]
        if not near and self.is_exhaustive:
            return None
        if near:
            boxes += min(near, key=lambda moment: abs(moment[0] - time_s))[1]
        return sorted(boxes, key=lambda box: -box.score)


class BoxTable:
    """The boxes of many photos and videos. kind says in words what was read; path where from."""

    __slots__ = ("_index", "_media", "kind", "path")

    def __init__(self, path: Path, kind: str, media: Iterable[MediumBoxes]) -> None:
        self.path = path
        self.kind = kind
        self._media: Mapping[str, MediumBoxes] = {medium.name: medium for medium in media}
        self._index = NameIndex(self._media)

    def __len__(self) -> int:
        """The number of photos and videos."""
        return len(self._media)

    @property
    def example(self) -> str:
        """One of its names, as it stands in the table."""
        return next(iter(self._media), "nothing")

    def find(self, media_id: str) -> MediumBoxes | None:
        """What the table tells of a photo or video, None when it is not in it. How names match: see names.py.

        Raises:
            InputError: several entries match equally well.
        """
        names = self._index.find(media_id)
        if len(names) > 1:
            raise InputError(
                f"{self.path}: {media_id} could be any of {_listed(names)}; "
                "give the folder that the names in the table start from"
            )
        return self._media[names[0]] if names else None

    def check(self, media_ids: Iterable[str]) -> None:
        """Call with all media before find: refuses an entry that would serve more than one of them.

        Raises:
            InputError: as where a table has bare file names and two folders hold an IMG_0001.JPG.
        """
        for name, media in self._index.clashes(media_ids).items():
            raise InputError(
                f"{self.path}: the entry {name} could be any of {_listed(media)}; "
                "put the folder before the names in the table, or run folder by folder"
            )


def read_boxes(path: Path) -> BoxTable:
    """Reads a table of boxes of any format that we know.

    Raises:
        InputError: it is none of them, or something in it is wrong.
    """
    # A byte order mark is gone by here; JSON starts with { or [ and no CSV header of ours does.
    if read_text(path).lstrip()[:1] in ("{", "["):
        return BoxTable(path, MEGADETECTOR, map(_medium_of_megadetector, read_megadetector(path)))
    columns = read_columns(path)
    if "media_id" in columns and "status" in columns:
        return BoxTable(path, "trapmeter distances", _media_of_distances(path))
    if {"video_id", "time", "x1"} <= set(columns):
        rows = ((row.video_id, row.time_s, row.box) for row in read_metadata(path))
        return BoxTable(path, "DrivenData metadata", _grouped_by_medium(rows))
    raise InputError(
        f"{path}: expected a table of boxes: MegaDetector's JSON, a CSV file with {', '.join(METADATA_COLUMNS)}, or a "
        f"distances.csv of trapmeter ({', '.join(COLUMNS[:4])}, ...); found {', '.join(map(repr, columns)) or 'nothing'}"
    )


def _grouped_by_medium(rows: Iterable[tuple[str, float, Box | None]]) -> list[MediumBoxes]:
    media: dict[str, dict[float, list[Box]]] = {}
    for name, time_s, box in rows:
        boxes = media.setdefault(name, {}).setdefault(time_s, [])
        if box is not None:
            boxes.append(box)
    return [MediumBoxes(name, _in_order(moments), is_exhaustive=True) for name, moments in media.items()]


def _in_order(moments: Mapping[float, list[Box]]) -> tuple[tuple[float, tuple[Box, ...]], ...]:
    return tuple((time_s, tuple(moments[time_s])) for time_s in sorted(moments))


def _medium_of_megadetector(file: FileDetections) -> MediumBoxes:
    by_frame_number: dict[int, list[Box]] = {}
    for found in file.detections:
        if found.frame_number is not None and found.time_s is None:
            by_frame_number.setdefault(found.frame_number, []).append(found.box)
    moments: dict[float, list[Box]] = {time_s: [] for time_s in file.processed_s}
    for found in file.detections:
        if found.time_s is not None:
            moments.setdefault(found.time_s, []).append(found.box)
    always = tuple(found.box for found in file.detections if found.time_s is None and found.frame_number is None)
    numbered = tuple((number, tuple(boxes)) for number, boxes in sorted(by_frame_number.items()))
    return MediumBoxes(file.file, _in_order(moments), always, file.failure, numbered, bool(file.processed_s))


def _media_of_distances(path: Path) -> list[MediumBoxes]:
    """A second that failed or lies past the end tells nothing about animals, unless its row has a box."""
    estimates = read_distances(path)
    told = [
        (estimate.observation.media_id, estimate.observation.time_s, estimate.observation.box)
        for estimate in estimates
        if estimate.observation.box is not None or estimate.status in (Status.MEASURED, Status.NO_ANIMAL)
    ]
    names = {name for name, _, _ in told}
    failures = {e.observation.media_id: e.reason for e in estimates if e.observation.media_id not in names}
    return [*_grouped_by_medium(told), *(MediumBoxes(name, failure=reason) for name, reason in failures.items())]


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
