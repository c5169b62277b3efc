"""A network's contract: size, offsets, scaling, channels and target. Light to import."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from trapmeter.errors import InputError, error_text
from trapmeter.windows import SECOND_PLACE_OFFSETS_S, TIME_ORDER_OFFSETS_S, Edge

MAX_OFFSET_S = 3600.0
MAX_WINDOW_BYTES = 100_000_000
"""Fifty times that of the 2nd-place system. A batch of eight windows of any bundle fits into a laptop's memory."""


class Resize(StrEnum):
    """How a full-size picture becomes one of the network's size; the aspect ratio is ignored, as in the 2nd-place system."""

    OPENCV_LINEAR = "opencv-linear"
    """OpenCV's bilinear without antialiasing from the full-size picture: what the published weights saw."""
    SWSCALE_AREA = "swscale-area"
    """FFmpeg's area average while decoding: less work and no aliasing."""


class Target(StrEnum):
    """What the network's one output is."""

    METRES = "metres"
    LOG1P = "log1p"
    """log(1 + metres)."""


class FrameEncoding(StrEnum):
    """What is shown of a window's frames."""

    RGB = "rgb"
    """All of them in colour, three channels each."""
    MOTION = "motion"
    """The second itself in colour, and of every other frame how much its grey differs from it: what has moved."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """A network's input: bytes, windows x channels x height x width; it divides by 255 itself."""

    size_hw: tuple[int, int] = (270, 480)
    offsets_s: tuple[float, ...] = TIME_ORDER_OFFSETS_S
    resize: Resize = Resize.SWSCALE_AREA
    edge: Edge = Edge.BLACK
    frames: FrameEncoding = FrameEncoding.RGB
    box_channel: bool = False
    """A last channel with the score of the animal's box inside it, and 0 elsewhere."""
    target: Target = Target.METRES

    def __post_init__(self) -> None:
        if min(self.size_hw) < 32 or max(self.size_hw) > 4096:
            raise InputError(f"a network's input has 32 to 4096 rows and columns, got {self.size_hw}")
        if 0.0 not in self.offsets_s or len(self.offsets_s) > 64:
            raise InputError(f"a window holds the second itself (0) and at most 64 frames, got {self.offsets_s}")
        # Comparing is False for what is no number, too.
        if not all(abs(offset) <= MAX_OFFSET_S for offset in self.offsets_s):
            raise InputError(f"a window's frames lie within {MAX_OFFSET_S:g} s of its second, got {self.offsets_s}")
        if not isinstance(self.box_channel, bool):
            raise InputError(f"box_channel is true or false, got {self.box_channel!r}")
        n_bytes = self.n_channels * self.size_hw[0] * self.size_hw[1]
        if n_bytes > MAX_WINDOW_BYTES:
            raise InputError(f"a window has at most {MAX_WINDOW_BYTES:,} bytes, got {n_bytes:,}")

    @property
    def n_channels(self) -> int:
        """Those of the frames, and one for the box."""
        n_frames = len(self.offsets_s)
        return (3 * n_frames if self.frames is FrameEncoding.RGB else 3 + n_frames - 1) + self.box_channel

    def to_json(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> InputSpec:
        """The inverse of `to_json`.

        Raises:
            InputError: a field is missing, unknown or of another kind.
        """
        try:
            return InputSpec(
                **{
                    **data,
                    "size_hw": (int(data["size_hw"][0]), int(data["size_hw"][1])),
                    "offsets_s": tuple(float(offset) for offset in data["offsets_s"]),
                    "resize": Resize(data["resize"]),
                    "edge": Edge(data["edge"]),
                    "frames": FrameEncoding(data["frames"]),
                    "target": Target(data["target"]),
                }
            )
        except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
            raise InputError(f"not an input specification of trapmeter: {error_text(error)}") from error


SECOND_PLACE_INPUT = InputSpec(
    size_hw=(270, 480), offsets_s=SECOND_PLACE_OFFSETS_S, resize=Resize.OPENCV_LINEAR, edge=Edge.BLACK
)
