"""How much is known about a row's camera and animal: what is hidden in training, and which errors to expect."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.box_groups import Floats32
from trapmeter.boxmodel.features import FEATURES
from trapmeter.facts import NO_FACTS, Facts

LENS, SIZE = ("hfov_deg", "aspect_ratio"), ("shoulder_m",)
MOUNTING, GROUND = ("camera_height_m", "pitch_deg"), ("ground_m", "ground_sd_log")

SHARES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.28, ()),
    (0.14, LENS),
    (0.10, SIZE),
    (0.20, LENS + SIZE),
    (0.05, LENS + MOUNTING),
    (0.06, LENS + SIZE + MOUNTING),
    (0.07, GROUND),
    (0.08, LENS + SIZE + GROUND),
    (0.02, LENS + SIZE + MOUNTING + GROUND),
)
"""What a model is told about a site in training, and how often."""


class Knowledge(StrEnum):
    """What decides how large errors are. Height and pitch alone reduce them little."""

    NOTHING = "nothing"
    LENS = "lens"
    SIZE = "size"
    LENS_AND_SIZE = "lens and size"
    GROUND = "ground"
    """By reference points."""
    EVERYTHING = "lens, size and ground"


FACTS_OF: dict[Knowledge, tuple[str, ...]] = {
    Knowledge.NOTHING: (),
    Knowledge.LENS: LENS,
    Knowledge.SIZE: SIZE,
    Knowledge.LENS_AND_SIZE: LENS + SIZE,
    Knowledge.GROUND: GROUND,
    Knowledge.EVERYTHING: LENS + SIZE + GROUND,
}
MARKS = ("fact_tan_log", "fact_shoulder_log", "ground_distance_middle")
"""Features that are unknown unless the lens, the size, or the ground at one of the animal's boxes is known."""
_KNOWLEDGE_BY_MARKS = {
    (False, False, False): Knowledge.NOTHING,
    (True, False, False): Knowledge.LENS,
    (False, True, False): Knowledge.SIZE,
    (True, True, False): Knowledge.LENS_AND_SIZE,
    (True, True, True): Knowledge.EVERYTHING,
}


def show(facts: Facts, names: Sequence[str]) -> Facts:
    """The facts of these names alone."""
    if facts is NO_FACTS or not names:
        return NO_FACTS
    return Facts(**{name: getattr(facts, name) for name in names})


def drawn_facts(facts: Facts, draw: float) -> Facts:
    """The facts with some of them hidden, by a number of 0..1 drawn for the site."""
    for share, names in SHARES:
        draw -= share
        if draw < 0:
            return show(facts, names)
    return show(facts, SHARES[-1][1])


def knowledge_of(rows: Floats32) -> NDArray[np.str_]:
    """What is known about each row of features (n x len(FEATURES))."""
    known = ~np.isnan(rows[:, [FEATURES.index(name) for name in MARKS]])
    return np.array(
        [_KNOWLEDGE_BY_MARKS.get(tuple(marks), Knowledge.GROUND) for marks in known.tolist()], dtype=np.str_
    )
