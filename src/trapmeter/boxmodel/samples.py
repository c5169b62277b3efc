"""Observations with a measured distance: what the box model learns from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.records import Observation
from trapmeter.tables.drivendata import MetadataRow, read_labels, read_metadata


@dataclass(frozen=True, slots=True)
class LabelledObservation:
    """An observation and how far (metres, >= 0) the animal stood. park: for figures alone; no model sees it."""

    observation: Observation
    distance_m: float
    park: str = ""

    @property
    def place(self) -> str:
        """The site, or the medium where the site is unknown: rows of a place are alike."""
        return self.observation.site_id or self.observation.media_id

    def __post_init__(self) -> None:
        if not (math.isfinite(self.distance_m) and self.distance_m >= 0):
            raise InputError(f"{self.observation.media_id}: a distance is metres >= 0, got {self.distance_m}")


def read_tables(folder: Path) -> list[LabelledObservation]:
    """Joins train_labels.csv with train_metadata.csv of a folder, in the order of the labels.

    These tables tell of one animal a video: all rows of a video get animal 1, also those without a box, so that they
    see that animal's boxes through time.

    Raises:
        InputError: a table is not as expected, or a label has no row of metadata.
    """
    known: dict[tuple[str, float], MetadataRow] = {}
    for row in read_metadata(folder / "train_metadata.csv"):
        if (row.video_id, row.time_s) in known:
            raise InputError(
                f"{folder / 'train_metadata.csv'}: several rows for {row.video_id} at {row.time_s:g} s; a label is of one "
                "animal, so keep the row of that one"
            )
        known[row.video_id, row.time_s] = row
    samples = []
    for label in read_labels(folder / "train_labels.csv"):
        found = known.get((label.video_id, label.time_s))
        if found is None:
            raise InputError(
                f"{folder}: train_labels.csv has {label.video_id} at {label.time_s:g} s, but train_metadata.csv has no "
                "such row; both tables need the same pairs of video_id and time"
            )
        seen = Observation(found.video_id, found.time_s, found.box, animal_id=1, site_id=found.site_id)
        samples.append(LabelledObservation(seen, label.distance_m, found.park))
    return samples
