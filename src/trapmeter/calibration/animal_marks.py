"""Animals of known size as marks for a camera fit: where they stand and how large they look shows the ground.

Rows of a track show one animal, so a few of them count. Boxes that the picture's edge cuts, that stay in place or that the
detector doubts are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from trapmeter.calibration.animal_size import EDGE_MARGIN, SizeSettings
from trapmeter.records import Box, Observation
from trapmeter.tables.reference_marks import Mark, Upright, UprightKind
from trapmeter.tables.species import ShoulderHeight

MIN_SCORE = 0.5
MIN_SIDE = 0.02
"""Height of a box, as a fraction of the picture: smaller ones show little of their size."""
LOWEST_EDGE = 0.975
"""A box that ends below it may be cut off."""
PER_TRACK = 8
MIN_ANIMALS, MAX_ANIMALS = 5, 60
MAX_HEIGHT_M = 9.0


def animal_uprights(
    observations: Sequence[Observation],
    shoulders: Sequence[ShoulderHeight | None],
    repeated: Sequence[float],
    settings: SizeSettings,
) -> list[Upright]:
    """The animals of a site's rows that show its ground; none if there are fewer than MIN_ANIMALS.

    shoulders: of each row's animal, None if unknown. repeated: of each row, the share (0..1) of the site's other videos that
    have the same box.
    """
    tracks: dict[tuple[str, int], list[tuple[float, Upright]]] = defaultdict(list)
    for row, (observation, shoulder, share) in enumerate(zip(observations, shoulders, repeated, strict=True)):
        box = observation.box
        if shoulder is None or box is None or not _is_whole(box) or share > 0:
            continue
        height_m = shoulder.height_m * settings.box_over_shoulder
        if height_m > MAX_HEIGHT_M:
            continue
        x = (box.x1 + box.x2) / 2
        upright = Upright((Mark(x, box.y2), Mark(x, box.y1, height_m)), None, UprightKind.ANIMAL)
        tracks[observation.media_id, observation.animal_id or -row - 1].append((box.score, upright))
    found = [one for track in tracks.values() for one in sorted(track, key=lambda one: -one[0])[:PER_TRACK]]
    found.sort(key=lambda one: -one[0])
    return [upright for _, upright in found[:MAX_ANIMALS]] if len(found) >= MIN_ANIMALS else []


def _is_whole(box: Box) -> bool:
    return box.score >= MIN_SCORE and box.y1 > EDGE_MARGIN and box.y2 < LOWEST_EDGE and box.y2 - box.y1 >= MIN_SIDE
