"""The frozen records that all modules share: Box, Medium, Frame, Observation, Distance and Estimate.

Field names carry units. Records are checked when they are made, so that code that receives one need not check it again.
Box coordinates are fractions of the picture: x to the right, y down, origin at the top left corner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError
from trapmeter.storage.address import AnyPath

Pixels = NDArray[np.uint8]
"""A picture: uint8, height x width x 3, RGB."""

CONFIDENT_SCORE = 0.3
"""Detector score from which a box is more often right than wrong."""


class VideoSecond(NamedTuple):
    """A second of a video, as the competition's tables name it: the key of labels, boxes and predictions."""

    video_id: str
    time_s: float


def check_species_score(score: float | None) -> None:
    """Raises InputError if a score of a species is no share."""
    if score is not None and not 0.0 <= score <= 1.0:
        raise InputError(f"the score of a species must lie in 0..1, got {score:g}")


@dataclass(frozen=True, slots=True)
class Box:
    """A detected animal's bounding box.

    x1, y1 (top left) and x2, y2 (bottom right) are fractions of picture width and height, 0 <= x1 < x2 <= 1 and the same
    for y. score is the detector's confidence, 0..1. species: the canonical name of the animal's species, "" if unknown; also
    that of a person or vehicle (see `trapmeter.tables.species_names`). species_score: the classifier's confidence in the
    species, 0..1, None if unknown. species_label: what the classifier or a person said, if that is another name.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    species: str = ""
    species_score: float | None = None
    species_label: str = ""

    def __post_init__(self) -> None:
        if not (0.0 <= self.x1 < self.x2 <= 1.0 and 0.0 <= self.y1 < self.y2 <= 1.0):
            raise InputError(
                "a box needs 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 (fractions of the picture), "
                f"got x1={self.x1:g} y1={self.y1:g} x2={self.x2:g} y2={self.y2:g}"
            )
        if not 0.0 <= self.score <= 1.0:
            raise InputError(f"a box's score must lie in 0..1, got {self.score:g}")
        check_species_score(self.species_score)

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The four coordinates, in the order x1, y1, x2, y2."""
        return (self.x1, self.y1, self.x2, self.y2)


class MediumKind(StrEnum):
    """What kind of file a medium is."""

    VIDEO = "video"
    PHOTO = "photo"


@dataclass(frozen=True, slots=True)
class Medium:
    """A video or photo to process.

    media_id is its path below the input folder, with forward slashes: the name that all tables use.
    """

    media_id: str
    path: AnyPath
    kind: MediumKind
    site_id: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded picture. time_s is its presentation time from the start of the video.

    is_corrupt: the decoder itself marked the picture as damaged. others: the same picture in the other sizes that its medium
    was opened for.
    """

    pixels: Pixels
    time_s: float
    is_corrupt: bool = False
    others: tuple[Pixels, ...] = ()

    def __post_init__(self) -> None:
        for pixels in (self.pixels, *self.others):
            if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
                raise ValueError(f"a frame is uint8, height x width x 3; got {pixels.dtype} {pixels.shape}")


@dataclass(frozen=True, slots=True)
class Observation:
    """One animal (or none: box is None) at one second of one medium.

    animal_id counts from 1 within an event and follows an animal from second to second, and from photo to photo of a
    sequence; 0 if there is no animal. is_night: the medium's pictures have no colours, as under infrared flash; None if
    unknown. species: its canonical name, "" if unknown. species_score: confidence of the classifier that named it, 0..1; None
    if no classifier did. species_label: what the classifier or a person said, if that is another name. A person or vehicle
    has a box and a species, but animal_id 0. taken_at: date and time of the second. event_id: "" if the medium is an event of
    its own. is_first: whether this is the animal's first position in its event. The last three are unknown in a run without
    any time.
    """

    media_id: str
    time_s: float
    box: Box | None = None
    animal_id: int = 0
    site_id: str = ""
    is_night: bool | None = None
    species: str = ""
    species_score: float | None = None
    taken_at: datetime | None = None
    event_id: str = ""
    is_first: bool | None = None
    species_label: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time_s) and self.time_s >= 0):
            raise InputError(f"{self.media_id}: a time is a number of seconds >= 0, got {self.time_s}")
        check_species_score(self.species_score)

    @property
    def site_or_medium(self) -> str:
        """The site; if it is unknown, the medium, which then counts as a site of its own."""
        return self.site_id or self.media_id

    @property
    def event_key(self) -> tuple[bool, str]:
        """The event; if it is unknown, the medium. Marked as event (True) or medium: they may have the same name."""
        return bool(self.event_id), self.event_id or self.media_id

    @property
    def animal_key(self) -> tuple[bool, str, int]:
        """What tells an animal from all others of a run; animals without a number are those of their medium."""
        return (*self.event_key, self.animal_id) if self.animal_id else (False, self.media_id, 0)

    @property
    def site_key(self) -> tuple[bool, str]:
        """`site_or_medium`, marked as site (True) or medium: they may have the same name."""
        return bool(self.site_id), self.site_or_medium


N_DRAWS = 10


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance in metres with the ends of its 90 % interval, low_m <= distance_m <= high_m.

    draws_m: the 5 %, 15 %, ... 95 % quantiles of the predictive distribution, ascending; empty if unknown. They have equal
    weight, and pooled over many rows they have the spread of the true distances, which the distances themselves lack.
    doubt: why the distance is unreliable; empty if nothing is odd.
    """

    distance_m: float
    low_m: float
    high_m: float
    draws_m: tuple[float, ...] = ()
    doubt: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.low_m <= self.distance_m <= self.high_m < math.inf:
            raise ValueError(f"expected 0 <= low <= distance <= high, got {self.low_m} {self.distance_m} {self.high_m}")
        if self.draws_m and (
            len(self.draws_m) != N_DRAWS or not all(a <= b for a, b in pairwise((0.0, *self.draws_m, math.inf)))
        ):
            raise ValueError(f"expected {N_DRAWS} draws >= 0, ascending, got {self.draws_m}")


class Status(StrEnum):
    """The outcome of a requested second.

    unknown: whether there is an animal can't be said, because no detector saw the picture or a part of it is lost.
    """

    MEASURED = "measured"
    NO_ANIMAL = "no_animal"
    UNKNOWN = "unknown"
    FAILED = "failed"
    PAST_END = "past_end"


def row_order(estimate: Estimate) -> tuple[str, float, int]:
    """The sort key of tables of estimates: media_id, time, animal_id."""
    observation = estimate.observation
    return observation.media_id, observation.time_s, observation.animal_id


REVIEW_MODEL_ID = "review"
"""The model_id of a distance that a person entered."""
STATIC_PREFIX = "static: "
"""Starts the part of a reason that says why a box probably shows a thing, not an animal."""
REVIEW_PREFIX = "review: "
"""Starts each part of a reason that records a person's decision."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate for an observation: a row of distances.csv.

    distance is set exactly when status is measured. reason: why the row failed or is unknown, or what is doubtful about it.
    angle_deg: the bearing from the camera's axis, positive to the right.
    """

    observation: Observation
    status: Status
    distance: Distance | None = None
    angle_deg: float | None = None
    reason: str = ""
    model_id: str = ""

    def __post_init__(self) -> None:
        if (self.status is Status.MEASURED) != (self.distance is not None):
            raise ValueError(f"only measured rows have a distance, got {self.status} and {self.distance}")
        if self.status in (Status.FAILED, Status.UNKNOWN) and not self.reason:
            raise ValueError(f"a row that is {self.status} needs a reason")

    @property
    def measured_distance(self) -> Distance:
        """The distance of a measured row.

        Raises:
            ValueError: the row is not measured.
        """
        if self.distance is None:
            raise ValueError(f"{self.observation.media_id} at {self.observation.time_s:g} s has no distance")
        return self.distance

    @property
    def is_by_hand(self) -> bool:
        """Whether a person entered the distance."""
        return self.model_id == REVIEW_MODEL_ID

    @property
    def is_static(self) -> bool:
        """Whether the box probably shows a thing that stays in place, and no person has accepted it as an animal."""
        parts = self.reason.split("; ")
        return any(part.startswith(STATIC_PREFIX) for part in parts) and self.doubts == self.reason

    @property
    def doubts(self) -> str:
        """The reason without a person's decisions about the row; "" if nothing is doubtful."""
        return "; ".join(part for part in self.reason.split("; ") if not part.startswith(REVIEW_PREFIX))


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model made a prediction: a readable name, and the sha256 of its file."""

    model_id: str
    sha256: str


class Detector(Protocol):
    """Finds animals in pictures: the interface of every detector that works on pixels."""

    @property
    def identity(self) -> ModelIdentity:
        """The name and checksum that results carry."""
        ...

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width to which pictures may be scaled down before detection, pixels."""
        ...

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        """Boxes of each picture, best score first. Pictures may differ in size."""
        ...
