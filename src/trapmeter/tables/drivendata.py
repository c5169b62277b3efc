"""Tables of DrivenData's Deep Chimpact: labels, metadata, submission format.

The data set simtrap uses the same tables. Labels: video_id, time (s), distance (m, of the nearest animal). Metadata:
video_id, time, x1, y1, x2, y2 (fractions of the picture), probability, park, site_id; the box's five cells are empty where
the detector found nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.files import atomic_file
from trapmeter.records import Box, Estimate, Observation, VideoSecond
from trapmeter.tables.boxcells import COORDINATES, box_cells, read_box
from trapmeter.tables.csvfile import Row, UniqueRows, read_rows, to_cell
from trapmeter.tables.metres import known_metres

METADATA_COLUMNS = ("video_id", "time", *COORDINATES, "probability")
"""The columns of a table of boxes; park and site_id may be absent."""
FACT_COLUMNS = tuple(field.name for field in fields(Facts))
"""Optional columns of such a table: what is known about the row's camera and animal, empty where it is unknown."""


@dataclass(frozen=True, slots=True)
class Label:
    """The distance (metres) of the nearest animal at time_s (seconds) of a video."""

    video_id: str
    time_s: float
    distance_m: float

    @property
    def second(self) -> VideoSecond:
        """The labelled second."""
        return VideoSecond(self.video_id, self.time_s)


@dataclass(frozen=True, slots=True)
class MetadataRow:
    """A detection at time_s (seconds) of a video (None: nothing found), and where the camera stood, "" when unknown.

    facts: what the table's FACT_COLUMNS state.
    """

    video_id: str
    time_s: float
    box: Box | None
    park: str = ""
    site_id: str = ""
    facts: Facts = NO_FACTS

    @property
    def second(self) -> VideoSecond:
        """The second that the row describes."""
        return VideoSecond(self.video_id, self.time_s)


def read_labels(path: str | Path) -> list[Label]:
    """Reads train_labels.csv, in the order of the file.

    Raises:
        InputError: a cell is wrong, a distance is beyond `metres.FARTHEST_KNOWN_M`, or a second is labelled twice.
    """
    labels = []
    seconds = UniqueRows()
    for row in read_rows(path, required=("video_id", "time", "distance")):
        label = Label(
            row.text("video_id"),
            row.non_negative_number("time", "seconds"),
            known_metres(row, "distance"),
        )
        seconds.check(row, label.second, f"the label of {label.video_id} at {label.time_s:g} s")
        labels.append(label)
    return labels


def read_metadata(path: str | Path) -> list[MetadataRow]:
    """Reads train_metadata.csv, in the order of the file. Several rows of one second are several animals.

    Raises:
        InputError: a column is missing or a cell is wrong.
    """
    return [
        MetadataRow(
            row.text("video_id"),
            row.non_negative_number("time", "seconds"),
            read_box(row, score_column="probability"),
            row.optional_text("park"),
            row.optional_text("site_id"),
            _read_facts(row),
        )
        for row in read_rows(path, required=METADATA_COLUMNS)
    ]


def _read_facts(row: Row) -> Facts:
    known = {name: value for name in FACT_COLUMNS if (value := row.optional_number(name)) is not None}
    try:
        return Facts(**known) if known else NO_FACTS
    except InputError as error:
        raise InputError(f"{row.where}: {error}; leave the cell empty if you don't know it") from None


def read_video_seconds(path: str | Path) -> list[VideoSecond]:
    """Reads the requested seconds from submission_format.csv or any CSV file with video_id and time.

    In the order of the file; other columns are ignored. A second that appears several times (when every animal has a row,
    for example) counts once.

    Raises:
        InputError: a column is missing or a cell is wrong.
    """
    seconds = (
        VideoSecond(row.text("video_id"), row.non_negative_number("time", "seconds"))
        for row in read_rows(path, required=("video_id", "time"))
    )
    return list(dict.fromkeys(seconds))


def write_nearest_distances(path: Path, estimates: Iterable[Estimate]) -> int:
    """Writes video_id, time and distance of the nearest animal of each second, from estimates sorted by video and time.

    Returns the number of seconds with several animals.

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
        for row in observations:
            cells = to_cell(row.media_id), f"{row.time_s:g}", *box_cells(row.box), "", to_cell(row.site_id)
            writer.writerow(cells)


def best_box_rows(path: str | Path | None) -> dict[VideoSecond, MetadataRow]:
    """For each second, the row whose box has the highest score; empty without a file."""
    best: dict[VideoSecond, MetadataRow] = {}
    for row in () if path is None else read_metadata(path):
        if row.second not in best or _score(row) > _score(best[row.second]):
            best[row.second] = row
    return best


def _score(row: MetadataRow) -> float:
    return -1.0 if row.box is None else row.box.score
