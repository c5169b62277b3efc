"""The cells that trapmeter writes into an observation, and how it recognises them later.

The distance goes into individualPositionRadius, and into observationTags together with all that has no column of its own:
`trapmeter:distance=3.10 | trapmeter:low=2.05 | trapmeter:high=4.80 | trapmeter:method=machine | trapmeter:model=...`. If the
tag and the column differ, somebody corrected the distance, and it counts as theirs. The method is human if a person gave the
distance in `trapmeter review`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from trapmeter._version import __version__
from trapmeter.errors import InputError
from trapmeter.records import Box, Estimate
from trapmeter.tables.camtrapdp.package import MediumRow, ObservationRow
from trapmeter.tables.csvfile import fixed_decimals, to_cell
from trapmeter.tables.species_names import canonical_name, is_scientific

PREFIX = "trapmeter:"
CLASSIFIED_BY = f"trapmeter {__version__}"
NAMESPACE = UUID("6c1d8f0e-5a37-5f0b-9f0d-3f3a2d5a7c11")
"""Of the ids of rows that trapmeter adds."""
_POSITION = ("individualPositionRadius", "individualPositionAngle")
_BBOX = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
REQUIRED_COLUMNS = ("mediaID", "individualID", *_POSITION, *_BBOX, "classificationMethod", "observationTags")
"""Columns that a table gains if it lacks them."""
NUMBER_COLUMNS = frozenset({*_POSITION, *_BBOX})


@dataclass(frozen=True, slots=True)
class AgreedValues:
    """The event and the species that all other observations of a medium agree on, "" if they don't agree."""

    event_id: str = ""
    species: str = ""


def trapmeter_tags(observation: ObservationRow) -> dict[str, str]:
    """The values of trapmeter's tags by name; {} without any."""
    pairs = (tag.removeprefix(PREFIX).partition("=") for tag in observation.tags if tag.startswith(PREFIX))
    return {name: value for name, _, value in pairs}


def has_trapmeter_distance(observation: ObservationRow) -> bool:
    """Whether trapmeter wrote the distance, and nobody has corrected it."""
    try:
        return (
            observation.radius_m is not None
            and float(trapmeter_tags(observation).get("distance", "")) == observation.radius_m
        )
    except ValueError:
        return False


def match_score(medium: MediumRow, estimate: Estimate, observation: ObservationRow) -> float:
    """The evidence that an earlier export wrote this animal into this row: 1 for its individualID, 1 for its distance."""
    distance = trapmeter_tags(observation).get("distance")
    is_same_distance = distance is not None and distance == fixed_decimals(estimate.measured_distance.distance_m, 2)
    return float(observation.individual_id == _individual_id(medium, estimate)) + float(is_same_distance)


def is_reviewed_distance(observation: ObservationRow) -> bool:
    """Whether trapmeter wrote the distance, and a person gave it in a review."""
    return has_trapmeter_distance(observation) and trapmeter_tags(observation).get("method") == "human"


def is_measured_by_person(observation: ObservationRow) -> bool:
    """Whether a person measured the distance, as far as the row shows."""
    if has_trapmeter_distance(observation):
        return is_reviewed_distance(observation)
    return observation.radius_m is not None and observation.method == "human"


def observation_id(medium: MediumRow, estimate: Estimate) -> str:
    """The id of a row that trapmeter adds: always the same for an animal at a second of a medium."""
    time_s, animal_id = estimate.observation.time_s, estimate.observation.animal_id
    return str(uuid5(NAMESPACE, json.dumps([medium.media_id, _seconds_text(time_s), animal_id])))


def new_row_cells(medium: MediumRow, estimate: Estimate, agreed: AgreedValues, classified_at: str) -> dict[str, str]:
    """The cells, by column, of a row for an animal that the package lacks. Ids of the package are copied as they are.

    classified_at: date and time of the run, "" when it isn't known.
    """
    position = _position_cells(estimate)
    own = scientific_name(estimate)
    is_of_medium = own in ("", canonical_name(agreed.species, is_taxon=True)) and bool(agreed.species)
    is_of_medium &= estimate.observation.species_score is None
    tags = _tags("", estimate, position["individualPositionAngle"], has_species_of_medium=is_of_medium)
    return {
        **_row_cells(medium, estimate, "animal", classified_at),
        "observationID": observation_id(medium, estimate),
        "eventID": agreed.event_id or _event_id(estimate),
        "scientificName": agreed.species if is_of_medium else own,
        "count": "1",
        **position,
        "individualID": _individual_id(medium, estimate),
        "observationTags": tags,
    }


def unmeasured_row_cells(medium: MediumRow, estimate: Estimate, kind: str, classified_at: str) -> dict[str, str]:
    """The cells, by column, of a row for what has no position: a person, vehicle or thing, or a medium without an animal.

    kind: the observationType. classified_at: date and time of the run, "" when it isn't known.
    """
    box = estimate.observation.box
    what = [medium.media_id, _seconds_text(estimate.observation.time_s), kind, None if box is None else box.xyxy]
    identity = str(uuid5(NAMESPACE, json.dumps(what)))
    return {"observationID": identity, **_row_cells(medium, estimate, kind, classified_at)}


def _row_cells(medium: MediumRow, estimate: Estimate, kind: str, classified_at: str) -> dict[str, str]:
    time = timestamp_at(medium.row.raw("timestamp").strip(), estimate.observation.time_s)
    return {
        "deploymentID": medium.row.raw("deploymentID"),
        "mediaID": medium.row.raw("mediaID"),
        "eventID": _event_id(estimate),
        "eventStart": time,
        "eventEnd": time,
        "observationLevel": "media",
        "observationType": kind,
        **_bbox_cells(estimate.observation.box),
        **_classification(estimate, classified_at),
    }


def updated_cells(
    estimate: Estimate, medium: MediumRow, observation: ObservationRow, row: dict[str, str], classified_at: str
) -> dict[str, str]:
    """The cells to change in an existing row of this animal: its position, and event, individual and box if they are empty.

    row: its present cells by column. classified_at: date and time of the run. The classification stays unless trapmeter made
    it.
    """
    tags, angle = row.get("observationTags", ""), row.get("individualPositionAngle", "").strip()
    changes = _position_cells(estimate)
    if angle and trapmeter_tags(observation).get("angle") != angle:
        del changes["individualPositionAngle"]
    angle_tag = changes.get("individualPositionAngle", "")
    is_of_medium = _SPECIES in tags and estimate.observation.species_score is None
    changes["observationTags"] = _tags(tags, estimate, angle_tag, has_species_of_medium=is_of_medium)
    if not observation.event_id and _event_id(estimate):
        changes["eventID"] = _event_id(estimate)
    if not observation.individual_id and observation.count in (None, 1):
        changes["individualID"] = _individual_id(medium, estimate)
    is_own_row = row.get("classifiedBy", "").startswith("trapmeter ") and (
        observation.method == "machine" or is_reviewed_distance(observation)
    )
    if observation.bbox is None or is_own_row:
        changes |= _bbox_cells(estimate.observation.box)
    if is_own_row:
        changes |= _classification(estimate, classified_at)
        own = scientific_name(estimate)
        if own and not is_of_medium:
            changes["scientificName"] = own
    return changes


_SPECIES = f"{PREFIX}species=medium"


def scientific_name(estimate: Estimate) -> str:
    """The scientific name of an animal as a cell; "" if it is unknown or the results have another name."""
    species = estimate.observation.species
    return to_cell(species) if is_scientific(species) else ""


def _position_cells(estimate: Estimate) -> dict[str, str]:
    angle = estimate.angle_deg
    return {
        "individualPositionRadius": fixed_decimals(estimate.measured_distance.distance_m, 2),
        "individualPositionAngle": "" if angle is None else fixed_decimals(max(-90.0, min(90.0, angle)), 1),
    }


def _tags(before: str, estimate: Estimate, angle: str, *, has_species_of_medium: bool) -> str:
    """The tags of others, followed by those of trapmeter."""
    distance = estimate.measured_distance
    pairs = [("distance", fixed_decimals(distance.distance_m, 2)), ("low", fixed_decimals(distance.low_m, 2))]
    pairs += [("high", fixed_decimals(distance.high_m, 2)), ("second", _seconds_text(estimate.observation.time_s))]
    pairs += [("angle", angle)] if angle else []
    pairs += [("method", _method(estimate)), ("model", to_cell(estimate.model_id).replace("|", "/"))]
    pairs += [("species", "medium")] if has_species_of_medium else []
    own = " | ".join(f"{PREFIX}{name}={value}" for name, value in pairs)
    others = "|".join(tag for tag in before.split("|") if not tag.strip().startswith(PREFIX)).rstrip()
    return f"{others} | {own}" if others else own


def _method(estimate: Estimate) -> str:
    return "human" if estimate.is_by_hand else "machine"


def _individual_id(medium: MediumRow, estimate: Estimate) -> str:
    number = estimate.observation.animal_id
    return to_cell(f"{estimate.observation.event_id or medium.media_id}:{number}") if number else ""


def _event_id(estimate: Estimate) -> str:
    return to_cell(estimate.observation.event_id)


def _classification(estimate: Estimate, classified_at: str) -> dict[str, str]:
    box, score = estimate.observation.box, estimate.observation.species_score
    score = score if score is not None or box is None else box.score
    return {
        "classificationMethod": _method(estimate),
        "classifiedBy": to_cell(f"{CLASSIFIED_BY} {estimate.model_id}".rstrip()),
        "classificationTimestamp": classified_at,
        "classificationProbability": "" if score is None else f"{score:.3f}",
    }


def _bbox_cells(box: Box | None) -> dict[str, str]:
    if box is None:
        return dict.fromkeys(_BBOX, "")
    # In whole ten-thousandths: otherwise rounding could make left + width exceed the picture.
    x1, y1, x2, y2 = (round(value * 10_000) for value in box.xyxy)
    x1, y1 = min(x1, 9_999), min(y1, 9_999)
    numbers = x1, y1, max(x2 - x1, 1), max(y2 - y1, 1)
    return {column: f"{number / 10_000:.4f}" for column, number in zip(_BBOX, numbers, strict=True)}


def timestamp_at(timestamp: str, time_s: float) -> str:
    """The date and time at a second of a medium that starts at timestamp, in its zone, in whole seconds as the standard asks.

    Example:
        >>> timestamp_at("2024-05-01T23:59:58+02:00", 3.4)
        '2024-05-02T00:00:01+02:00'
    """
    try:
        when = datetime.fromisoformat(timestamp) + timedelta(seconds=time_s)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{timestamp} plus {time_s:g} s is not a date and time: {error}; correct the timestamp"
        ) from error
    text = when.isoformat(timespec="seconds")
    return f"{text.removesuffix('+00:00')}Z" if timestamp.endswith(("Z", "z")) else text


def _seconds_text(time_s: float) -> str:
    return f"{time_s:.6f}".rstrip("0").rstrip(".")
