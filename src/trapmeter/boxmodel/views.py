"""How much a row may know of its surroundings: all, something else, not its site, or its own box alone.

The tables tell the site of every video and come from one detector. Users often don't tell the site, photos have no
neighbours in time, and another detector scores otherwise. So the model learns from copies of the rows as such users
would have them, and is judged on them too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from trapmeter.records import Box, Observation

MAX_LOG_POWER = 1.0
MAX_FLOOR, MIN_CEILING = 0.5, 0.75
THRESHOLDS = (0.0, 0.0, 0.1, 0.25)


class View(StrEnum):
    """What the features of a row may draw on."""

    FULL = "full"
    OTHER_DETECTOR = "other_detector"
    SITE_UNKNOWN = "site_unknown"
    SINGLE = "single"


def see(observations: Sequence[Observation], view: View) -> list[Observation]:
    """The same observations as `view` shows them, in the same order.

    OTHER_DETECTOR bends the scores of each site in its own way, drops boxes below a threshold, and shows only half of
    the site's videos. Learned from such copies, compressed or thresholded scores cost 0.07 m less; half sites made
    the full view 0.015 m better.
    """
    if view is View.OTHER_DETECTOR:
        return [_see_with_other_detector(seen) for seen in observations]
    if view is View.SITE_UNKNOWN:
        return [replace(seen, site_id="") for seen in observations]
    if view is View.SINGLE:
        return [Observation(str(i), 0.0, seen.box, animal_id=1) for i, seen in enumerate(observations)]
    return list(observations)


def _see_with_other_detector(seen: Observation) -> Observation:
    half = "ab"[_draws(seen.media_id)[0] >= 0.5]
    power, threshold, floor, ceiling = _draws(seen.site_id or seen.media_id)
    box = seen.box
    if box is not None:
        if box.score < THRESHOLDS[int(threshold * len(THRESHOLDS))]:
            box = None
        else:
            bent = box.score ** math.exp(MAX_LOG_POWER * (2 * power - 1))
            least, most = MAX_FLOOR * floor, 1.0 - (1.0 - MIN_CEILING) * ceiling
            box = Box(*box.xyxy, score=min(least + (most - least) * bent, 1.0))
    return replace(seen, box=box, site_id=f"{seen.site_id}/{half}" if seen.site_id else "")


def _draws(name: str) -> list[float]:
    """Four numbers in 0..1 that look random but belong to the name: training must be repeatable in any order."""
    digest = hashlib.sha256(name.encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in range(0, 16, 4)]
