"""The records that all other modules speak in.

All are frozen, carry units in their names, and are checked when made: who receives one need not check it again.
Boxes are fractions of the picture: x to the right, y down, origin at the top left corner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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
"""Of a detector: at or above it, a box is more often right than wrong."""


class VideoSecond(NamedTuple):
    """A second of a video, as the competition's tables name it: the key of labels, boxes and predictions."""

    video_id: str
    time_s: float


@dataclass(frozen=True, slots=True)
class Box:
    """Where a detector saw an animal.

    x1, y1 (top left) and x2, y2 (bottom right) are fractions of picture width and height, 0 <= 1 < 2 <= 1;
    score is the detector's confidence, 0..1.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    score: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.x1 < self.x2 <= 1.0 and 0.0 <= self.y1 < self.y2 <= 1.0):
            raise InputError(
                "a box needs 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 (fractions of the picture), "
                f"got x1={self.x1:g} y1={self.y1:g} x2={self.x2:g} y2={self.y2:g}"
            )
        if not 0.0 <= self.score <= 1.0:
            raise InputError(f"a box's score must lie in 0..1, got {self.score:g}")

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
    """A video or photo to measure in.

    media_id is the path below the folder that was given, with forward slashes: the name that all tables use.
    """

    media_id: str
    path: AnyPath
    kind: MediumKind
    site_id: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded picture. time_s is its presentation time from the start of the video.

    is_corrupt says that the decoder itself marked the picture as damaged. others: the same picture in the further sizes that
    its medium was opened for.
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

    animal_id counts from 1 within a medium and stays with an animal from second to second; 0 when there is no animal.
    is_night: whether the medium's pictures are without colours, as by infrared flash; None where nobody looked.
    species: as it was told; "" where it wasn't.
    """

    media_id: str
    time_s: float
    box: Box | None = None
    animal_id: int = 0
    site_id: str = ""
    is_night: bool | None = None
    species: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time_s) and self.time_s >= 0):
            raise InputError(f"{self.media_id}: a time is a number of seconds >= 0, got {self.time_s}")


N_DRAWS = 10


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance in metres with the ends of its 90 % interval, low_m <= distance_m <= high_m.

    draws_m: the middles of the ten tenths of where the animal may stand (5 %, 15 %, ... 95 %), ascending; empty where nobody
    knows. They count alike, and their mix over many rows has the spread of the truth, which the distances themselves lack.
    doubt: why the distance rests on little, empty where nothing is odd.
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
    """What became of a second that was asked for."""

    MEASURED = "measured"
    NO_ANIMAL = "no_animal"
    FAILED = "failed"
    PAST_END = "past_end"


def row_order(estimate: Estimate) -> tuple[str, float, int]:
    """By which tables of estimates are sorted: media_id, time, animal_id."""
    seen = estimate.observation
    return seen.media_id, seen.time_s, seen.animal_id


REVIEW_MODEL_ID = "review"
"""The model_id of a distance that a person gave."""
REVIEW_PREFIX = "review: "
"""How those parts of a reason begin that say what a person decided."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is answered for an observation: a row of distances.csv.

    distance is given exactly when status is measured; reason says why a row failed or what is doubtful about it.
    angle_deg is the bearing from the camera's axis, positive to the right.
    """

    observation: Observation
    status: Status
    distance: Distance | None = None
    angle_deg: float | None = None
    reason: str = ""
    model_id: str = ""

    def __post_init__(self) -> None:
        if (self.status is Status.MEASURED) != (self.distance is not None):
            raise ValueError(f"a distance belongs to measured rows alone, got {self.status} and {self.distance}")
        if self.status is Status.FAILED and not self.reason:
            raise ValueError("a failed row needs a reason")

    @property
    def is_by_hand(self) -> bool:
        """Whether a person gave the distance."""
        return self.model_id == REVIEW_MODEL_ID

    @property
    def doubts(self) -> str:
        """The reason without what a person decided about the row; "" where nothing is doubtful."""
        return "; ".join(part for part in self.reason.split("; ") if not part.startswith(REVIEW_PREFIX))


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model answered: a readable name and the sha256 of its file."""

    model_id: str
    sha256: str


class Detector(Protocol):
    """Finds animals in pictures. The seam for every detector that looks at pixels."""

    @property
    def identity(self) -> ModelIdentity:
        """The name and checksum that every row of an answer carries."""
        ...

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the network's input: pictures need not be decoded larger than fits in it."""
        ...

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        """Boxes of each picture, best score first. Pictures may differ in size."""
        ...
