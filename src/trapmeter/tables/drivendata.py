"""The tables of the competition 'Deep Chimpact' (DrivenData, 2021), which simtrap shares.

Labels: video_id, time (s), distance (m, of the nearest animal). Metadata: video_id, time, x1, y1, x2, y2 (fractions of
the picture), probability, park, site_id; the box's five cells are empty where the detector saw nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.records import Box, Estimate, Observation, VideoSecond
from trapmeter.tables.boxcells import COORDINATES, read_box
from trapmeter.tables.csvfile import read_rows, to_cell

METADATA_COLUMNS = ("video_id", "time", *COORDINATES, "probability")
"""What makes a table one of boxes; park and site_id may be absent."""


@dataclass(frozen=True, slots=True)
class Label:
    """How far (metres) the nearest animal stands at time_s (seconds) of a video."""

    video_id: str
    time_s: float
    distance_m: float

    @property
    def second(self) -> VideoSecond:
        """The labelled second."""
        return VideoSecond(self.video_id, self.time_s)


@dataclass(frozen=True, slots=True)
class MetadataRow:
    """What a detector saw at time_s (seconds) of a video, and where the camera stood; "" where not told."""

    video_id: str
    time_s: float
    box: Box | None
    park: str = ""
    site_id: str = ""

    @property
    def second(self) -> VideoSecond:
        """The second that the row describes."""
        return VideoSecond(self.video_id, self.time_s)


def read_labels(path: Path) -> list[Label]:
    """Reads train_labels.csv, in the order of the file.

    Raises:
        InputError: a cell is not what it should be, or a moment is labelled twice.
    """
    labels = []
    lines: dict[VideoSecond, int] = {}
    for row in read_rows(path, required=("video_id", "time", "distance")):
        label = Label(
            row.text("video_id"),
            row.non_negative_number("time", "seconds"),
            row.non_negative_number("distance", "metres"),
        )
        first = lines.setdefault(label.second, row.line)
        if first != row.line:
            raise InputError(
                f"{path}, lines {first} and {row.line}: {label.video_id} at {label.time_s:g} s is labelled twice; "
                "keep one of the rows"
            )
        labels.append(label)
    return labels


def read_metadata(path: Path) -> list[MetadataRow]:
    """Reads train_metadata.csv, in the order of the file. Several rows of one moment are several animals."""
    return [
        MetadataRow(
            row.text("video_id"),
            row.non_negative_number("time", "seconds"),
            read_box(row, score_column="probability"),
            row.optional_text("park"),
            row.optional_text("site_id"),
        )
        for row in read_rows(path, required=METADATA_COLUMNS)
    ]


def read_video_seconds(path: Path) -> list[VideoSecond]:
    """Reads which seconds are asked for, from submission_format.csv or any CSV file with video_id and time.

    Other columns are ignored. In the order of the file; a moment that stands twice (as where every animal has a row)
    counts once.
    """
    moments = (
        VideoSecond(row.text("video_id"), row.non_negative_number("time", "seconds"))
        for row in read_rows(path, required=("video_id", "time"))
    )
    return list(dict.fromkeys(moments))


def write_nearest_distances(path: Path, estimates: Iterable[Estimate]) -> int:
    """Writes video_id, time, distance of the nearest animal of each second, from estimates sorted by both.

    Returns how many seconds show several animals.

    Raises:
        RunError: the file can't be written.
    """
    n_several = 0
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "time", "distance"))
        seconds = groupby(estimates, lambda estimate: (estimate.observation.media_id, estimate.observation.time_s))
        for (media_id, time_s), rows in seconds:
            distances_m = [row.distance.distance_m for row in rows if row.distance is not None]
            if distances_m:
                writer.writerow((to_cell(media_id), f"{time_s:g}", f"{min(distances_m):.2f}"))
                n_several += len(distances_m) > 1
    return n_several


def write_metadata(path: Path, observations: Iterable[Observation]) -> None:
    """Writes train_metadata.csv, a row for each observation in the order given; the park stays empty.

    Raises:
        RunError: the file can't be written.
    """
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*METADATA_COLUMNS, "park", "site_id"))
        for seen in observations:
            box = ("",) * 5 if seen.box is None else (*(f"{x:.4f}" for x in seen.box.xyxy), f"{seen.box.score:.3f}")
            writer.writerow((to_cell(seen.media_id), f"{seen.time_s:g}", *box, "", to_cell(seen.site_id)))


def best_box_rows(path: Path | None) -> dict[VideoSecond, MetadataRow]:
    """For each second, the row whose box has the highest score; empty without a file."""
    best: dict[VideoSecond, MetadataRow] = {}
    for row in () if path is None else read_metadata(path):
        if row.second not in best or _score(row) > _score(best[row.second]):
            best[row.second] = row
    return best


def _score(row: MetadataRow) -> float:
    return -1.0 if row.box is None else row.box.score
