"""What a student is to say of each moment.

labelled moments     between the label and the answer of the teachers that had not learnt from that video, in
                     log(1 + metres): those that had know its labels by heart, and what they say is no more than the label
other moments        the mean of all teachers; the more they differ, the less it counts
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trapmeter.files import whole_file
from trapmeter.predict.stored import Answer, Moment
from trapmeter.pseudolabels import PseudolabelSettings
from trapmeter.training.samples import Sample


@dataclass(frozen=True, slots=True)
class Asked:
    """What the teachers are asked about: samples whose distance is the label's, or 0 where there is none."""

    labelled: tuple[Sample, ...]
    unlabelled: tuple[Sample, ...]
    others: tuple[Sample, ...] = ()
    """Further drawn animals of labelled moments: teachers are not asked about them, since their distances are known."""

    @property
    def moments(self) -> list[Moment]:
        """All of them."""
        return [(sample.video_id, sample.time_s) for sample in (*self.labelled, *self.unlabelled)]


@dataclass(frozen=True, slots=True)
class Told:
    """What the teachers say of a moment; is_unseen: none of those asked had learnt from its video."""

    answer: Answer
    is_unseen: bool


def told_by_teachers(
    asked: Asked, answers: Mapping[Moment, Sequence[float]], unseen: Sequence[frozenset[str]]
) -> dict[Moment, Told]:
    """The answer that counts for each moment.

    answers: metres by teacher, each with its mirror images side by side. unseen: of each teacher, the videos that it was not
    trained on. Of a labelled moment only teachers that had not seen its video are heard, if there are any.
    """
    is_labelled = {(sample.video_id, sample.time_s) for sample in asked.labelled}
    told: dict[Moment, Told] = {}
    for moment in asked.moments:
        metres = np.reshape(answers[moment], (len(unseen), -1))
        heard = [moment[0] in videos for videos in unseen] if moment in is_labelled else []
        chosen = metres[heard] if any(heard) else metres
        told[moment] = Told(Answer(float(chosen.mean()), float(chosen.std())), any(heard))
    return told


def targets(
    asked: Asked, told: Mapping[Moment, Told], label_share: float, pseudolabels: PseudolabelSettings
) -> list[Sample]:
    """The samples that the student learns from, with what it is to say of them."""
    samples = []
    for sample in asked.labelled:
        answer = told[sample.video_id, sample.time_s].answer
        samples.append(_retold(sample, mixed(sample.distance_m, answer.distance_m, label_share), sample.weight))
    for sample in asked.unlabelled:
        answer = told[sample.video_id, sample.time_s].answer
        weight = pseudolabels.weight(answer)
        if weight is not None:
            samples.append(_retold(sample, answer.distance_m, weight))
    return [*samples, *asked.others]


def mixed(label_m: float, answer_m: float, label_share: float) -> float:
    """Between a label and an answer, both in metres, in log(1 + metres)."""
    return math.expm1(label_share * math.log1p(label_m) + (1 - label_share) * math.log1p(answer_m))


def write_targets(path: Path, samples: Sequence[Sample], asked: Asked, told: Mapping[Moment, Told]) -> None:
    """Writes what the student is to say of each moment, and what that was made of; metres."""
    labels = {(sample.video_id, sample.time_s): sample.distance_m for sample in asked.labelled}
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "time", "distance", "weight", "label", "teachers", "spread", "teachers_unseen"))
        for sample in samples[: len(samples) - len(asked.others)]:
            moment = sample.video_id, sample.time_s
            said = told[moment]
            label = f"{labels[moment]:g}" if moment in labels else ""
            teachers = (f"{said.answer.distance_m:.4f}", f"{said.answer.spread_m:.4f}", int(said.is_unseen))
            row = (f"{sample.time_s:g}", f"{sample.distance_m:.4f}", f"{sample.weight:.4f}")
            writer.writerow((sample.video_id, *row, label, *teachers))


def _retold(sample: Sample, distance_m: float, weight: float) -> Sample:
    return replace(sample, distance_m=distance_m, weight=weight)
