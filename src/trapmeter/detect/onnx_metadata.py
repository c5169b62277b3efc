"""What the makers of detectors write into the metadata of an ONNX file: class names, picture size and stride.

The texts are those of YOLOv5's and ultralytics' exports, written as Python literals. They may come from anywhere, so they are
read as literals with bounds, and never run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmeter.errors import ModelError

MEGADETECTOR_CLASSES = ("animal", "person", "vehicle")
"""The classes of MegaDetector, in the order of versions 5, 6 and 1000."""
MAX_TEXT = 100_000
MAX_CLASSES = 10_000
MAX_NAME_LENGTH = 100
MAX_SIDE = 8192
"""Largest height or width of a network's input, pixels."""
MAX_STRIDE = 512


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an ONNX file says about its detector.

    classes: the names in the order of their numbers, or MegaDetector's if the file names none. has_classes: it names them.
    size_hw: height and width of the pictures, and stride: what sides of a picture are multiples of, both in pixels and None
    if the file doesn't say.
    """

    classes: tuple[str, ...] = MEGADETECTOR_CLASSES
    has_classes: bool = False
    size_hw: tuple[int, int] | None = None
    stride: int | None = None


def read_metadata(path: Path, texts: Mapping[str, str]) -> Metadata:
    """The metadata of an ONNX file; texts: its entries by name.

    Raises:
        ModelError: an entry is not what YOLOv5 and ultralytics write.
    """
    try:
        classes = _class_names(_literal(texts, "names"))
        size = _literal(texts, "imgsz")
        stride = _literal(texts, "stride")
        if isinstance(stride, list | tuple):  # one for each level in some versions
            stride = max(stride)
        return Metadata(
            classes or MEGADETECTOR_CLASSES,
            has_classes=classes is not None,
            size_hw=None if size is None else _sides(size),
            stride=None if stride is None else _whole("stride", stride, MAX_STRIDE),
        )
    # Deep nesting and huge numbers raise other errors than ValueError.
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ModelError(
            f"{path}: its metadata can't be read ({error}); expected names such as "
            "{0: 'animal', 1: 'person', 2: 'vehicle'}, imgsz such as [640, 640] and stride such as 32; export it again"
        ) from error


def _literal(texts: Mapping[str, str], name: str) -> Any:
    text = texts.get(name)
    if text is None:
        return None
    if len(text) > MAX_TEXT:
        raise ValueError(f"{name} has more than {MAX_TEXT:,} characters")
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"{name} is {text[:80]!r}") from None


def _class_names(names: Any) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise ValueError(f"names must be numbered from 0, got {str(list(names))[:80]}")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list | tuple) or not 1 <= len(names) <= MAX_CLASSES:
        raise ValueError(f"names must be 1 to {MAX_CLASSES:,} texts, got {str(names)[:80]}")
    for name in names:
        if not isinstance(name, str) or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise ValueError(f"names must be texts of at most {MAX_NAME_LENGTH} characters, got {str(name)[:80]!r}")
    return tuple(names)


def _sides(size: Any) -> tuple[int, int]:
    sides = [size, size] if isinstance(size, int) else size
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise ValueError(f"imgsz must be one or two numbers, got {str(size)[:80]}")
    height, width = (_whole("imgsz", side, MAX_SIDE) for side in sides)
    return height, width


def _whole(name: str, number: Any, most: int) -> int:
    if not isinstance(number, int | float) or not 1 <= number <= most or number != int(number):
        raise ValueError(f"{name} must be whole and from 1 to {most}, got {str(number)[:80]}")
    return int(number)
