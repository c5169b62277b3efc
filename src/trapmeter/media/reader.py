"""The reader's contract: frames at given seconds, facts about the medium, and how frames are scaled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from trapmeter.errors import InputError
from trapmeter.records import Frame, Status


@dataclass(frozen=True, slots=True)
class MediumFacts:
    """What a medium's file declares, and what it really contains.

    frame_rate: pictures a second, None for a photo; declared_s: the length that the file declares; length_s: the length of
    what can be read; doubts: sentences on what is wrong with a file that can be read nonetheless; hfov_deg: the horizontal
    field of view from a photo's EXIF, or None; recorded: when the medium was recorded according to the file (ISO 8601, with a
    zone if the file states it), or ""; camera_make, camera_model, camera_serial: the camera according to the file, or "".
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
    camera_make: str = ""
    camera_model: str = ""
    camera_serial: str = ""

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height


def printable_tag(value: object) -> str:
    """A text that a camera wrote into a file, without control characters, blanks around it, or what exceeds 100 characters.

    "" if the value is no text.
    """
    return "".join(filter(str.isprintable, value)).strip()[:100] if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class MissingFrame:
    """Why there is no picture at a second; status is past_end or failed."""

    status: Status
    reason: str


class MediumReader(Protocol):
    """An opened medium. Implemented with PyAV for videos, with Pillow for photos, and by fakes in tests."""

    @property
    def facts(self) -> MediumFacts:
        """What is known about the medium; its doubts may grow until all frames have been read."""
        ...

    def regular_times(self, every_s: float) -> list[float]:
        """0, every_s, 2 every_s, ... before the end, in seconds."""
        ...

    def frames(self, times_s: Sequence[float]) -> Iterator[Frame | MissingFrame]:
        """The picture shown at each of the given seconds (ascending): the last one that starts at or before it."""
        ...


@dataclass(frozen=True, slots=True)
class FitWithin:
    """Scales pictures down, never up, to fit within a height and width; keeps their aspect ratio."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class ExactSize:
    """Scales pictures, down or up, to exactly this height and width; does not keep their aspect ratio.

    Height and width are those of the picture as displayed: one that was filmed sideways is turned first.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise InputError(f"a picture needs at least one row and one column, got {self.height} x {self.width}")


Scale: TypeAlias = FitWithin | ExactSize | None
"""How to scale pictures; None keeps their size."""


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
    """The scale for a picture that is turned by 90 degrees after scaling: height and width swapped."""
    return None if scale is None else type(scale)(height=scale.width, width=scale.height)
