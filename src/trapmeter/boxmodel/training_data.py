"""Labelled observations, the views under which a box model learns from them, and their features as arrays."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.box_groups import Ints
from trapmeter.boxmodel.features import features
from trapmeter.boxmodel.intervals import Flags, Floats, to_target
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.errors import InputError
from trapmeter.records import Box, Observation, VideoSecond
from trapmeter.tables.drivendata import MetadataRow, read_labels, read_metadata


@dataclass(frozen=True, slots=True)
class LabelledObservation:
    """An observation and how far (metres, >= 0) the animal stood. park: for figures alone; no model sees it."""

    observation: Observation
    distance_m: float
    park: str = ""

    @property
    def site_key(self) -> str:
        """The site, or the medium where the site is unknown: rows of a place are alike."""
        return self.observation.site_id or self.observation.media_id

    def __post_init__(self) -> None:
        if not (math.isfinite(self.distance_m) and self.distance_m >= 0):
            raise InputError(f"{self.observation.media_id}: a distance is metres >= 0, got {self.distance_m}")


def read_labelled_observations(folder: Path) -> list[LabelledObservation]:
    """Joins train_labels.csv with train_metadata.csv of a folder, in the order of the labels.

    These tables tell of one animal a video: all rows of a video get animal 1, also those without a box, so that they
    see that animal's boxes through time.

    Raises:
        InputError: a table is not as expected, or a label has no row of metadata.
    """
    known: dict[VideoSecond, MetadataRow] = {}
    for row in read_metadata(folder / "train_metadata.csv"):
        if row.second in known:
            raise InputError(
                f"{folder / 'train_metadata.csv'}: several rows for {row.video_id} at {row.time_s:g} s; a label is of one "
                "animal, so keep the row of that one"
            )
        known[row.second] = row
    samples = []
    for label in read_labels(folder / "train_labels.csv"):
        found = known.get(label.second)
        if found is None:
            raise InputError(
                f"{folder}: train_labels.csv has {label.video_id} at {label.time_s:g} s, but train_metadata.csv has no "
                "such row; both tables need the same pairs of video_id and time"
            )
        seen = Observation(found.video_id, found.time_s, found.box, animal_id=1, site_id=found.site_id)
        samples.append(LabelledObservation(seen, label.distance_m, found.park))
    return samples


MAX_LOG_POWER = 1.0
MAX_FLOOR, MIN_CEILING = 0.5, 0.75
THRESHOLDS = (0.0, 0.0, 0.1, 0.25)


class View(StrEnum):
    """What the features of a row may draw on."""

    FULL = "full"
    OTHER_DETECTOR = "other_detector"
    SITE_UNKNOWN = "site_unknown"
    SINGLE = "single"


def apply_view(observations: Sequence[Observation], view: View) -> list[Observation]:
    """The same observations as `view` shows them, in the same order.

    OTHER_DETECTOR bends the scores of each site in its own way, drops boxes below a threshold, and shows only half of
    the site's videos. Learned from such copies, compressed or thresholded scores cost 0.07 m less; half sites made
    the full view 0.015 m better.
    """
    if view is View.OTHER_DETECTOR:
        return [_as_other_detector(seen) for seen in observations]
    if view is View.SITE_UNKNOWN:
        return [replace(seen, site_id="") for seen in observations]
    if view is View.SINGLE:
        return [Observation(str(i), 0.0, seen.box, animal_id=1) for i, seen in enumerate(observations)]
    return list(observations)


def _as_other_detector(seen: Observation) -> Observation:
    half = "ab"[_hash_draws(seen.media_id)[0] >= 0.5]
    power, threshold, floor, ceiling = _hash_draws(seen.site_id or seen.media_id)
    box = seen.box
    if box is not None:
        if box.score < THRESHOLDS[int(threshold * len(THRESHOLDS))]:
            box = None
        else:
            bent = box.score ** math.exp(MAX_LOG_POWER * (2 * power - 1))
            least, most = MAX_FLOOR * floor, 1.0 - (1.0 - MIN_CEILING) * ceiling
            box = Box(*box.xyxy, score=min(least + (most - least) * bent, 1.0))
    return replace(seen, box=box, site_id=f"{seen.site_id}/{half}" if seen.site_id else "")


def _hash_draws(name: str) -> list[float]:
    """Four numbers in 0..1 that look random but belong to the name: training must be repeatable in any order."""
    digest = hashlib.sha256(name.encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in range(0, 16, 4)]


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """Rows to learn from: features under each view (n x len(FEATURES)), target (n) and whether there is a box (n).

    site_index (n): 0..k-1, the number of the row's site, or of its medium where the site is unknown.
    """

    features: Mapping[View, NDArray[np.float32]]
    target: Floats
    is_boxed: Flags
    site_index: Ints


def build_training_table(samples: Sequence[LabelledObservation]) -> TrainingTable:
    """Features of all samples under all views."""
    observations = [sample.observation for sample in samples]
    return TrainingTable(
        {view: features(apply_view(observations, view)) for view in View},
        to_target(np.array([sample.distance_m for sample in samples])),
        np.array([seen.box is not None for seen in observations]),
        np.unique([sample.site_key for sample in samples], return_inverse=True)[1].astype(np.int64),
    )


def view_weights(settings: BoxModelSettings) -> dict[View, float]:
    """How much a row counts under each view; views that count nothing are left out."""
    weights = {
        View.FULL: 1.0,
        View.OTHER_DETECTOR: settings.other_detector_weight,
        View.SITE_UNKNOWN: settings.site_unknown_weight,
        View.SINGLE: settings.single_weight,
    }
    return {view: weight for view, weight in weights.items() if weight > 0}
