"""The cells that trapmeter writes into an observation, and how it recognises them later.

The distance stands in individualPositionRadius, and in observationTags with all that has no column of its own:
`trapmeter:distance=3.10 | trapmeter:low=2.05 | trapmeter:high=4.80 | trapmeter:method=machine | trapmeter:model=...`.
Where tag and column differ, somebody has corrected the distance: it is theirs. Method is human where a person gave the
distance in `trapmeter review`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from trapmeter._version import __version__
from trapmeter.errors import InputError
from trapmeter.records import Box, Distance, Estimate
from trapmeter.tables.camtrapdp.package import MediumRow, ObservationRow
from trapmeter.tables.csvfile import to_cell
from trapmeter.tables.distances import fixed_decimals

PREFIX = "trapmeter:"
CLASSIFIED_BY = f"trapmeter {__version__}"
_NAMESPACE = UUID("6c1d8f0e-5a37-5f0b-9f0d-3f3a2d5a7c11")
_POSITION = ("individualPositionRadius", "individualPositionAngle")
_BBOX = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
REQUIRED_COLUMNS = ("mediaID", "individualID", *_POSITION, *_BBOX, "classificationMethod", "observationTags")
"""Columns that a table gains where it lacks them."""
NUMBER_COLUMNS = frozenset({*_POSITION, *_BBOX})


@dataclass(frozen=True, slots=True)
class AgreedValues:
    """What other observations of a medium say of all animals in it: event and species where they agree, else ""."""

    event_id: str = ""
    species: str = ""


def trapmeter_tags(sighting: ObservationRow) -> dict[str, str]:
    """What our tags say; {} where there are none."""
    pairs = (tag.removeprefix(PREFIX).partition("=") for tag in sighting.tags if tag.startswith(PREFIX))
    return {name: value for name, _, value in pairs}


def has_trapmeter_distance(sighting: ObservationRow) -> bool:
    """Whether its distance is one that we wrote, and nobody has corrected."""
    try:
        return (
            sighting.radius_m is not None and float(trapmeter_tags(sighting).get("distance", "")) == sighting.radius_m
        )
    except ValueError:
        return False


def match_score(medium: MediumRow, estimate: Estimate, sighting: ObservationRow) -> float:
    """How much speaks for an earlier export having put this animal into this row: 1 for its name, 1 for its distance."""
    distance = trapmeter_tags(sighting).get("distance")
    is_same_distance = distance is not None and distance == fixed_decimals(_distance(estimate).distance_m, 2)
    return float(sighting.individual_id == _individual_id(medium, estimate)) + float(is_same_distance)


def is_reviewed_distance(sighting: ObservationRow) -> bool:
    """Whether its distance is one that we wrote, and that a person gave."""
    return has_trapmeter_distance(sighting) and trapmeter_tags(sighting).get("method") == "human"


def is_measured_by_person(sighting: ObservationRow) -> bool:
    """Whether its distance is one that a person measured, as far as the row tells."""
    if has_trapmeter_distance(sighting):
        return is_reviewed_distance(sighting)
    return sighting.radius_m is not None and sighting.method == "human"


def observation_id(medium: MediumRow, estimate: Estimate) -> str:
    """The id of a row that we add: always the same for an animal at a second of a medium."""
    seen = estimate.observation
    return str(uuid5(_NAMESPACE, json.dumps([medium.media_id, _seconds_text(seen.time_s), seen.animal_id])))


def new_row_cells(medium: MediumRow, estimate: Estimate, company: AgreedValues, classified_at: str) -> dict[str, str]:
    """The cells of a row for an animal that the package lacks, by column; ids of others stay as they wrote them.

    classified_at: date and time of the run, "" where nobody knows.
    """
    seen = estimate.observation
    when = timestamp_at(medium.row.raw("timestamp").strip(), seen.time_s)
    place = _position_cells(estimate)
    tags = _tags("", estimate, place["individualPositionAngle"], has_mediums_species=bool(company.species))
    return {
        "observationID": observation_id(medium, estimate),
        "deploymentID": medium.row.raw("deploymentID"),
        "mediaID": medium.row.raw("mediaID"),
        "eventID": company.event_id,
        "eventStart": when,
        "eventEnd": when,
        "observationLevel": "media",
        "observationType": "animal",
        "scientificName": company.species,
        "count": "1",
        **_bbox_cells(seen.box),
        **place,
        "individualID": _individual_id(medium, estimate),
        "observationTags": tags,
        **_classification(estimate, classified_at),
    }


def updated_cells(
    estimate: Estimate, medium: MediumRow, sighting: ObservationRow, row: dict[str, str], at: str
) -> dict[str, str]:
    """What changes in a row that is of this animal: where it stands, and what is empty of individual and box.

    row: its cells as they are, by column. Who classified it, and as what, stays. at: date and time of the run.
    """
    tags, angle = row.get("observationTags", ""), row.get("individualPositionAngle", "").strip()
    changes = _position_cells(estimate)
    if angle and trapmeter_tags(sighting).get("angle") != angle:
        del changes["individualPositionAngle"]
    our_angle = changes.get("individualPositionAngle", "")
    changes["observationTags"] = _tags(tags, estimate, our_angle, has_mediums_species=_SPECIES in tags)
    if not sighting.individual_id and sighting.count in (None, 1):
        changes["individualID"] = _individual_id(medium, estimate)
    is_all_ours = row.get("classifiedBy", "").startswith("trapmeter ") and (
        sighting.method == "machine" or is_reviewed_distance(sighting)
    )
    if sighting.bbox is None or is_all_ours:
        changes |= _bbox_cells(estimate.observation.box)
    if is_all_ours:
        changes |= _classification(estimate, at)
    return changes


_SPECIES = f"{PREFIX}species=medium"


def _position_cells(estimate: Estimate) -> dict[str, str]:
    angle = estimate.angle_deg
    return {
        "individualPositionRadius": fixed_decimals(_distance(estimate).distance_m, 2),
        "individualPositionAngle": "" if angle is None else fixed_decimals(max(-90.0, min(90.0, angle)), 1),
    }


def _tags(before: str, estimate: Estimate, our_angle: str, *, has_mediums_species: bool) -> str:
    """Our tags behind those that others wrote."""
    distance = _distance(estimate)
    pairs = [("distance", fixed_decimals(distance.distance_m, 2)), ("low", fixed_decimals(distance.low_m, 2))]
    pairs += [("high", fixed_decimals(distance.high_m, 2)), ("second", _seconds_text(estimate.observation.time_s))]
    pairs += [("angle", our_angle)] if our_angle else []
    pairs += [("method", _method(estimate)), ("model", to_cell(estimate.model_id).replace("|", "/"))]
    pairs += [("species", "medium")] if has_mediums_species else []
    ours = " | ".join(f"{PREFIX}{name}={value}" for name, value in pairs)
    others = "|".join(tag for tag in before.split("|") if not tag.strip().startswith(PREFIX)).rstrip()
    return f"{others} | {ours}" if others else ours


def _distance(estimate: Estimate) -> Distance:
    assert estimate.distance is not None, "measured animals alone are written"
    return estimate.distance


def _method(estimate: Estimate) -> str:
    return "human" if estimate.is_by_hand else "machine"


def _individual_id(medium: MediumRow, estimate: Estimate) -> str:
    number = estimate.observation.animal_id
    return to_cell(f"{medium.media_id}:{number}") if number else ""


def _classification(estimate: Estimate, classified_at: str) -> dict[str, str]:
    box = estimate.observation.box
    return {
        "classificationMethod": _method(estimate),
        "classifiedBy": to_cell(f"{CLASSIFIED_BY} {estimate.model_id}".rstrip()),
        "classificationTimestamp": classified_at,
        "classificationProbability": "" if box is None else f"{box.score:.3f}",
    }


def _bbox_cells(box: Box | None) -> dict[str, str]:
    if box is None:
        return dict.fromkeys(_BBOX, "")
    # As whole ten-thousandths, so that left and width don't add up to more than the picture.
    x1, y1, x2, y2 = (round(value * 10_000) for value in box.xyxy)
    x1, y1 = min(x1, 9_999), min(y1, 9_999)
    numbers = x1, y1, max(x2 - x1, 1), max(y2 - y1, 1)
    return {column: f"{number / 10_000:.4f}" for column, number in zip(_BBOX, numbers, strict=True)}


def timestamp_at(timestamp: str, time_s: float) -> str:
    """The date and time of a second of a medium that starts at timestamp, in its zone; the standard has whole seconds.

    Example:
        >>> moment_text("2024-05-01T23:59:58+02:00", 3.4)
        '2024-05-02T00:00:01+02:00'
    """
    try:
        moment = datetime.fromisoformat(timestamp) + timedelta(seconds=time_s)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{timestamp} and {time_s:g} s are no date and time: {error}; correct the timestamp"
        ) from error
    text = moment.isoformat(timespec="seconds")
    return f"{text.removesuffix('+00:00')}Z" if timestamp.endswith(("Z", "z")) else text


def _seconds_text(time_s: float) -> str:
    return f"{time_s:.6f}".rstrip("0").rstrip(".")
