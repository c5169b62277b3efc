"""The input of a detector's network: its size and layout, and how a picture gets there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from trapmeter.detect.onnx_metadata import MAX_SIDE, Metadata
from trapmeter.errors import ModelError
from trapmeter.records import Pixels

TYPES: dict[str, DTypeLike] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
SIZE_TYPES: dict[str, DTypeLike] = {**TYPES, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
SIZES_NAME = "orig_target_sizes"
"""The input by which RT-DETR's own export learns the picture's size."""
SUPPORTED = (
    "expected one input of shape (1, 3, height, width) or (1, height, width, 3) with float or float16 values, and at most "
    f"{SIZES_NAME} of shape (1, 2) beside it"
)
DEFAULT_SIDE, LARGE_SIDE = 640, 1280
DEFAULT_STRIDE, LARGE_STRIDE = 32, 64
"""YOLO's networks for pictures of 640 pixels have a stride of 32; those for 1280, as MegaDetector 5, one of 64."""


class NetworkNode(Protocol):
    """An input or output of a network, as onnxruntime describes it."""

    name: str
    type: str
    shape: list[Any]


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """The input of a network that takes one picture.

    size_hw: its largest height and width, pixels. step_hw: height and width are multiples of these; equal to size_hw if the
    size is fixed. sizes_name, sizes_type: of the input for the picture's size, if there is one.
    """

    name: str
    dtype: DTypeLike
    size_hw: tuple[int, int]
    step_hw: tuple[int, int]
    is_channels_last: bool = False
    sizes_name: str | None = None
    sizes_type: DTypeLike = np.int64

    def feed(self, canvas: Pixels) -> dict[str, Any]:
        """The network's inputs for a canvas (uint8, height x width x 3, RGB): values of 0..1.

        The picture's size is given as that of the canvas, so that boxes come back in its pixels.
        """
        values = np.divide(canvas, 255.0, dtype=np.float32).astype(self.dtype)
        picture = values if self.is_channels_last else np.ascontiguousarray(values.transpose(2, 0, 1))
        fed: dict[str, Any] = {self.name: picture[None]}
        if self.sizes_name is not None:
            height, width = canvas.shape[:2]
            fed[self.sizes_name] = np.array([[width, height]], self.sizes_type)
        return fed


def read_input(path: Path, nodes: Sequence[NetworkNode], metadata: Metadata) -> NetworkInput:
    """The input that a network declares; where it leaves the size open, the metadata's or that of YOLO's networks.

    Raises:
        ModelError: the network takes other inputs than one picture.
    """
    pictures = [node for node in nodes if node.type in TYPES and len(node.shape) == 4]
    sizes = [node for node in nodes if node.name == SIZES_NAME and node.type in SIZE_TYPES]
    is_known = len(pictures) == 1 and len(sizes) <= 1 and len(nodes) == len(pictures) + len(sizes)
    if not is_known:
        raise ModelError(f"{path}: {SUPPORTED}, got {_described(nodes)}; export it in another way")
    (picture,) = pictures
    is_channels_last = picture.shape[3] == 3 and picture.shape[1] != 3
    batch, *rest = picture.shape
    channels = rest.pop(2 if is_channels_last else 0)
    if (isinstance(batch, int) and batch != 1) or (isinstance(channels, int) and channels != 3):
        raise ModelError(f"{path}: {SUPPORTED}, got {_described(nodes)}; export it for one RGB picture at a time")
    stride = metadata.stride or DEFAULT_STRIDE
    side = LARGE_SIDE if stride == LARGE_STRIDE else DEFAULT_SIDE
    open_hw = metadata.size_hw or (side, side)
    fixed = [side if isinstance(side, int) else None for side in rest]
    if any(side is not None and not 1 <= side <= MAX_SIDE for side in fixed):
        raise ModelError(f"{path}: {SUPPORTED}, sides up to {MAX_SIDE}, got {_described(nodes)}; export it again")
    (height, step_h), (width, step_w) = (
        (most, stride) if declared is None else (declared, declared)
        for declared, most in zip(fixed, open_hw, strict=True)
    )
    return NetworkInput(
        picture.name,
        TYPES[picture.type],
        (height, width),
        (step_h, step_w),
        is_channels_last,
        sizes[0].name if sizes else None,
        SIZE_TYPES[sizes[0].type] if sizes else np.int64,
    )


def _described(nodes: Sequence[NetworkNode]) -> str:
    return ", ".join(f"{node.name} {node.type} {tuple(node.shape)}" for node in nodes) or "none"
