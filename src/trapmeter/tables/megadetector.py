"""MegaDetector's batch output, read and written: a JSON file with the boxes of many photos and videos, format 1.x.

The format: https://lila.science/megadetector-output-format. Boxes are [left, top, width, height] as fractions of the picture.
Videos have frame_rate and frames_processed (since 1.4) and a frame_number with every detection. The other JSON of this name,
a bare list with boxes in pixels, is refused because it lacks the picture's size. Classifications are ignored. Written
detections also carry distance_m, low_m and high_m, which other tools ignore.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeGuard

from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.records import Box, Estimate, Status
from trapmeter.tables.boxcells import make_box
from trapmeter.tables.csvfile import read_text

FORMAT_VERSION = "1.4"
"""The first with frame_rate and frames_processed."""


@dataclass(frozen=True, slots=True)
class TimedBox:
    """A box and its time: frame_number counts from 0, time_s is in seconds. Both are None in photos."""

    time_s: float | None
    frame_number: int | None
    box: Box


@dataclass(frozen=True, slots=True)
class FileDetections:
    """The detections in one photo or video.

    failure: why the detector could not process it, "" when it could. frame_rate: frames per second, None for photos and in
    files older than format 1.4. processed_s: the times (seconds) that were processed, with or without detections.
    """

    file: str
    detections: tuple[TimedBox, ...]
    failure: str
    frame_rate: float | None
    processed_s: tuple[float, ...] = ()


def read_megadetector(path: str | Path, *, categories: Sequence[str] = ("animal",)) -> list[FileDetections]:
    """Reads the boxes of the named categories, in the order of the file.

    A file without info or format_version is read as 1.x (old tools left it out); other versions are refused. Detections of a
    category that the file does not name are ignored, as the format says.

    Raises:
        InputError: the file has another format, an entry is broken, or none of the categories occurs.
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
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise InputError(f"{path}: expected MegaDetector's batch format, but the file has no list 'images'")
    _check_version(path, document.get("info"))
    wanted = _wanted_categories(path, document.get("detection_categories"), categories)
    first: dict[str, int] = {}
    files = []
    for number, image in enumerate(document["images"]):
        detections = _read_file(f"{path}, images[{number}]", image, wanted)
        if first.setdefault(detections.file, number) != number:
            raise InputError(
                f"{path}, images[{first[detections.file]}] and images[{number}]: both are {detections.file!r}; remove one"
            )
        files.append(detections)
    return files


def write_megadetector(
    path: Path, estimates: Iterable[Estimate], frame_rates: Mapping[str, float | None], detector: str
) -> None:
    """Writes estimates, sorted by media_id, as boxes with their distances.

    Animals without a box are left out, since the format has no place for them.

    Args:
        path: the file to write.
        estimates: rows sorted by media_id.
        frame_rates: frames per second by media_id, None for a photo; a second becomes the frame that is shown then.
        detector: its name, by which tools choose a threshold.

    Raises:
        RunError: the file can't be written.
    """
    document = {
        "info": {"format_version": FORMAT_VERSION, "detector": detector},
        "detection_categories": {"1": "animal"},
        "images": [
            _image(media_id, list(rows), frame_rates[media_id])
            for media_id, rows in groupby(estimates, lambda estimate: estimate.observation.media_id)
        ],
    }
    with atomic_file(path) as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def _image(media_id: str, rows: Sequence[Estimate], frame_rate: float | None) -> dict[str, Any]:
    processed = [row for row in rows if row.status in (Status.MEASURED, Status.NO_ANIMAL)]
    image: dict[str, Any] = {"file": media_id}
    if not processed:
        return {**image, "detections": None, "failure": rows[0].reason or rows[0].status.value}
    if frame_rate is not None:
        numbers = sorted({_frame_at(row.observation.time_s, frame_rate) for row in processed})
        image |= {"frame_rate": frame_rate, "frames_processed": numbers}
    return {**image, "detections": [_detection(row, frame_rate) for row in processed if row.observation.box]}


def _detection(row: Estimate, frame_rate: float | None) -> dict[str, Any]:
    box = row.observation.box
    assert box is not None  # noqa: S101 - the caller has checked it
    sides = box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1
    found: dict[str, Any] = {"category": "1", "conf": round(box.score, 3), "bbox": [round(side, 4) for side in sides]}
    if frame_rate is not None:
        found["frame_number"] = _frame_at(row.observation.time_s, frame_rate)
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


def _wanted_categories(path: str | Path, named: Any, categories: Sequence[str]) -> frozenset[str]:
    if not isinstance(named, dict):
        raise InputError(f"{path}: expected 'detection_categories' such as {{'1': 'animal'}}, got {named!r}; add it")
    wanted = {category.strip().casefold() for category in categories}
    keys = frozenset(key for key, name in named.items() if str(name).strip().casefold() in wanted)
    if named and not keys:
        raise InputError(
            f"{path}: expected a detection category named {' or '.join(categories)}, "
            f"found {', '.join(map(str, named.values()))}; name the category to count"
        )
    return keys


def _read_file(where: str, image: Any, wanted: frozenset[str]) -> FileDetections:
    if not isinstance(image, dict) or not isinstance(image.get("file"), str) or not image["file"]:
        raise InputError(f"{where}: expected an entry with 'file', the name of a photo or video; correct or remove it")
    file = image["file"]
    where = f"{where} ({file!r})"
    failure = image.get("failure")
    if failure:
        return FileDetections(file, (), str(failure), None)
    found = image.get("detections")
    if found is None:
        return FileDetections(file, (), "the entry has neither detections nor a failure", None)
    if not isinstance(found, list):
        raise InputError(f"{where}: expected a list 'detections', got {found!r}; correct or remove the entry")
    frame_rate = _frame_rate(where, image.get("frame_rate"))
    detections = []
    for number, detection in enumerate(found):
        here = f"{where}, detections[{number}]"
        if not isinstance(detection, dict) or "category" not in detection:
            raise InputError(f"{here}: expected category, conf and bbox, got {detection!r}; correct or remove it")
        if str(detection["category"]) in wanted:
            detections.append(_read_detection(here, detection, frame_rate))
    frames = image.get("frames_processed") or []
    if not isinstance(frames, list):
        raise InputError(
            f"{where}: expected frames_processed to be a list of whole numbers, got {frames!r}; correct it"
        )
    numbers = [_frame_number(f"{where}, frames_processed", frame) for frame in frames]
    processed_s = tuple(number / frame_rate for number in numbers) if frame_rate else ()
    return FileDetections(file, tuple(detections), "", frame_rate, processed_s)


def _read_detection(where: str, detection: dict[str, Any], frame_rate: float | None) -> TimedBox:
    bbox = detection.get("bbox")
    conf = detection.get("conf")
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_is_number(value) for value in bbox):
        raise InputError(f"{where}: expected bbox [left, top, width, height], four fractions, got {bbox!r}; correct it")
    if not _is_number(conf):
        raise InputError(f"{where}: expected conf, a number in 0..1, got {conf!r}; correct it")
    left, top, width, height = bbox
    box = make_box((left, top, left + width, top + height), conf, f"{where}, bbox")
    number = detection.get("frame_number")
    if number is None:
        return TimedBox(None, None, box)
    frame_number = _frame_number(f"{where}, frame_number", number)
    return TimedBox(frame_number / frame_rate if frame_rate else None, frame_number, box)


def _frame_rate(where: str, value: Any) -> float | None:
    # Some programs write 0 or null when the container has no rate: unknown, as if it were absent.
    if value is None or value == 0:
        return None
    if not _is_number(value) or value < 0:
        raise InputError(f"{where}: expected frame_rate, frames per second > 0, got {value!r}; correct it")
    return float(value)


def _frame_number(where: str, value: Any) -> int:
    if not _is_number(value) or value < 0 or value != int(value):
        raise InputError(f"{where}: expected a whole number >= 0, got {value!r}; correct it")
    return int(value)


def _is_number(value: Any) -> TypeGuard[float]:
    # A whole number of hundreds of digits is valid JSON, but no float can hold it.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
