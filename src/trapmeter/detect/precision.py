"""The precisions of the built-in detector, in a module of their own so that `--help` doesn't load the detector."""

from __future__ import annotations

from enum import StrEnum


class DetectorPrecision(StrEnum):
    """Precision of the detector's numbers."""

    INT8 = "int8"
    """Most layers in 8 bits, with an input hardly larger than the scaled picture."""
    FLOAT32 = "float32"
    """As published, with the boxes of the original."""
