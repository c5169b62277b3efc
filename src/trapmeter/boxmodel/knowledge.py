"""How much is known about a row's camera and animal: what is hidden in training, and which errors to expect."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.box_groups import Floats32
from trapmeter.boxmodel.features import FEATURES
from trapmeter.facts import NO_FACTS, Facts

LENS, SIZE, MOUNTING = ("hfov_deg", "aspect_ratio"), ("shoulder_m",), ("camera_height_m", "pitch_deg")

SHARES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.32, ()),
    (0.15, LENS),
    (0.11, SIZE),
    (0.27, LENS + SIZE),
    (0.06, LENS + MOUNTING),
    (0.09, LENS + SIZE + MOUNTING),
)
"""What a model is told about a site in training, and how often."""


class Knowledge(StrEnum):
    """What decides how large errors are. Height and pitch reduce them little."""

    NOTHING = "nothing"
    LENS = "lens"
    SIZE = "size"
    LENS_AND_SIZE = "lens and size"


FACTS_OF: dict[Knowledge, tuple[str, ...]] = {
    Knowledge.NOTHING: (),
    Knowledge.LENS: LENS,
    Knowledge.SIZE: SIZE,
    Knowledge.LENS_AND_SIZE: LENS + SIZE,
}
MARKS = ("fact_tan_log", "fact_shoulder_log")
"""Features that are unknown unless the lens, or the size, is known."""
_KNOWLEDGE_BY_MARKS = np.array([[Knowledge.NOTHING, Knowledge.SIZE], [Knowledge.LENS, Knowledge.LENS_AND_SIZE]])


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
    has_lens, has_size = (~np.isnan(rows[:, FEATURES.index(name)]) for name in MARKS)
    return np.asarray(_KNOWLEDGE_BY_MARKS[has_lens.astype(int), has_size.astype(int)])
