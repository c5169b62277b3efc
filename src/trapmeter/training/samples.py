"""Training samples, read from labels, drawn boxes and pseudolabels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.models.input_spec import InputSpec
from trapmeter.records import Box, VideoSecond
from trapmeter.tables.cameras import CameraSetup, read_cameras
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.drivendata import MetadataRow, best_box_rows, read_labels
from trapmeter.tables.truth import TruthRow, read_truth

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
    the input. weight: of its error in the loss, 1 for a label. source: label, pseudolabel or other animal. facts: what is
    known about its animal and camera.
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
    # Not in the repr, so that checksums of samples without facts stay the same (`training.job.samples_digest`).
    facts: Facts = field(default=NO_FACTS, repr=False)

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


def read_samples(
    labels: Path, metadata: Path | None, animals: Path | None = None, cameras: Path | None = None
) -> list[Sample]:
    """Labels with the best box, park and site of their second, in the order of the labels.

    animals: a table of every animal with its distance and its drawn box, such as simtrap's truth.csv. A label gets the box
    of the animal with the closest distance. Every other animal of that second follows as a sample of its own whose drawn box
    is part of the input, so that a network learns to estimate the animal in the box. cameras: a table of each site's camera,
    as `tables.cameras` reads it.

    Raises:
        InputError: a table is invalid, no animal has a box at any label's second, or no camera is of a label's site.
    """
    row_of = best_box_rows(metadata)
    camera_of = {} if cameras is None else read_cameras(cameras)
    drawn: dict[VideoSecond, list[TruthRow]] = defaultdict(list)
    for animal in read_truth(animals) if animals is not None else ():
        if animal.box is not None:
            drawn[VideoSecond(animal.video_id, animal.time_s)].append(animal)
    samples = []
    for label in read_labels(labels):
        row = row_of.get(label.second, NO_ROW)
        facts = camera_facts(camera_of.get(row.site_id))
        sample = Sample(label.video_id, label.time_s, label.distance_m, row.box, row.site_id, row.park, facts=facts)
        animals_then = sorted(drawn.get(label.second, ()), key=lambda animal: abs(animal.distance_m - label.distance_m))
        samples.append(_of_animal(sample, animals_then[0]) if animals_then else sample)
        samples += [
            replace(_of_animal(sample, other), distance_m=other.distance_m, box=_as_input(other), source=OTHER_ANIMAL)
            for other in animals_then[1:]
        ]
    if animals is not None and not any(sample.drawn for sample in samples):
        raise InputError(
            f"{animals}: no animal with a box at any second of {labels}; expected video_id, time, distance_m, x1, y1, x2 and "
            "y2 of the same videos and seconds"
        )
    if cameras is not None and not any(sample.site_id in camera_of for sample in samples):
        raise InputError(
            f"{cameras}: none of its {len(camera_of)} cameras is of a labelled site; give the sites of the videos with "
            "--metadata"
        )
    return samples


def camera_facts(camera: CameraSetup | None) -> Facts:
    """The facts of a site's camera; a frame store doesn't know the pictures' own aspect ratio."""
    if camera is None:
        return NO_FACTS
    return Facts(camera.hfov_deg, camera.aspect_ratio, camera_height_m=camera.height_m, pitch_deg=camera.pitch_deg)


def _of_animal(sample: Sample, animal: TruthRow) -> Sample:
    return replace(sample, drawn=animal.box, facts=replace(sample.facts, shoulder_m=animal.shoulder_m))


def _as_input(animal: TruthRow) -> Box | None:
    return None if animal.box is None else replace(animal.box, score=DRAWN_SCORE)


def read_pseudolabels(path: Path, metadata: Path | None, cameras: Path | None = None) -> list[Sample]:
    """Pseudolabels as `trapmeter pseudolabel` writes them: video_id, time, distance, weight; other columns are ignored."""
    row_of = best_box_rows(metadata)
    camera_of = {} if cameras is None else read_cameras(cameras)
    samples = []
    for row in read_rows(path, required=("video_id", "time", "distance", "weight")):
        second = VideoSecond(row.text("video_id"), row.non_negative_number("time", "seconds"))
        found = row_of.get(second, NO_ROW)
        distance_m, weight = row.non_negative_number("distance", "metres"), row.number("weight")
        facts = camera_facts(camera_of.get(found.site_id))
        samples.append(Sample(*second, distance_m, found.box, found.site_id, found.park, weight, PSEUDO, facts=facts))
    return samples


def for_input(samples: Sequence[Sample], spec: InputSpec) -> list[Sample]:
    """The samples that a network with this input can learn from, with no more facts than it takes.

    Without a box channel, nothing shows the network which animal is meant.
    """
    if not spec.box_channel:
        samples = without_other_animals(samples)
    return list(samples) if spec.facts else [replace(sample, facts=NO_FACTS) for sample in samples]


def without_other_animals(samples: Sequence[Sample]) -> list[Sample]:
    """One sample for each row of the labels."""
    return [sample for sample in samples if sample.source != OTHER_ANIMAL]


def describe_facts(samples: Sequence[Sample]) -> str:
    """How many samples have each fact, as text."""
    known = {
        "lens": sum(sample.facts.hfov_deg is not None for sample in samples),
        "shoulder height": sum(sample.facts.shoulder_m is not None for sample in samples),
        "camera height": sum(sample.facts.camera_height_m is not None for sample in samples),
        "pitch": sum(sample.facts.pitch_deg is not None for sample in samples),
    }
    return f"facts known of {len(samples)} samples: " + ", ".join(f"{name} {n}" for name, n in known.items())


def distances_by_video(samples: Sequence[Sample]) -> Mapping[str, list[float]]:
    """The distances of each video in metres."""
    distances: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        distances[sample.video_id].append(sample.distance_m)
    return distances
