"""A network's contract: size, offsets, scaling, channels and target. Light to import."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from trapmeter.errors import InputError, error_text
from trapmeter.models.fact_inputs import FACT_INPUTS
from trapmeter.windows import SECOND_PLACE_OFFSETS_S, TIME_ORDER_OFFSETS_S, Edge

MAX_OFFSET_S = 3600.0
MAX_WINDOW_BYTES = 100_000_000
"""Fifty times the 2nd-place system's window. Eight windows of any bundle fit into a laptop's memory."""


class Resize(StrEnum):
    """How a picture is scaled to the network's size; the aspect ratio is ignored, as in the 2nd-place system."""

    OPENCV_LINEAR = "opencv-linear"
    """OpenCV's bilinear scaling of the full-size picture, without antialiasing: what the published weights need."""
    SWSCALE_AREA = "swscale-area"
    """FFmpeg's area average while decoding: faster, and without aliasing."""


class Target(StrEnum):
    """The meaning of the network's single output."""

    METRES = "metres"
    LOG1P = "log1p"
    """log(1 + metres)."""


class FrameEncoding(StrEnum):
    """How a window's frames become channels."""

    RGB = "rgb"
    """All frames in colour, three channels each."""
    MOTION = "motion"
    """The window's own second in colour; of every other frame the difference of its grey from that second: motion."""


MAX_LOG_METRES = 6.0
"""Upper limit of a log1p output, 402 m: no animal is that far away, and untrained networks must not overflow."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """A network's input: bytes, windows x channels x height x width; it divides by 255 itself."""

    size_hw: tuple[int, int] = (270, 480)
    """Height and width of the frames in pixels, 32 to 4096 each."""
    offsets_s: tuple[float, ...] = TIME_ORDER_OFFSETS_S
    """Seconds from the window's own second to each of its frames, in the order of the channels; 0 must be among them."""
    resize: Resize = Resize.SWSCALE_AREA
    """How frames are scaled to this size."""
    edge: Edge = Edge.BLACK
    """What replaces frames before the start and after the end of the video."""
    frames: FrameEncoding = FrameEncoding.RGB
    """Frames as channels: rgb (all in colour) or motion (one in colour, differences of grey for the others)."""
    box_channel: bool = False
    """Add a last channel with the score of the animal's box inside the box and 0 elsewhere."""
    target: Target = Target.METRES
    """Meaning of the output: metres or log1p, log(1 + metres)."""
    facts: tuple[str, ...] = ()
    """Numbers about animal and camera that the network takes in a second input, float32, NaN where unknown; they need a box
    channel."""

    def __post_init__(self) -> None:
        if min(self.size_hw) < 32 or max(self.size_hw) > 4096:
            raise InputError(f"expected an input of 32 to 4096 rows and columns, got {self.size_hw}")
        if 0.0 not in self.offsets_s or len(self.offsets_s) > 64:
            raise InputError(
                f"expected at most 64 offsets with 0, the window's own second, among them, got {self.offsets_s}"
            )
        # Comparisons with NaN are False.
        if not all(abs(offset) <= MAX_OFFSET_S for offset in self.offsets_s):
            raise InputError(f"a window's frames lie within {MAX_OFFSET_S:g} s of its second, got {self.offsets_s}")
        if not isinstance(self.box_channel, bool):
            raise InputError(f"box_channel must be true or false, got {self.box_channel!r}")
        n_bytes = self.n_channels * self.size_hw[0] * self.size_hw[1]
        if n_bytes > MAX_WINDOW_BYTES:
            raise InputError(f"a window has at most {MAX_WINDOW_BYTES:,} bytes, got {n_bytes:,}")
        unknown = [name for name in self.facts if name not in FACT_INPUTS]
        if unknown or len(set(self.facts)) != len(self.facts):
            raise InputError(f"facts: expected any of {', '.join(FACT_INPUTS)}, each once, got {', '.join(self.facts)}")
        if self.facts and not self.box_channel:
            raise InputError("facts are about the animal in a box, so the input needs a box channel")

    @property
    def n_channels(self) -> int:
        """The number of channels: those of the frames, and one for the box."""
        n_frames = len(self.offsets_s)
        return (3 * n_frames if self.frames is FrameEncoding.RGB else 3 + n_frames - 1) + self.box_channel

    def to_json(self) -> dict[str, Any]:
        """As plain values for JSON; without `facts` if there are none, as before networks took any."""
        values = asdict(self)
        if not self.facts:
            del values["facts"]
        return values

    @staticmethod
    def from_json(data: dict[str, Any]) -> InputSpec:
        """The inverse of `to_json`.

        Raises:
            InputError: a field is missing, unknown or invalid.
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
                    "facts": tuple(str(name) for name in data.get("facts", ())),
                }
            )
        except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
            raise InputError(f"not an input specification of trapmeter: {error_text(error)}") from error


SECOND_PLACE_INPUT = InputSpec(
    size_hw=(270, 480), offsets_s=SECOND_PLACE_OFFSETS_S, resize=Resize.OPENCV_LINEAR, edge=Edge.BLACK
)
