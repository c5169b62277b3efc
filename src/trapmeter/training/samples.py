"""Training samples, read from labels, drawn boxes and pseudolabels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.records import Box, VideoSecond
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.drivendata import MetadataRow, best_box_rows, read_labels
from trapmeter.tables.truth import read_truth

LABELLED = "label"
PSEUDO = "pseudolabel"
OTHER_ANIMAL = "other animal"
DRAWN_SCORE = 0.9
"""Score of a drawn box that the network gets in place of a detector's."""

NO_ROW = MetadataRow("", 0.0, None)
"""Stands for a second without a row in the metadata."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A second of a video with its distance in metres.

    box: a detector's, right or wrong; part of the network's input. drawn: the animal's box if someone drew it; not part of
    the input. weight: of its error in the loss, 1 for a label. source: label, pseudolabel or other animal.
    """

    video_id: str
    time_s: float
    distance_m: float
    box: Box | None = None
    site_id: str = ""
    park: str = ""
    weight: float = 1.0
    source: str = LABELLED
    drawn: Box | None = None

    @property
    def second(self) -> VideoSecond:
        """The sample's second."""
        return VideoSecond(self.video_id, self.time_s)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.distance_m) and self.distance_m >= 0 and 0 < self.weight <= 1):
            raise InputError(
                f"{self.video_id} at {self.time_s:g} s: expected a distance of at least 0 m and a weight above 0 and at "
                f"most 1, got {self.distance_m} and {self.weight}"
            )


def read_samples(labels: Path, metadata: Path | None, animals: Path | None = None) -> list[Sample]:
    """Labels with the best box, park and site of their second, in the order of the labels.

    animals: a table of every animal with its distance and its drawn box, such as simtrap's truth.csv. A label gets the box
    of the animal with the closest distance. Every other animal of that second follows as a sample of its own whose drawn box
    is part of the input, so that a network learns to estimate the animal in the box.

    Raises:
        InputError: a table is invalid, or no animal has a box at any label's second.
    """
    row_of = best_box_rows(metadata)
    drawn: dict[VideoSecond, list[tuple[float, Box]]] = defaultdict(list)
    for animal in read_truth(animals) if animals is not None else ():
        if animal.box is not None:
            drawn[VideoSecond(animal.video_id, animal.time_s)].append((animal.distance_m, animal.box))
    samples = []
    for label in read_labels(labels):
        row = row_of.get(label.second, NO_ROW)
        sample = Sample(label.video_id, label.time_s, label.distance_m, row.box, row.site_id, row.park)
        animals_then = sorted(drawn.get(label.second, ()), key=lambda animal: abs(animal[0] - label.distance_m))
        samples.append(replace(sample, drawn=animals_then[0][1]) if animals_then else sample)
        samples += [
            replace(sample, distance_m=metres, box=replace(other, score=DRAWN_SCORE), drawn=other, source=OTHER_ANIMAL)
            for metres, other in animals_then[1:]
        ]
    if animals is not None and not any(sample.drawn for sample in samples):
        raise InputError(
            f"{animals}: no animal with a box at any second of {labels}; expected video_id, time, distance_m, x1, y1, x2 and "
            "y2 of the same videos and seconds"
        )
    return samples


def read_pseudolabels(path: Path, metadata: Path | None) -> list[Sample]:
    """Pseudolabels as `trapmeter pseudolabel` writes them: video_id, time, distance, weight; other columns are ignored."""
    row_of = best_box_rows(metadata)
    samples = []
    for row in read_rows(path, required=("video_id", "time", "distance", "weight")):
        second = VideoSecond(row.text("video_id"), row.non_negative_number("time", "seconds"))
        found = row_of.get(second, NO_ROW)
        distance_m, weight = row.non_negative_number("distance", "metres"), row.number("weight")
        samples.append(Sample(*second, distance_m, found.box, found.site_id, found.park, weight, PSEUDO))
    return samples


def without_other_animals(samples: Sequence[Sample]) -> list[Sample]:
    """One sample for each row of the labels."""
    return [sample for sample in samples if sample.source != OTHER_ANIMAL]


def distances_by_video(samples: Sequence[Sample]) -> Mapping[str, list[float]]:
    """The distances of each video in metres."""
    distances: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        distances[sample.video_id].append(sample.distance_m)
    return distances
