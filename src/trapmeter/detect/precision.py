"""Which detectors there are; apart from the detector itself, so that `--help` need not load it."""

from __future__ import annotations

from enum import StrEnum


class DetectorPrecision(StrEnum):
    """Of the numbers that the detector reckons with."""

    INT8 = "int8"
    """Most layers in 8 bits, on a canvas that is hardly larger than the picture."""
    FLOAT32 = "float32"
    """As published: the boxes of the original."""
