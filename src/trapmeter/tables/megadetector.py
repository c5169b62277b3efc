"""MegaDetector's batch output, read and written: a JSON file with the boxes of many photos and videos, format 1.x.

The format: https://lila.science/megadetector-output-format. Boxes are [left, top, width, height] as fractions of the picture.
Videos have frame_rate and frames_processed and a frame_number with every detection; before 1.5 frames_processed was missing,
and often all but one frame. SpeciesNet's own JSON, with 'predictions' in place of 'images', is read as well. The other JSON
of this name, a bare list with boxes in pixels, is refused because it lacks the picture's size. Written detections also carry
distance_m, low_m and high_m, which other tools ignore.

People and vehicles come as boxes whose species is `PERSON` or `VEHICLE`: whoever measures keeps them apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeGuard

from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.records import CONFIDENT_SCORE, Box, Estimate, Status
from trapmeter.tables.boxcells import make_box
from trapmeter.tables.csvfile import read_text
from trapmeter.tables.species_names import (
    PERSON,
    UNIDENTIFIED,
    VEHICLE,
    Identification,
    canonical_name,
    identify,
    is_animal,
)

FORMAT_VERSION = "1.6"
ANIMAL_CATEGORY = "animal"
CATEGORIES = {"1": ANIMAL_CATEGORY, "2": "person", "3": "vehicle"}
_KEYS = {PERSON: "2", VEHICLE: "3"}
"""The category of what is no animal, by canonical name."""


@dataclass(frozen=True, slots=True)
class FrameBox:
    """A box and the number of its frame, from 0; None in photos."""

    frame_number: int | None
    box: Box


@dataclass(frozen=True, slots=True)
class FileDetections:
    """The detections in one photo or video.

    failure: why the detector could not process it, "" when it could. frame_rate: frames per second, None for photos and in
    old files. processed_frames: the numbers of the frames that were processed, with or without detections; None if the file
    doesn't say. is_video: something in the entry is of a video.
    """

    file: str
    detections: tuple[FrameBox, ...]
    failure: str = ""
    frame_rate: float | None = None
    processed_frames: tuple[int, ...] | None = None
    is_video: bool = False


def read_megadetector(path: str | Path) -> list[FileDetections]:
    """Reads the boxes of animals, people and vehicles, in the order of the file.

    A file without info or format_version is read as 1.x (old tools left it out); other versions are refused. Detections of a
    category that the file does not name are ignored, as the format says.

    Raises:
        InputError: the file has another format, an entry is broken, or no category is of animals.
    """
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: expected MegaDetector's JSON, but this is not JSON ({error}); run MegaDetector again"
        ) from None
    if isinstance(document, list):
        raise InputError(
            f"{path}: expected MegaDetector's batch format (an object with 'images' and boxes as fractions), got a "
            "list, which has boxes in pixels; write the results in the batch format, "
            "https://lila.science/megadetector-output-format"
        )
    if isinstance(document, dict) and isinstance(document.get("predictions"), list):
        document = _from_speciesnet(path, document["predictions"])
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise InputError(
            f"{path}: expected MegaDetector's batch format with a list 'images', or SpeciesNet's with a list 'predictions', "
            "but the file has neither"
        )
    _check_version(path, document.get("info"))
    wanted = _wanted_categories(path, document.get("detection_categories"))
    labels = _labels(document.get("classification_categories"), document.get("classification_category_descriptions"))
    files: dict[str, tuple[int, FileDetections]] = {}
    for number, image in enumerate(document["images"]):
        found = _read_file(f"{path}, images[{number}]", image, wanted, labels)
        before = files.get(found.file)
        if before is None or before[1].failure:
            # A later entry of a file that failed at first is another try.
            files[found.file] = number, found
        elif not found.failure and found != before[1]:
            raise InputError(
                f"{path}, images[{before[0]}] and images[{number}]: both are {found.file!r} and differ; remove one"
            )
    return [found for _, found in files.values()]


def _from_speciesnet(path: str | Path, predictions: Sequence[Any]) -> dict[str, Any]:
    """SpeciesNet's own JSON as a batch file: its prediction for a picture becomes the class of each box of an animal.

    https://github.com/google/cameratrapai describes it: filepath, failures (a list of parts that failed, such as DETECTOR),
    detections as MegaDetector's, and prediction: seven parts from an id to a common name, separated by semicolons.
    """
    classes: dict[str, str] = {}
    images = []
    for number, entry in enumerate(predictions):
        if not isinstance(entry, dict) or not isinstance(entry.get("filepath"), str):
            raise InputError(f"{path}, predictions[{number}]: expected an entry with 'filepath'; correct or remove it")
        failures = entry.get("failures") or []
        image: dict[str, Any] = {"file": entry["filepath"], "detections": entry.get("detections")}
        if "DETECTOR" in failures or image["detections"] is None:
            parts = ", ".join(map(str, failures)) if isinstance(failures, list) and failures else "no detections"
            images.append({**image, "failure": f"SpeciesNet could not process it ({parts})"})
            continue
        prediction = entry.get("prediction")
        if isinstance(prediction, str) and isinstance(image["detections"], list):
            key = classes.setdefault(prediction, str(len(classes)))
            score = entry.get("prediction_score")
            if is_animal(identify(prediction).species) or not any(map(_is_sure_of_no_animal, image["detections"])):
                # Else the prediction is about the person or vehicle, and the animals beside it are of unknown species.
                image["detections"] = [
                    {**found, "classifications": [[key, score]]}
                    if isinstance(found, dict) and str(found.get("category")) == "1"
                    else found
                    for found in image["detections"]
                ]
        images.append(image)
    return {
        "detection_categories": CATEGORIES,
        "classification_categories": {key: label for label, key in classes.items()},
        "images": images,
    }


def _is_sure_of_no_animal(found: Any) -> bool:
    """Whether a detection of SpeciesNet is a person or vehicle rather than not."""
    if not isinstance(found, dict) or str(found.get("category")) not in _KEYS.values():
        return False
    conf = _number_in(found.get("conf"))
    return _is_number(conf) and conf >= CONFIDENT_SCORE


@dataclass(frozen=True, slots=True)
class _Label:
    """What a class of a classifier is called, and its taxonomy if the file describes it."""

    text: str
    taxonomy: str = ""


def _labels(classes: Any, descriptions: Any) -> dict[str, _Label]:
    """The label of each class."""
    if not isinstance(classes, dict):
        return {}
    taxonomies = descriptions if isinstance(descriptions, dict) else {}
    return {key: _Label(str(name), str(taxonomies.get(key, ""))) for key, name in classes.items()}


def write_megadetector(
    path: Path, estimates: Iterable[Estimate], frame_rates: Mapping[str, float | None], detector: str
) -> None:
    """Writes estimates, sorted by media_id, as boxes with their distances and species.

    Animals without a box are left out, since the format has no place for them. A species that a person named has the score 1.

    Args:
        path: the file to write.
        estimates: rows sorted by media_id.
        frame_rates: frames per second by media_id, None for a photo; a second becomes the frame that is shown then.
        detector: its name, by which tools choose a threshold.

    Raises:
        RunError: the file can't be written.
    """
    estimates = list(estimates)
    species = sorted({estimate.observation.species for estimate in estimates} - {"", PERSON, VEHICLE})
    classes = {name: str(number) for number, name in enumerate(species, 1)}
    document = {
        "info": {"format_version": FORMAT_VERSION, "detector": detector},
        "detection_categories": CATEGORIES,
        **({"classification_categories": {key: name for name, key in classes.items()}} if classes else {}),
        "images": [
            _image(media_id, list(rows), frame_rates[media_id], classes)
            for media_id, rows in groupby(estimates, lambda estimate: estimate.observation.media_id)
        ],
    }
    with atomic_file(path) as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def _image(
    media_id: str, rows: Sequence[Estimate], frame_rate: float | None, classes: Mapping[str, str]
) -> dict[str, Any]:
    processed = [row for row in rows if row.status in (Status.MEASURED, Status.NO_ANIMAL)]
    image: dict[str, Any] = {"file": media_id}
    if not processed:
        return {**image, "detections": None, "failure": rows[0].reason or rows[0].status.value}
    if frame_rate is not None:
        numbers = sorted({_frame_at(row.observation.time_s, frame_rate) for row in processed})
        image |= {"frame_rate": frame_rate, "frames_processed": numbers}
    return {**image, "detections": [_detection(row, frame_rate, classes) for row in processed if row.observation.box]}


def _detection(row: Estimate, frame_rate: float | None, classes: Mapping[str, str]) -> dict[str, Any]:
    box, species = row.observation.box, row.observation.species
    assert box is not None  # noqa: S101 - the caller has checked it
    sides = box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1
    found: dict[str, Any] = {"category": _KEYS.get(species, "1"), "conf": round(box.score, 3)}
    found["bbox"] = [round(side, 4) for side in sides]
    if frame_rate is not None:
        found["frame_number"] = _frame_at(row.observation.time_s, frame_rate)
    if species in classes:
        score = row.observation.species_score
        found["classifications"] = [[classes[species], 1.0 if score is None else round(score, 3)]]
    if row.distance is not None:
        distance = row.distance
        found |= {"distance_m": distance.distance_m, "low_m": distance.low_m, "high_m": distance.high_m}
    return found


def _frame_at(time_s: float, frame_rate: float) -> int:
    """The last frame that starts at this second or before it; 1e-6 allows for rounded frame rates."""
    return int(time_s * frame_rate + 1e-6)


def _check_version(path: str | Path, info: Any) -> None:
    version = str(info.get("format_version") or "1.x") if isinstance(info, dict) else "1.x"
    if version.partition(".")[0] != "1":
        raise InputError(
            f"{path}: expected MegaDetector's format 1.x, got format_version {version!r}; export it as 1.x"
        )


def _wanted_categories(path: str | Path, named: Any) -> dict[str, str]:
    """The canonical name of each category that is read: "" for animals, and those of people and vehicles."""
    if not isinstance(named, dict):
        raise InputError(f"{path}: expected 'detection_categories' such as {{'1': 'animal'}}, got {named!r}; add it")
    animals = {key: "" for key, name in named.items() if str(name).strip().casefold() == ANIMAL_CATEGORY}
    if named and not animals:
        raise InputError(
            f"{path}: expected a detection category named {ANIMAL_CATEGORY}, "
            f"found {', '.join(map(str, named.values()))}; give that of the animals this name"
        )
    others = {key: canonical_name(str(name)) for key, name in named.items()}
    return animals | {key: name for key, name in others.items() if not is_animal(name)}


def _read_file(where: str, image: Any, wanted: Mapping[str, str], labels: Mapping[str, _Label]) -> FileDetections:
    if not isinstance(image, dict) or not isinstance(image.get("file"), str) or not image["file"]:
        raise InputError(f"{where}: expected an entry with 'file', the name of a photo or video; correct or remove it")
    file = image["file"]
    where = f"{where} ({file!r})"
    failure = image.get("failure")
    if failure:
        return FileDetections(file, (), str(failure))
    found = image.get("detections")
    if found is None:
        return FileDetections(file, (), "the entry has neither detections nor a failure")
    if not isinstance(found, list):
        raise InputError(f"{where}: expected a list 'detections', got {found!r}; correct or remove the entry")
    frame_rate = _frame_rate(where, image.get("frame_rate"))
    detections = []
    for number, detection in enumerate(found):
        here = f"{where}, detections[{number}]"
        if not isinstance(detection, dict) or "category" not in detection:
            raise InputError(f"{here}: expected category, conf and bbox, got {detection!r}; correct or remove it")
        if str(detection["category"]) in wanted:
            category = wanted[str(detection["category"])]
            named = Identification(category) if category else _top_class(here, detection.get("classifications"), labels)
            detections.append(_read_detection(here, detection, named))
    frames = image.get("frames_processed")
    if frames is not None and not isinstance(frames, list):
        raise InputError(
            f"{where}: expected frames_processed to be a list of whole numbers, got {frames!r}; correct it"
        )
    processed = None if frames is None else tuple(_frame_number(f"{where}, frames_processed", f) for f in frames)
    is_numbered = any(isinstance(detection, dict) and detection.get("frame_number") is not None for detection in found)
    is_video = is_numbered or frame_rate is not None or processed is not None
    return FileDetections(file, tuple(detections), "", frame_rate, processed, is_video)


def _top_class(where: str, classifications: Any, labels: Mapping[str, _Label]) -> Identification:
    """What the best classification says."""
    if not classifications:
        return UNIDENTIFIED
    pairs: list[Any] = classifications if isinstance(classifications, list) else [None]
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise InputError(
            f"{where}: expected classifications such as [['3', 0.9]], got {classifications!r}; correct or remove them"
        )
    label, score = labels.get(str(pairs[0][0])), _number_in(pairs[0][1])
    named = UNIDENTIFIED if label is None else identify(label.text, taxonomy=label.taxonomy)
    if not named.species or score is None:
        return named
    if not _is_number(score) or not 0 <= score <= 1:
        raise InputError(f"{where}, classifications: expected a score in 0..1, got {pairs[0][1]!r}; correct it")
    return replace(named, score=float(score))


def _read_detection(where: str, detection: dict[str, Any], named: Identification) -> FrameBox:
    bbox = detection.get("bbox")
    conf = detection.get("conf")
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_is_number(value) for value in bbox):
        raise InputError(f"{where}: expected bbox [left, top, width, height], four fractions, got {bbox!r}; correct it")
    if not _is_number(conf):
        raise InputError(f"{where}: expected conf, a number in 0..1, got {conf!r}; correct it")
    left, top, width, height = bbox
    box = make_box((left, top, left + width, top + height), conf, f"{where}, bbox")
    box = replace(box, species=named.species, species_score=named.score, species_label=named.label)
    number = detection.get("frame_number")
    return FrameBox(None if number is None else _frame_number(f"{where}, frame_number", number), box)


def _frame_rate(where: str, value: Any) -> float | None:
    # Some programs write 0 or null when the container has no rate: unknown, as if it were absent.
    if value is None or value == 0:
        return None
    value = _number_in(value)
    if not _is_number(value) or value < 0:
        raise InputError(f"{where}: expected frame_rate, frames per second > 0, got {value!r}; correct it")
    return float(value)


def _number_in(value: Any) -> Any:
    """The number that a text holds; some programs write all values as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _frame_number(where: str, value: Any) -> int:
    value = _number_in(value)
    if not _is_number(value) or value < 0 or value != int(value):
        raise InputError(f"{where}: expected a whole number >= 0, got {value!r}; correct it")
    return int(value)


def _is_number(value: Any) -> TypeGuard[float]:
    # A whole number of hundreds of digits is valid JSON, but no float can hold it.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
