"""What is trained on: labelled moments of videos, from DrivenData's tables and from pseudolabels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.records import Box, VideoSecond
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.drivendata import best_box_rows, read_labels
from trapmeter.tables.truth import read_truth

LABELLED = "label"
PSEUDO = "pseudolabel"
OTHER_ANIMAL = "other animal"
DRAWN_SCORE = 0.9
"""Of a drawn box that is shown in place of a detector's."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment of a video with its distance in metres.

    box: what a detector saw, right or wrong, which the network is shown; drawn: where the animal is, if somebody drew it,
    which the network is not shown. weight: how much its error counts, 1 for a label; source: label, pseudolabel or other
    animal.
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
        """The second that the sample is of."""
        return VideoSecond(self.video_id, self.time_s)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.distance_m) and self.distance_m >= 0 and 0 < self.weight <= 1):
            raise InputError(
                f"{self.video_id} at {self.time_s:g} s: a distance is metres >= 0 and a weight lies in (0, 1], "
                f"got {self.distance_m} and {self.weight}"
            )


def read_samples(labels: Path, metadata: Path | None, animals: Path | None = None) -> list[Sample]:
    """Labels with the best box, park and site of their moment, in the order of the labels.

    animals: a table of every animal with its distance and its drawn box, such as simtrap's truth.csv. A label gets the box
    of the animal whose distance is nearest to it. Every other animal of that moment follows as a sample of its own, which is
    shown its drawn box: so a network learns to answer for the animal that it is asked about.

    Raises:
        InputError: a table is not as expected, or there are animals but none at any label's moment.
    """
    known = best_box_rows(metadata)
    drawn: dict[VideoSecond, list[tuple[float, Box]]] = defaultdict(list)
    for animal in read_truth(animals) if animals is not None else ():
        if animal.box is not None:
            drawn[VideoSecond(animal.video_id, animal.time_s)].append((animal.distance_m, animal.box))
    samples = []
    for label in read_labels(labels):
        row = known.get(label.second)
        box, site_id, park = (None, "", "") if row is None else (row.box, row.site_id, row.park)
        sample = Sample(label.video_id, label.time_s, label.distance_m, box, site_id, park)
        there = sorted(drawn.get(label.second, ()), key=lambda animal: abs(animal[0] - label.distance_m))
        samples.append(replace(sample, drawn=there[0][1]) if there else sample)
        samples += [
            replace(sample, distance_m=metres, box=replace(other, score=DRAWN_SCORE), drawn=other, source=OTHER_ANIMAL)
            for metres, other in there[1:]
        ]
    if animals is not None and not any(sample.drawn for sample in samples):
        raise InputError(
            f"{animals}: no animal with a box at any moment of {labels}; expected video_id, time, distance_m, x1, y1, x2 and "
            "y2 of the same videos and seconds"
        )
    return samples


def read_pseudolabels(path: Path, metadata: Path | None) -> list[Sample]:
    """Pseudolabels as `trapmeter pseudolabel` writes them: video_id, time, distance, weight; more columns are left aside."""
    known = best_box_rows(metadata)
    samples = []
    for row in read_rows(path, required=("video_id", "time", "distance", "weight")):
        second = VideoSecond(row.text("video_id"), row.non_negative_number("time", "seconds"))
        found = known.get(second)
        box, site_id, park = (None, "", "") if found is None else (found.box, found.site_id, found.park)
        distance_m, weight = row.non_negative_number("distance", "metres"), row.number("weight")
        samples.append(Sample(*second, distance_m, box, site_id, park, weight, PSEUDO))
    return samples


def without_other_animals(samples: Sequence[Sample]) -> list[Sample]:
    """Without the other animals: a sample for each row of the labels."""
    return [sample for sample in samples if sample.source != OTHER_ANIMAL]


def distances_by_video(samples: Sequence[Sample]) -> Mapping[str, list[float]]:
    """The distances of each video in metres."""
    distances: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        distances[sample.video_id].append(sample.distance_m)
    return distances
