"""The reader's contract: frames at given seconds, facts about the medium, and how frames are scaled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from trapmeter.errors import InputError
from trapmeter.records import Frame, Status


@dataclass(frozen=True, slots=True)
class MediumFacts:
    """What a medium says of itself, and what it really holds.

    frame_rate: pictures a second on average, None for a photo; declared_s: the length that the file declares; length_s: the
    length of what can be read; doubts: sentences on what is wrong with the file although it can be read; hfov_deg: the
    horizontal field of view that a photo's EXIF tells, None where it tells none; recorded: when the file says that it was
    recorded (ISO 8601, no zone), "" where it doesn't.
    """

    codec: str
    width: int
    height: int
    frame_rate: float | None
    declared_s: float | None
    length_s: float
    doubts: tuple[str, ...] = ()
    hfov_deg: float | None = None
    recorded: str = ""

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height


@dataclass(frozen=True, slots=True)
class MissingFrame:
    """Why there is no picture at a second: status is past_end or failed."""

    status: Status
    reason: str


class MediumReader(Protocol):
    """An opened medium. The seam: PyAV for videos, Pillow for photos, a fake in tests."""

    @property
    def facts(self) -> MediumFacts:
        """What is known of the medium as a whole; its doubts may grow until all frames are read."""
        ...

    def regular_times(self, every_s: float) -> list[float]:
        """The seconds of a regular sample: 0, every_s, ... before the end."""
        ...

    def frames(self, times_s: Sequence[float]) -> Iterator[Frame | MissingFrame]:
        """The picture shown at each of the given seconds (ascending): the last one whose time is not after it."""
        ...


@dataclass(frozen=True, slots=True)
class FitWithin:
    """Pictures are scaled down, never up, to fit within a height and width, keeping their shape."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class ExactSize:
    """Pictures are scaled, down or up, to just this height and width; they don't keep their shape.

    Meant is the picture as it is shown: one that was filmed on its side is turned first.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise InputError(f"a picture needs at least one row and one column, got {self.height} x {self.width}")


Scale: TypeAlias = FitWithin | ExactSize | None
"""What becomes of a picture's size; None leaves it as it is."""


def scaled_size(width: int, height: int, scale: Scale) -> tuple[int, int]:
    """Width and height of a picture after scaling; each at least 1."""
    match scale:
        case None:
            return width, height
        case ExactSize():
            return scale.width, scale.height
        case FitWithin():
            factor = min(1.0, scale.width / width, scale.height / height)
            return max(1, round(width * factor)), max(1, round(height * factor))


def transpose_scale(scale: Scale) -> Scale:
    """The scale of a picture that is turned by a quarter only after scaling: rows and columns change places."""
    return None if scale is None else type(scale)(height=scale.width, width=scale.height)
