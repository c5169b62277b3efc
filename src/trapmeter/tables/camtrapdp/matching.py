"""Which observation of a medium a measured animal is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from trapmeter.overlap import same_animals
from trapmeter.records import Estimate, MediumKind
from trapmeter.tables.camtrapdp.moments import box_of, second_of
from trapmeter.tables.camtrapdp.ours import is_told_of, observation_id
from trapmeter.tables.camtrapdp.package import Medium, Sighting


def match(medium: Medium, estimates: Sequence[Estimate], sightings: Sequence[Sighting]) -> dict[int, int]:
    """The position of the sighting that each measured animal is, by its own position; who is none of them is left out.

    A row that we added is told by its id. Boxes at the same second (to the millisecond) are paired by their overlap. In a
    photo of one animal and one observation of one animal without a box, they are the same.

    Args:
        medium: the photo or video.
        estimates: the animals measured in it.
        sightings: its observations of animals.
    """
    by_id = {sighting.observation_id: j for j, sighting in enumerate(sightings)}
    found = {i: by_id[name] for i, e in enumerate(estimates) if (name := observation_id(medium, e)) in by_id}
    moments: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for i, estimate in enumerate(estimates):
        moments[round(estimate.observation.time_s * 1000)][0].append(i)
    for j, sighting in enumerate(sightings):
        moments[round(second_of(sighting, medium) * 1000)][1].append(j)
    for ours, theirs in moments.values():
        taken = set(found.values())
        left = [i for i in ours if i not in found]
        free = [j for j in theirs if j not in taken]
        if not left or not free:
            continue
        boxes = [estimates[i].observation.box for i in left], [box_of(sightings[j]) for j in free]
        # Of rows with one and the same box, an earlier export has chosen one.
        told = [[is_told_of(medium, estimates[i], sightings[j]) for j in free] for i in left]
        found |= {left[a]: free[b] for a, b in same_animals(*boxes, np.array(told))}
        alone = medium.kind is MediumKind.PHOTO and len(ours) == len(theirs) == 1
        if alone and left[0] not in found:
            only = sightings[free[0]]
            if only.bbox is None and only.count in (None, 1):
                found[left[0]] = free[0]
    return found
