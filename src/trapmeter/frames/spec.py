"""The specification of a store's pictures: size, scaling and codec. Light to import.

It is written into the store and checked whenever the store is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trapmeter.errors import InputError, error_text
from trapmeter.models.input_spec import InputSpec, Resize

MAX_SIDE = 8192
"""More rows or columns than any network takes: a limit on the memory that a damaged file can request."""

DEFAULT_JPEG_QUALITY = 95
JPEG_SUBSAMPLING = "4:4:4"


class Codec(StrEnum):
    """How a picture is encoded."""

    JPEG = "jpeg"
    """JPEG with colours at full resolution (4:4:4): a quarter of PNG's bytes, half its time to load."""
    PNG = "png"
    """Lossless, for results that must equal the reference's to the last digit."""


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """The pictures of a store: uint8 RGB, with their size (height, width), scaling and codec.

    jpeg_quality: 1..100, for JPEG only.
    """

    size_hw: tuple[int, int] = (270, 480)
    resize: Resize = Resize.SWSCALE_AREA
    codec: Codec = Codec.JPEG
    jpeg_quality: int = DEFAULT_JPEG_QUALITY

    def __post_init__(self) -> None:
        if not 1 <= min(self.size_hw) <= max(self.size_hw) <= MAX_SIDE:
            raise InputError(f"expected pictures of 1 to {MAX_SIDE} rows and columns, got {self.size_hw}")
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"expected a JPEG quality of 1 to 100, got {self.jpeg_quality}")

    def check_serves(self, inputs: InputSpec) -> None:
        """Checks that a network with this input can use the store.

        Raises:
            InputError: it needs pictures of another size or with another scaling.
        """
        differences = [
            f"{name} is {_size_text(stored)}, the network's {_size_text(needed)}"
            for name, stored, needed in (
                ("size", self.size_hw, inputs.size_hw),
                ("resize", self.resize, inputs.resize),
            )
            if stored != needed
        ]
        if differences:
            raise InputError(
                f"this frame store doesn't fit the network: {'; '.join(differences)}; "
                f"fill another store with --size {_size_text(inputs.size_hw)} --resize {inputs.resize}"
            )

    def to_json(self) -> dict[str, Any]:
        """As plain values for JSON."""
        plain: dict[str, Any] = {"size_hw": list(self.size_hw), "resize": str(self.resize), "codec": str(self.codec)}
        if self.codec is Codec.JPEG:
            plain |= {"jpeg_quality": self.jpeg_quality, "jpeg_subsampling": JPEG_SUBSAMPLING}
        return plain

    @staticmethod
    def from_json(data: dict[str, Any]) -> StoreSpec:
        """The inverse of `to_json`.

        Raises:
            InputError: a field is missing, unknown or invalid.
        """
        try:
            height, width = data["size_hw"]
            spec = StoreSpec(
                (int(height), int(width)),
                Resize(data["resize"]),
                Codec(data["codec"]),
                int(data.get("jpeg_quality", DEFAULT_JPEG_QUALITY)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the specification of a frame store: {error_text(error)}") from error
        if spec.to_json() != data:
            raise InputError(f"not the specification of a frame store: expected {spec.to_json()}, got {data}")
        return spec

    def differences(self, other: StoreSpec) -> list[str]:
        """The differences to another specification, such as "size_hw is [270, 480], not [135, 240]"."""
        others = other.to_json()
        return [
            f"{name} is {value}, not {others[name]}"
            for name, value in self.to_json().items()
            if value != others.get(name, value)
        ]


def parse_size(text: str) -> tuple[int, int]:
    """Height and width from a text such as "270x480".

    Raises:
        InputError: the text has another form.
    """
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and len(text) < 20):
        raise InputError(f"expected height x width, such as 270x480; got {text!r}")
    return int(height), int(width)


def _size_text(value: tuple[int, int] | str) -> str:
    return value if isinstance(value, str) else f"{value[0]}x{value[1]}"
