"""What is known of the animals of each medium: their species and shoulder heights, from people, classifiers and packages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trapmeter.errors import InputError
from trapmeter.records import Box, Observation
from trapmeter.tables.species import ShoulderHeight, shoulder_height_of, usual_shoulder
from trapmeter.tables.species_names import (
    UNIDENTIFIED,
    Identification,
    canonical_name,
    identify,
    is_animal,
)
from trapmeter.tables.species_table import NamedAnimal, SpeciesTable, read_species_table

if TYPE_CHECKING:
    from trapmeter.calibration.settings import FieldSettings

MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class AnimalFacts:
    """The species and sizes of animals.

    stated: the species that the user gave for all animals. shoulder: the height that the user gave for all. table: of species
    or heights. by_medium: species by media_id, as in a Camtrap DP. min_score: a classifier that was less sure names nothing.
    has_usual_sizes: whether a species tells its usual size.
    """

    stated: Identification = UNIDENTIFIED
    shoulder: ShoulderHeight | None = None
    table: SpeciesTable | None = None
    by_medium: Mapping[str, Identification] = field(default_factory=dict)
    min_score: float = 0.0
    has_usual_sizes: bool = True

    def identify(self, media_id: str, time_s: float, box: Box | None, own: Identification) -> Identification:
        """What an animal is: by the table, or as the user stated, or by its own classification, or by its medium.

        A person or vehicle stays one unless the table names the animal. own: what the classifier or the results say.
        """
        if (named := self._find(media_id, time_s, box)) is not None and named.identification.species:
            return named.identification.at_least(self.min_score)
        of_medium = self.by_medium.get(media_id, UNIDENTIFIED)
        for identification in (own, of_medium):
            if not is_animal(identification.species):
                return identification
        if self.stated.species:
            return self.stated
        return (own if own.species or own.label else of_medium).at_least(self.min_score)

    def name(self, observation: Observation) -> Observation:
        """The observation with what it is."""
        own = Identification(observation.species, observation.species_score, observation.species_label)
        named = self.identify(observation.media_id, observation.time_s, observation.box, own)
        if named == own:
            return observation
        return replace(observation, species=named.species, species_score=named.score, species_label=named.label)

    def shoulder_of(self, observation: Observation) -> ShoulderHeight | None:
        """The shoulder height of an animal that `name` has named: as the user states it, or that of its species."""
        if self.shoulder is not None:
            return self.shoulder
        named = self._find(observation.media_id, observation.time_s, observation.box)
        if named is not None and named.shoulder is not None:
            return named.shoulder
        return usual_shoulder(observation.species) if self.has_usual_sizes else None

    def shoulder_of_medium(self, media_id: str, boxes: Iterable[Box]) -> ShoulderHeight | None:
        """The shoulder height that all animals of a medium share; None if they differ or one is unknown.

        boxes: of its animals, if they are known before it is opened.
        """
        heights = set()
        animals: list[Box | None] = [box for box in boxes if is_animal(box.species)]
        for box in animals or [None]:
            # No second is this late: only what the table says of the whole medium counts.
            row = Observation(media_id, LAST_SECOND, box)
            if box is not None:
                row = replace(
                    row, species=box.species, species_score=box.species_score, species_label=box.species_label
                )
            heights.add(self.shoulder_of(self.name(row)))
        return heights.pop() if len(heights) == 1 else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the table."""
        unsized = () if self.table is None else self.table.unsized
        if not unsized:
            return ()
        more = f" and {len(unsized) - MAX_LISTED} more" if len(unsized) > MAX_LISTED else ""
        return (
            f"the shoulder height of {', '.join(unsized[:MAX_LISTED])}{more} isn't known, so the size of such animals isn't "
            "used; give it in a column shoulder_m",
        )

    def _find(self, media_id: str, time_s: float, box: Box | None) -> NamedAnimal | None:
        return None if self.table is None else self.table.find(media_id, time_s, box)


LAST_SECOND = math.nextafter(math.inf, 0)
NO_ANIMAL_FACTS = AnimalFacts()


def read_animal_facts(
    settings: FieldSettings,
    media: Iterable[tuple[str, str]],
    by_medium: Mapping[str, Identification] | None = None,
    default_min_score: float = 0.0,
) -> AnimalFacts:
    """Reads what the settings say of the animals.

    Args:
        settings: species: a species for all media, or the path of a CSV file; shoulder_m: a height for all, in metres.
        media: media_id and site_id of all media.
        by_medium: species by media_id that are known otherwise.
        default_min_score: of a classifier, if the settings don't state it.

    Raises:
        InputError: both are given, the species is unknown or ambiguous, or the table is malformed.
    """
    species, shoulder_m = settings.species, settings.shoulder_m
    if species is not None and shoulder_m is not None:
        raise InputError("--species and --shoulder-height exclude each other: give one of them")
    facts = AnimalFacts(
        shoulder=None if shoulder_m is None else ShoulderHeight(shoulder_m),
        by_medium=by_medium or {},
        min_score=default_min_score if settings.min_species_score is None else settings.min_species_score,
    )
    if species is None:
        return facts
    if _is_table(species):
        return replace(facts, table=read_species_table(species, media))
    if is_animal(canonical_name(species)):
        shoulder_height_of(species)  # refuses names that mean nothing or several species
    return replace(facts, stated=identify(species))


def _is_table(species: str) -> bool:
    return species.lower().endswith(".csv") or Path(species).is_file()
