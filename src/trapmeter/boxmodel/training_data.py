"""Reads labelled observations, and makes the views and features from which a box model learns."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from trapmeter.boxmodel.box_groups import Flags, Floats, Floats32, Ints
from trapmeter.boxmodel.features import features
from trapmeter.boxmodel.intervals import to_target
from trapmeter.boxmodel.knowledge import FACTS_OF, Knowledge, drawn_facts, show
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.errors import InputError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.files import PathLike
from trapmeter.records import Box, Observation, VideoSecond
from trapmeter.tables.drivendata import MetadataRow, read_labels, read_metadata


@dataclass(frozen=True, slots=True)
class LabelledObservation:
    """An observation, the animal's true distance (metres, >= 0) and what is known about it and its camera.

    park: only for figures, not for models. weight: how much the row counts in training.
    """

    observation: Observation
    distance_m: float
    park: str = ""
    facts: Facts = NO_FACTS
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.distance_m) and self.distance_m >= 0):
            raise InputError(f"{self.observation.media_id}: a distance is metres >= 0, got {self.distance_m}")


def read_labelled_observations(folder: PathLike) -> list[LabelledObservation]:
    """Joins train_labels.csv with train_metadata.csv of a folder, in the order of the labels.

    The metadata may have the columns of `trapmeter.tables.drivendata.FACT_COLUMNS`.

    These tables have one animal per video: all rows of a video get animal 1, including those without a box, so they have that
    animal's boxes as context.

    Raises:
        InputError: a table is not as expected, or a label has no row of metadata.
    """
    folder = Path(folder)
    metadata: dict[VideoSecond, MetadataRow] = {}
    for row in read_metadata(folder / "train_metadata.csv"):
        if row.second in metadata:
            raise InputError(
                f"{folder / 'train_metadata.csv'}: several rows for {row.video_id} at {row.time_s:g} s; a label belongs to "
                "one animal, so keep only that animal's row"
            )
        metadata[row.second] = row
    samples = []
    for label in read_labels(folder / "train_labels.csv"):
        labelled = metadata.get(label.second)
        if labelled is None:
            raise InputError(
                f"{folder}: train_labels.csv has {label.video_id} at {label.time_s:g} s, but train_metadata.csv has no "
                "such row; every label needs a row of metadata with the same video_id and time"
            )
        observation = Observation(
            labelled.video_id, labelled.time_s, labelled.box, animal_id=1, site_id=labelled.site_id
        )
        samples.append(LabelledObservation(observation, label.distance_m, labelled.park, labelled.facts))
    return samples


def read_tables(folders: Sequence[PathLike]) -> list[LabelledObservation]:
    """The labelled observations of several folders.

    Raises:
        InputError: as `read_labelled_observations`, or two folders have a medium in common.
    """
    samples: list[LabelledObservation] = []
    seen: dict[str, PathLike] = {}
    for folder in folders:
        of_folder = read_labelled_observations(folder)
        media = {sample.observation.media_id for sample in of_folder}
        if known := sorted(media & seen.keys()):
            raise InputError(f"{folder} and {seen[known[0]]} both have the medium {known[0]}; give each table once")
        seen |= dict.fromkeys(media, folder)
        samples += of_folder
    return samples


SIMULATED = "simulated"
"""The park of simulated sites."""


class View(StrEnum):
    """What the features of a row are computed from; see `apply_view`."""

    FULL = "full"
    OTHER_DETECTOR = "other_detector"
    SITE_UNKNOWN = "site_unknown"
    SINGLE = "single"


def apply_view(observations: Sequence[Observation], view: View) -> list[Observation]:
    """The same observations as they appear in a view, in the same order.

    OTHER_DETECTOR rescales the scores of each site in a different way, drops boxes below a threshold, and splits the site's
    videos into two sites. After training on such copies, compressed or thresholded scores cost 0.07 m less, and the split
    made the full view 0.015 m better. SITE_UNKNOWN removes the site, SINGLE all context.
    """
    if view is View.OTHER_DETECTOR:
        return [_as_other_detector(observation) for observation in observations]
    if view is View.SITE_UNKNOWN:
        return [replace(observation, site_id="") for observation in observations]
    if view is View.SINGLE:
        return [Observation(str(i), 0.0, observation.box, animal_id=1) for i, observation in enumerate(observations)]
    return list(observations)


MAX_LOG_POWER = 1.0
MAX_FLOOR, MIN_CEILING = 0.5, 0.75
THRESHOLDS = (0.0, 0.0, 0.1, 0.25)
"""How far OTHER_DETECTOR may change scores: score -> floor + (ceiling - floor) score^power, above a threshold."""


def _as_other_detector(observation: Observation) -> Observation:
    half = "ab"[_hash_draws(observation.media_id)[0] >= 0.5]
    power, threshold, floor, ceiling = _hash_draws(observation.site_or_medium)
    box = observation.box
    if box is not None:
        if box.score < THRESHOLDS[int(threshold * len(THRESHOLDS))]:
            box = None
        else:
            score = box.score ** math.exp(MAX_LOG_POWER * (2 * power - 1))
            least, most = MAX_FLOOR * floor, 1.0 - (1.0 - MIN_CEILING) * ceiling
            box = Box(*box.xyxy, score=min(least + (most - least) * score, 1.0))
    return replace(observation, box=box, site_id=f"{observation.site_id}/{half}" if observation.site_id else "")


def _hash_draws(name: str, n: int = 4) -> list[float]:
    """Up to eight pseudorandom numbers in 0..1 that depend only on the name: the order of the rows must not matter."""
    digest = hashlib.sha256(name.encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in range(0, 4 * n, 4)]


@dataclass(frozen=True, slots=True)
class Case:
    """One way to ask a model about samples."""

    view: View
    knowledge: Knowledge = Knowledge.NOTHING

    def __str__(self) -> str:
        return str(self.view) if self.knowledge is Knowledge.NOTHING else f"told {self.knowledge}"

    def features(self, samples: Sequence[LabelledObservation]) -> Floats32:
        """The samples' features, n x len(FEATURES)."""
        observations = apply_view([sample.observation for sample in samples], self.view)
        return features(observations, [show(sample.facts, FACTS_OF[self.knowledge]) for sample in samples])

    def applies_to(self, samples: Sequence[LabelledObservation]) -> Flags:
        """Which samples have something to tell in this case (n)."""
        names = FACTS_OF[self.knowledge]
        return np.array([all(getattr(sample.facts, name) is not None for name in names) for sample in samples])


FULL = Case(View.FULL)
CASES = (*map(Case, View), *(Case(View.FULL, known) for known in Knowledge if known is not Knowledge.NOTHING))


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """Rows to train on: features in each view (n x len(FEATURES)), target and weight (n each).

    is_simulated (n): the row is of a simulated site.

    site_index (n): 0..k-1, the number of the row's site, or of its medium if the site is unknown.
    """

    features: Mapping[View, Floats32]
    target: Floats
    weight: Floats
    is_simulated: Flags
    site_index: Ints


def build_training_table(samples: Sequence[LabelledObservation]) -> TrainingTable:
    """Features of all samples in all views. In each view, a site's facts are shown or hidden by another draw."""
    observations = [sample.observation for sample in samples]
    return TrainingTable(
        {view: features(apply_view(observations, view), _drawn_facts(samples, view)) for view in View},
        to_target(np.array([sample.distance_m for sample in samples])),
        np.array([sample.weight for sample in samples]),
        np.array([sample.park == SIMULATED for sample in samples]),
        np.unique([observation.site_or_medium for observation in observations], return_inverse=True)[1].astype(
            np.int64
        ),
    )


def _drawn_facts(samples: Sequence[LabelledObservation], view: View) -> list[Facts]:
    draws: dict[str, float] = {}
    facts = []
    for sample in samples:
        site = sample.observation.site_or_medium
        if site not in draws:
            (draws[site],) = _hash_draws(f"{site}/{view}", 1)
        facts.append(drawn_facts(sample.facts, draws[site]))
    return facts


def view_weights(settings: BoxModelSettings) -> dict[View, float]:
    """How much a row counts in each view; views with weight 0 are left out."""
    weights = {
        View.FULL: 1.0,
        View.OTHER_DETECTOR: settings.other_detector_weight,
        View.SITE_UNKNOWN: settings.site_unknown_weight,
        View.SINGLE: settings.single_weight,
    }
    return {view: weight for view, weight in weights.items() if weight > 0}
