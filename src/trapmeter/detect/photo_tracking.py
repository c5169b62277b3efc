"""Follows animals through the photos and videos of a sequence, by place, size and overlap of their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trapmeter.detect.tracking import TrackedAnimal, TrackSettings, match_animals
from trapmeter.records import Box

PHOTO_TRACKING = TrackSettings(max_gap_s=120.0, reach=2.0, reach_growth=0.25, max_size_ratio=2.0)
"""Chosen at the training sites of simtrap, see docs/development/decisions.md: stricter than within a video, since another
animal may come into the picture in a minute."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """An animal in one photo or video: its first and its last box there; last_s: seconds of the last from the start.

    animal_id: its number within the medium. species: "" if unknown.
    """

    animal_id: int
    first: Box
    last: Box
    last_s: float = 0.0
    species: str = ""


def follow_animals(
    media: Sequence[tuple[float, Sequence[Sighting]]], settings: TrackSettings = PHOTO_TRACKING
) -> list[dict[int, int]]:
    """The animal's number in the sequence, for each number in each medium.

    Numbers count from 1 in order of first appearance. Two animals of one medium never get the same number, and animals whose
    species are known and differ don't either. The order of sightings within a medium doesn't matter.

    Args:
        media: pairs of the seconds since the first medium's start, not descending, and the animals of the medium; a photo
            without an animal may be left out.
        settings: limits and costs of a match.
    """
    animals: dict[int, TrackedAnimal] = {}
    species: dict[int, str] = {}
    numbers: list[dict[int, int]] = []
    for start_s, unordered in media:
        sightings = sorted(unordered, key=lambda sighting: sighting.animal_id)
        animals = {
            number: animal for number, animal in animals.items() if start_s - animal.time_s <= settings.max_gap_s
        }
        matches = match_animals(list(animals.values()), [sighting.first for sighting in sightings], start_s, settings)
        found: dict[int, int] = {}
        for index, sighting in enumerate(sightings):
            number = matches.get(index, 0)
            if not number or (sighting.species and species[number] and sighting.species != species[number]):
                number = len(species) + 1
            found[sighting.animal_id] = number
            species[number] = sighting.species or species.get(number, "")
            animals[number] = TrackedAnimal(start_s + sighting.last_s, sighting.last, number)
        numbers.append(found)
    return numbers
