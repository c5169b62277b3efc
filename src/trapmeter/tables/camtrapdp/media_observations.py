"""Boxes, labels and species of each video and photo, from a package's observations."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import accumulate

from trapmeter.errors import InputError
from trapmeter.records import Box, MediumKind
from trapmeter.tables.boxcells import make_box
from trapmeter.tables.boxes import MediumBoxes
from trapmeter.tables.camtrapdp.observation_cells import is_measured_by_person, trapmeter_tags
from trapmeter.tables.camtrapdp.package import MediumRow, ObservationRow, Package
from trapmeter.tables.metres import FARTHEST_KNOWN_M, expected_metres
from trapmeter.tables.species_names import PERSON, VEHICLE, Identification, identify
from trapmeter.tables.truth import LabelledRow, TruthRow

ANIMAL, HUMAN = "animal", "human"
_NOT_ANIMALS = {HUMAN: PERSON, "vehicle": VEHICLE}
"""The canonical names of kinds of observations that are kept apart from animals."""


def is_animal_in_medium(observation: ObservationRow) -> bool:
    """Whether this is an animal in one photo or video, not in an event of several."""
    return observation.level == "media" and observation.kind == ANIMAL and bool(observation.media_id)


def identification_of(observation: ObservationRow) -> Identification:
    """What an observation says of its animal, person or vehicle. Only a machine's classification has a score."""
    if observation.kind in _NOT_ANIMALS:
        return Identification(_NOT_ANIMALS[observation.kind])
    score = None if observation.method == HUMAN or not observation.probability else _probability(observation)
    return identify(observation.species, score, is_taxon=True)


def _probability(observation: ObservationRow) -> float:
    try:
        score = float(observation.probability or 1)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise InputError(
            f"{observation.where}, column 'classificationProbability': expected a number from 0 to 1, or nothing, got "
            f"{observation.probability!r}; correct that cell"
        )
    return score


def second_of(observation: ObservationRow, medium: MediumRow) -> float:
    """The time of an observation in seconds from the start of its video; 0 in photos.

    trapmeter's own observations state it exactly; for others it follows from eventStart, in whole seconds. Below 0 if
    eventStart is before the video's start.
    """
    if medium.kind is not MediumKind.VIDEO:
        return 0.0
    try:
        return float(trapmeter_tags(observation)["second"])
    except (KeyError, ValueError):
        return (observation.start - medium.time).total_seconds()


def box_of(observation: ObservationRow) -> Box | None:
    """The box of an observation. Its score is the probability of a machine's classification; 1 for a person's.

    Raises:
        InputError: the box or the probability is out of range.
    """
    if observation.bbox is None:
        return None
    x, y, width, height = observation.bbox
    score = 1.0 if observation.method == HUMAN else _probability(observation)
    box = make_box((x, y, x + width, y + height), score, f"{observation.where}, bboxX to bboxHeight")
    named = identification_of(observation)
    return replace(box, species=named.species, species_score=named.score, species_label=named.label)


def boxes_by_medium(package: Package) -> dict[str, MediumBoxes]:
    """The boxes of animals, people and vehicles in each photo and video that has any, by mediaID.

    Left out are those of people and vehicles beside animals of which none has a box.

    Left out are videos whose boxes all have the video's start as their time, unless trapmeter wrote one of them: most
    programs write one time for a whole video, which says nothing about when the box was visible.

    Raises:
        InputError: a box is out of range.
    """
    found: dict[str, dict[float, dict[tuple[float, ...], Box]]] = defaultdict(lambda: defaultdict(dict))
    is_timed: set[str] = set()
    media = {medium.media_id: medium for medium in package.media}
    boxless = _media_with_boxless_animals(package)
    for observation in filter(_is_seen_in_medium, package.observations):
        medium, box = media.get(observation.media_id), box_of(observation)
        if medium is None or box is None or observation.media_id in boxless:
            continue
        second = max(second_of(observation, medium), 0.0)
        if second > 0 or "second" in trapmeter_tags(observation):
            is_timed.add(medium.media_id)
        # Several observers may classify one animal, each in a row of its own with the same box.
        known = found[medium.media_id][second].setdefault(box.xyxy, box)
        if box.score > known.score:
            found[medium.media_id][second][box.xyxy] = box
    boxes = {}
    for media_id, seconds in found.items():
        name = media[media_id].file_path
        if media[media_id].kind is not MediumKind.VIDEO:
            boxes[media_id] = MediumBoxes(name, untimed=tuple(seconds[0.0].values()))
        elif media_id in is_timed:
            by_time = tuple((second, tuple(seconds[second].values())) for second in sorted(seconds))
            boxes[media_id] = MediumBoxes(name, by_time, is_exhaustive=True)
    return boxes


def labels_of(package: Package) -> list[LabelledRow]:
    """The distances that people measured in single photos and seconds of videos.

    Raises:
        InputError: there are none, or one is beyond `metres.FARTHEST_KNOWN_M`.
    """
    media = {medium.media_id: medium for medium in package.media}
    labels = []
    for observation in filter(is_animal_in_medium, package.observations):
        medium = media.get(observation.media_id)
        if medium is None or observation.radius_m is None or not is_measured_by_person(observation):
            continue
        if observation.radius_m > FARTHEST_KNOWN_M:
            raise InputError(
                f"{observation.where}, column 'individualPositionRadius': expected {expected_metres(observation.radius_m)}, "
                f"got {observation.radius_m:g}; correct that cell"
            )
        second = second_of(observation, medium)
        if second >= 0:
            row = TruthRow(medium.file_path, second, observation.radius_m, box_of(observation))
            labels.append(LabelledRow(row, observation.where))
    if not labels:
        n_events = sum(row.level == "event" and is_measured_by_person(row) for row in package.observations)
        ignored = f"; {n_events:,} observations of events have one, but no single second" if n_events else ""
        raise InputError(
            f"{package.path}: no observation of a medium has an individualPositionRadius by a person "
            f"(observationLevel media, classificationMethod human){ignored}; fill in the distance of at least one animal in "
            "its photo, or at its second of a video"
        )
    return labels


def species_by_medium(package: Package) -> dict[str, Identification]:
    """What the animals in each medium are, by mediaID; media with none or several species are left out.

    Of several observations with a score the surest counts; a person's has none, and counts more.

    Raises:
        InputError: a probability is out of range.
    """
    found: dict[str, list[Identification]] = defaultdict(list)
    for observation in filter(_is_seen_in_medium, package.observations):
        named = identification_of(observation)
        if named.species:
            found[observation.media_id].append(named)
    return {
        media_id: max(names, key=lambda named: 2.0 if named.score is None else named.score)
        for media_id, names in found.items()
        if len({named.species for named in names}) == 1
    }


def _is_seen_in_medium(observation: ObservationRow) -> bool:
    """Whether this is an animal, person or vehicle in one photo or video."""
    return is_animal_in_medium(observation) or (
        observation.level == "media" and observation.kind in _NOT_ANIMALS and bool(observation.media_id)
    )


def _media_with_boxless_animals(package: Package) -> set[str]:
    """The media with animals, none of which has a box: the detector has to find them."""
    animals = [row for row in package.observations if is_animal_in_medium(row)]
    return {row.media_id for row in animals} - {row.media_id for row in animals if row.bbox is not None}


def events_by_medium(package: Package) -> dict[str, str]:
    """The eventID of each medium, by mediaID: that of its own observations, or else of the one event that it lies in.

    Media without an event, or with several, are left out.
    """
    found: dict[str, set[str]] = defaultdict(set)
    spans: dict[str, set[tuple[datetime, datetime, str]]] = defaultdict(set)
    for observation in package.observations:
        if observation.event_id and observation.media_id:
            found[observation.media_id].add(observation.event_id)
        elif observation.event_id:
            spans[observation.deployment_id].add((observation.start, observation.end, observation.event_id))
    events = {deployment_id: _Events(found_spans) for deployment_id, found_spans in spans.items()}
    for medium in package.media:
        if medium.media_id not in found and medium.deployment_id in events:
            found[medium.media_id] = events[medium.deployment_id].at(medium.time)
    return {media_id: next(iter(names)) for media_id, names in found.items() if len(names) == 1}


class _Events:
    """The events of a deployment, to be searched by time."""

    def __init__(self, spans: Iterable[tuple[datetime, datetime, str]]) -> None:
        self._spans = sorted(spans)
        self._starts = [start for start, _, _ in self._spans]
        self._last_end = list(accumulate((end for _, end, _ in self._spans), max))

    def at(self, time: datetime) -> set[str]:
        """The events that had begun and not ended."""
        found: set[str] = set()
        position = bisect_right(self._starts, time) - 1
        while position >= 0 and self._last_end[position] >= time:
            _, end, event_id = self._spans[position]
            found |= {event_id} if end >= time else set()
            position -= 1
        return found


def media_by_path(media: Iterable[MediumRow]) -> dict[str, MediumRow]:
    """Photos and videos by their filePath, in the order of the table.

    Raises:
        InputError: two have the same filePath.
    """
    found: dict[str, MediumRow] = {}
    for medium in media:
        if medium.kind is not None and found.setdefault(medium.file_path, medium) is not medium:
            raise medium.row.error("filePath", f"a file other than that of {found[medium.file_path].media_id}")
    return found
