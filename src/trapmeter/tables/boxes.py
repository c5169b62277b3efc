"""Animals' boxes from a file instead of the detector, whatever program wrote it.

MegaDetector's JSON, the metadata CSV of Deep Chimpact and trapmeter's distances.csv are read. The content shows which one a
file is, not its name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.records import Box, Observation, Status
from trapmeter.tables.csvfile import read_columns, read_text
from trapmeter.tables.distances import COLUMNS, read_distances
from trapmeter.tables.drivendata import METADATA_COLUMNS, read_metadata
from trapmeter.tables.file_names import NameIndex, match_below_other_root
from trapmeter.tables.megadetector import FileDetections, read_megadetector

MEGADETECTOR = "MegaDetector JSON"


@dataclass(frozen=True, slots=True)
class MediumBoxes:
    """The boxes that a table has for one photo or video.

    by_time: (seconds, boxes) in order of time, with no boxes where the detector found nothing.
    untimed: boxes without a time, such as those of a photo. failure: why there are no boxes, "" when there is no reason.
    by_frame_number: (frame number, boxes) in order, when only the video itself knows the seconds: see with_frame_rate.
    is_exhaustive: by_time has every picture of which something is known, so that nothing is known of other seconds.
    """

    name: str
    by_time: tuple[tuple[float, tuple[Box, ...]], ...] = ()
    untimed: tuple[Box, ...] = ()
    failure: str = ""
    by_frame_number: tuple[tuple[int, tuple[Box, ...]], ...] = ()
    is_exhaustive: bool = False

    @property
    def boxes(self) -> tuple[Box, ...]:
        """All boxes, of whatever time."""
        timed = (box for _, boxes in (*self.by_time, *self.by_frame_number) for box in boxes)
        return (*self.untimed, *timed)

    def with_frame_rate(self, frame_rate: float | None) -> MediumBoxes:
        """The same with times in place of frame numbers. frame_rate: frames per second of the medium, None for a photo."""
        if not self.by_frame_number or frame_rate is None:
            return self
        by_time = tuple((number / frame_rate, boxes) for number, boxes in self.by_frame_number)
        return replace(self, by_time=by_time, by_frame_number=())

    def at(self, time_s: float, tolerance_s: float = 0.5) -> list[Box] | None:
        """The boxes nearest to time_s (seconds), best score first; None if the detector processed no picture there.

        A picture counts from time_s - tolerance_s up to, but not including, time_s + tolerance_s: with half a second each
        picture belongs to exactly one whole second. Of two equally near, the earlier counts. Untimed boxes always count.
        """
        boxes = list(self.untimed)
        after = bisect_left(self.by_time, time_s, key=lambda timed: timed[0])
        near = [
            timed
            for timed in self.by_time[max(0, after - 1) : after + 1]
            if -tolerance_s <= timed[0] - time_s < tolerance_s
        ]
        if not near and self.is_exhaustive:
            return None
        if near:
            boxes += min(near, key=lambda timed: abs(timed[0] - time_s))[1]
        return sorted(boxes, key=lambda box: -box.score)


class BoxTable:
    """The boxes of many photos and videos. kind says in words which format was read; path is the file."""

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
        """One of the names, as it is in the table."""
        return next(iter(self._media), "nothing")

    def find(self, media_id: str) -> MediumBoxes | None:
        """The boxes of a photo or video, None when the table lacks it. How names match: see `file_names`.

        Raises:
            InputError: several entries match equally well.
        """
        name = self._index.find_one(
            media_id,
            self.path,
            "give the folder that the names in the table start from, so that more of the name matches",
        )
        return None if name is None else self._media[name]

    def names_for(self, media_id: str) -> list[str]:
        """The names that fit a photo or video best; several if they fit equally well."""
        return self._index.find(media_id)

    def below_other_root(self, media_ids: Iterable[str]) -> tuple[BoxTable, str] | None:
        """The same table with the media's own names, and the folders that its names begin with; see `file_names`."""
        found = match_below_other_root(self._media, media_ids)
        if found is None:
            return None
        names, root = found
        media = [replace(self._media[name], name=media_id) for media_id, name in names.items()]
        return BoxTable(self.path, self.kind, media), root

    def check(self, media_ids: Iterable[str]) -> None:
        """Call with all media before find: refuses an entry that would serve more than one of them.

        Raises:
            InputError: the table has a bare IMG_0001.JPG, for example, and two folders hold a file of that name.
        """
        self._index.check(media_ids, self.path, "put the folder before the names in the table, or run folder by folder")


def read_boxes(path: str | Path) -> BoxTable:
    """Reads a table of boxes in any known format.

    Raises:
        InputError: it is none of them, or something in it is wrong.
    """
    path = Path(path)
    # read_text has removed a byte order mark, and no known CSV header starts with { or [.
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
    return [MediumBoxes(name, _in_order(by_time), is_exhaustive=True) for name, by_time in media.items()]


def _in_order(by_time: Mapping[float, list[Box]]) -> tuple[tuple[float, tuple[Box, ...]], ...]:
    return tuple((time_s, tuple(by_time[time_s])) for time_s in sorted(by_time))


def _medium_of_megadetector(file: FileDetections) -> MediumBoxes:
    by_frame_number: dict[int, list[Box]] = {number: [] for number in file.processed_frames or ()}
    untimed = []
    for found in file.detections:
        if found.frame_number is None:
            untimed.append(found.box)
        else:
            by_frame_number.setdefault(found.frame_number, []).append(found.box)
    numbered = tuple((number, tuple(boxes)) for number, boxes in sorted(by_frame_number.items()))
    # Without a list of its frames, a video may have been written with the best one alone: of others nothing is known. One in
    # which nothing was found has nothing in any frame that the detector saw.
    is_exhaustive = file.is_video and (file.processed_frames is not None or bool(file.detections))
    medium = MediumBoxes(file.file, (), tuple(untimed), file.failure, numbered, is_exhaustive)
    return medium.with_frame_rate(file.frame_rate)


def _box_with_species(row: Observation) -> Box | None:
    if row.box is None:
        return None
    return replace(row.box, species=row.species, species_score=row.species_score, species_label=row.species_label)


def _media_of_distances(path: Path) -> list[MediumBoxes]:
    """A second that failed or lies past the end says nothing about animals, unless its row has a box."""
    estimates = read_distances(path)
    processed = [
        (estimate.observation.media_id, estimate.observation.time_s, _box_with_species(estimate.observation))
        for estimate in estimates
        if estimate.observation.box is not None or estimate.status in (Status.MEASURED, Status.NO_ANIMAL)
    ]
    names = {name for name, _, _ in processed}
    failures = {e.observation.media_id: e.reason for e in estimates if e.observation.media_id not in names}
    return [*_grouped_by_medium(processed), *(MediumBoxes(name, failure=reason) for name, reason in failures.items())]
