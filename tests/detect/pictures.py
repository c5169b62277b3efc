"""Pictures for detection: real photographs if available, and drawn ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from trapmeter.records import Pixels


def read_still(shared: Path, name: str) -> Pixels:
    with Image.open(shared / "stills" / name) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def drawn_animal() -> Pixels:
    """A dark animal with legs on light ground, 360 x 640, which the detector detects."""
    row, column = np.mgrid[:360, :640]
    picture = np.full((360, 640, 3), (120, 130, 90), dtype=np.uint8)
    picture[:180] = (170, 190, 200)
    body = ((column - 320) / 110) ** 2 + ((row - 190) / 55) ** 2 < 1
    head = ((column - 440) / 40) ** 2 + ((row - 150) / 32) ** 2 < 1
    legs = np.isin((column - 240) // 20, (0, 2, 6, 8)) & (row > 190) & (row < 300)
    picture[body | head | legs] = (60, 45, 35)
    return picture
