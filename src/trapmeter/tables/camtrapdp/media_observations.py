"""Boxes, labels and species of each video and photo, from a package's observations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from trapmeter.errors import InputError
from trapmeter.records import Box, MediumKind
from trapmeter.tables.boxcells import make_box
from trapmeter.tables.boxes import MediumBoxes
from trapmeter.tables.camtrapdp.observation_cells import is_measured_by_person, trapmeter_tags
from trapmeter.tables.camtrapdp.package import MediumRow, ObservationRow, Package
from trapmeter.tables.truth import LabelledRow, TruthRow

ANIMAL, HUMAN = "animal", "human"


def is_animal_in_medium(sighting: ObservationRow) -> bool:
    """Whether this is an animal in a photo or video, not of a whole event."""
    return sighting.level == "media" and sighting.kind == ANIMAL and bool(sighting.media_id)


def second_of(sighting: ObservationRow, medium: MediumRow) -> float:
    """Seconds from a video's start to the moment of an observation of it; 0 in photos.

    Ours tell it exactly; others by eventStart, in whole seconds. Below 0 where that lies before the medium.
    """
    if medium.kind is not MediumKind.VIDEO:
        return 0.0
    try:
        return float(trapmeter_tags(sighting)["second"])
    except (KeyError, ValueError):
        return (sighting.start - medium.time).total_seconds()


def box_of(sighting: ObservationRow) -> Box | None:
    """The box of an observation; its score is the probability of a machine's classification, 1 of a person's.

    Raises:
        InputError: box or probability are none.
    """
    if sighting.bbox is None:
        return None
    x, y, width, height = sighting.bbox
    try:
        score = 1.0 if sighting.method == HUMAN else float(sighting.probability or 1)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise InputError(
            f"{sighting.where}, column 'classificationProbability': expected a number from 0 to 1, or nothing, got "
            f"{sighting.probability!r}; correct that cell"
        )
    return make_box((x, y, x + width, y + height), score, f"{sighting.where}, bboxX to bboxHeight")


def boxes_by_medium(package: Package) -> dict[str, MediumBoxes]:
    """The boxes of animals in each photo and video that has any, by mediaID.

    Left out are videos whose boxes all stand at their start, and none of which is ours: most programs write one time for a
    whole video, so that nobody knows when the box was seen.

    Raises:
        InputError: a box is none.
    """
    found: dict[str, dict[float, dict[tuple[float, ...], Box]]] = defaultdict(lambda: defaultdict(dict))
    is_timed: set[str] = set()
    media = {medium.media_id: medium for medium in package.media}
    for sighting in filter(is_animal_in_medium, package.observations):
        medium, box = media.get(sighting.media_id), box_of(sighting)
        if medium is None or box is None:
            continue
        second = max(second_of(sighting, medium), 0.0)
        if second > 0 or "second" in trapmeter_tags(sighting):
            is_timed.add(medium.media_id)
        # Several may classify one animal, each in a row of its own with the same box.
        known = found[medium.media_id][second].setdefault(box.xyxy, box)
        if box.score > known.score:
            found[medium.media_id][second][box.xyxy] = box
    boxes = {}
    for media_id, seconds in found.items():
        name = media[media_id].file_path
        if media[media_id].kind is not MediumKind.VIDEO:
            boxes[media_id] = MediumBoxes(name, always=tuple(seconds[0.0].values()))
        elif media_id in is_timed:
            moments = tuple((second, tuple(seconds[second].values())) for second in sorted(seconds))
            boxes[media_id] = MediumBoxes(name, moments, is_exhaustive=True)
    return boxes


def labels_of(package: Package) -> list[LabelledRow]:
    """Distances that people measured, in media.

    Raises:
        InputError: there is none.
    """
    media = {medium.media_id: medium for medium in package.media}
    labels = []
    for sighting in filter(is_animal_in_medium, package.observations):
        medium = media.get(sighting.media_id)
        if medium is None or sighting.radius_m is None or not is_measured_by_person(sighting):
            continue
        second = second_of(sighting, medium)
        if second >= 0:
            row = TruthRow(medium.file_path, second, sighting.radius_m, box_of(sighting))
            labels.append(LabelledRow(row, sighting.where))
    if not labels:
        n_events = sum(one.level == "event" and is_measured_by_person(one) for one in package.observations)
        passed_over = f"; {n_events:,} of events have one, which tells of no single second" if n_events else ""
        raise InputError(
            f"{package.path}: no observation of a medium has an individualPositionRadius by a person "
            f"(observationLevel media, classificationMethod human){passed_over}; fill in how far at least one of the animals "
            "stood in its photo, or at its second of a video"
        )
    return labels


def species_by_medium(package: Package) -> dict[str, str]:
    """The scientific name of all animals of a medium, by mediaID; media without any, or with several, are left out."""
    found: dict[str, set[str]] = defaultdict(set)
    for sighting in filter(is_animal_in_medium, package.observations):
        if sighting.species:
            found[sighting.media_id].add(sighting.species)
    return {media_id: next(iter(names)) for media_id, names in found.items() if len(names) == 1}


def media_by_path(media: Iterable[MediumRow]) -> dict[str, MediumRow]:
    """Photos and videos by their filePath, in the order of the table.

    Raises:
        InputError: two have the same.
    """
    found: dict[str, MediumRow] = {}
    for medium in media:
        if medium.kind is not None and found.setdefault(medium.file_path, medium) is not medium:
            raise medium.row.error("filePath", f"a file of its own, which {found[medium.file_path].media_id} hasn't")
    return found
