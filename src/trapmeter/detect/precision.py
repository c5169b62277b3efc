"""What `--detector` may be, in a module of its own so that `--help` doesn't load the detectors."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from trapmeter.errors import InputError


class DetectorPrecision(StrEnum):
    """Precision of the embedded detector's numbers."""

    INT8 = "int8"
    """Most layers in 8 bits, with an input hardly larger than the scaled picture."""
    FLOAT32 = "float32"
    """As published, with the boxes of the original."""


def parse_detector(text: str) -> DetectorPrecision | Path:
    """The embedded detector in a precision, or the path of another detector's ONNX file."""
    return DetectorPrecision(text) if text in tuple(DetectorPrecision) else Path(text)


def check_detector_file(path: Path) -> None:
    """Checks that a detector's file is there; a mistyped precision is a path as well.

    Raises:
        InputError: it isn't.
    """
    if not path.is_file():
        reason = "this is a folder" if path.is_dir() else "there is no such file"
        raise InputError(
            f"--detector: expected {', '.join(DetectorPrecision)} or the ONNX file of a detector, got {str(path)!r}, but "
            f"{reason}; correct the path"
        )
