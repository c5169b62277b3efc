"""What the pictures of a frame store are: it is written into the store and checked whenever the store is used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trapmeter.errors import InputError, error_text
from trapmeter.models.input_spec import InputSpec, Resize

MAX_SIDE = 8192
"""More rows or columns than any network takes; a damaged file can't make us ask for more memory."""

DEFAULT_JPEG_QUALITY = 95
JPEG_SUBSAMPLING = "4:4:4"


class Codec(StrEnum):
    """How a picture is kept."""

    JPEG = "jpeg"
    """With all colours at full resolution (4:4:4): a quarter of PNG's bytes, half its time to load."""
    PNG = "png"
    """Without loss: where figures must be those of the reference to the last digit."""


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """The pictures of a store: uint8 RGB of size_hw (height, width), scaled as resize says, kept as codec says.

    jpeg_quality (1..100) is for JPEG alone.
    """

    size_hw: tuple[int, int] = (270, 480)
    resize: Resize = Resize.SWSCALE_AREA
    codec: Codec = Codec.JPEG
    jpeg_quality: int = DEFAULT_JPEG_QUALITY

    def __post_init__(self) -> None:
        if not 1 <= min(self.size_hw) <= max(self.size_hw) <= MAX_SIDE:
            raise InputError(f"stored pictures have 1 to {MAX_SIDE} rows and columns, got {self.size_hw}")
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"JPEG's quality lies in 1..100, got {self.jpeg_quality}")

    def check_serves(self, inputs: InputSpec) -> None:
        """That a network with these inputs may read the store.

        Raises:
            InputError: it expects pictures of another size, or scaled in another way.
        """
        differences = [
            f"{name} is {_size_text(mine)}, the network's {_size_text(its)}"
            for name, mine, its in (
                ("size", self.size_hw, inputs.size_hw),
                ("resize", self.resize, inputs.resize),
            )
            if mine != its
        ]
        if differences:
            raise InputError(
                f"this frame store is not what the network expects: {'; '.join(differences)}; "
                f"make another store with --size {_size_text(inputs.size_hw)} --resize {inputs.resize}"
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
            InputError: a field is missing, unknown or of another kind.
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
        """What sets another specification apart, as "size_hw is [270, 480], not [135, 240]"."""
        mine, others = self.to_json(), other.to_json()
        return [
            f"{name} is {mine[name]}, not {others[name]}" for name in mine if mine[name] != others.get(name, mine[name])
        ]


def parse_size(text: str) -> tuple[int, int]:
    """Height and width from a text such as "270x480".

    Raises:
        InputError: it is no such text.
    """
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and len(text) < 20):
        raise InputError(f"a size is height x width, such as 270x480; got {text!r}")
    return int(height), int(width)


def _size_text(value: tuple[int, int] | str) -> str:
    return value if isinstance(value, str) else f"{value[0]}x{value[1]}"
