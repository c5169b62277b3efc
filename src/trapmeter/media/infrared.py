"""Tells pictures taken by infrared flash, at night, from those with colours."""

from __future__ import annotations

import numpy as np

from trapmeter.records import Pixels

MAX_COLOUR = 3.0
"""Between simtrap's nights (at most 2.2) and its days (at least 4.6); real photographs lay below 0.6 and above 10."""


SAMPLING_STEP = 4
"""Each fourth row and column tells as much (within 0.1 for 240 pictures of simtrap), at 0.5 in place of 8 ms."""


def is_infrared(pixels: Pixels) -> bool:
    """Whether a picture is without colours. A tint that lies over all of it, as some cameras' nights have, is no colour."""
    return colourfulness(pixels[::SAMPLING_STEP, ::SAMPLING_STEP]) < MAX_COLOUR


def colourfulness(pixels: Pixels) -> float:
    """How much the colours of a picture's pixels differ, 0..510: mean distance of R - G and B - G from their medians."""
    red, green, blue = np.moveaxis(pixels.astype(np.int16), -1, 0)
    return float(sum(np.abs(tint - np.median(tint)).mean() for tint in (red - green, blue - green)))
