"""cameras.json in a folder of results: the fitted camera of each deployment, and its reference photographs."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from trapmeter._version import __version__
from trapmeter.camera.fit import CameraFit
from trapmeter.camera.model import N_PARAMETERS
from trapmeter.errors import InputError
from trapmeter.files import atomic_file
from trapmeter.tables.reference_marks import MarkedDeployment

FITTED_CAMERAS = "cameras.json"
FORMAT = 1
DIGITS = 12
"""Significant digits of parameters and covariance. With fewer, the covariance of a well-known camera may lose its sense: its
entries nearly cancel."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedCamera:
    """The camera of a site from a start to an end, None for an open one.

    photos: the names of its reference photographs, below the folder of the media. n_marks: reference marks behind the fit.
    photo_distances: (photo, metres) of each pole, person or point in a photograph, so that a photo may stand several times.
    """

    site_id: str
    start: datetime | None
    end: datetime | None
    fit: CameraFit
    photos: tuple[str, ...] = ()
    n_marks: int = 0
    photo_distances: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not self.site_id:
            raise InputError("expected the site of the camera, got no name")
        times = [time for time in (self.start, self.end) if time is not None]
        if len({time.tzinfo is None for time in times}) > 1:
            raise InputError("expected a zone in both start and end, or in neither")
        if len(times) == 2 and times[0] >= times[1]:
            raise InputError(f"expected an end after the start {times[0].isoformat()}, got {times[1].isoformat()}")
        for photo, metres in self.photo_distances:
            if not 0 < metres < math.inf:
                raise InputError(f"expected a distance above 0 m in {photo}, got {metres:g}")


def fitted_camera(deployment: MarkedDeployment, fit: CameraFit) -> FittedCamera:
    """The record of a deployment's fit. Where the table lacks a distance, that of the fitted ground stands in."""
    distances = []
    for upright in deployment.uprights:
        metres = upright.distance_m or fit.camera.distance_m(upright.lowest.x, upright.lowest.y)
        if upright.photo and math.isfinite(metres):
            distances.append((upright.photo, metres))
    n_marks = sum(len(upright.marks) for upright in deployment.uprights)
    return FittedCamera(
        deployment.site_id, deployment.start, deployment.end, fit, deployment.photos, n_marks, tuple(distances)
    )


def write_fitted_cameras(
    path: str | Path, cameras: Sequence[FittedCamera], other_views: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Writes the file, in the order given; it appears complete or not at all.

    other_views: why media show another view than the reference photograph of their camera, by media_id.

    Raises:
        RunError: it can't be written.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "trapmeter": __version__,
        "cameras": [_to_json(camera) for camera in cameras],
    }
    content["other_views"] = dict(other_views)
    with atomic_file(Path(path)) as file:
        json.dump(content, file, indent=1, sort_keys=True, allow_nan=False)
        file.write("\n")


def read_fitted_cameras(folder: str | Path) -> list[FittedCamera]:
    """The fitted cameras in a folder of results; [] if none was fitted.

    Raises:
        InputError: the file is damaged, or of a later version; names the file and what is wrong.
    """
    path = Path(folder) / FITTED_CAMERAS
    entries = _read(path).get("cameras", [])
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a list of cameras, got {type(entries).__name__}; calibrate again")
    return [_from_json(path, number, entry) for number, entry in enumerate(entries, 1)]


def read_other_views(folder: str | Path) -> dict[str, str]:
    """Why media show another view than the reference photograph of their camera, by media_id.

    Raises:
        InputError: as `read_fitted_cameras`.
    """
    path = Path(folder) / FITTED_CAMERAS
    views = _read(path).get("other_views", {})
    if not isinstance(views, dict) or not all(isinstance(reason, str) for reason in views.values()):
        raise InputError(f"{path}: expected a reason for each medium of another view; calibrate again")
    return views


def _read(path: Path) -> dict[str, Any]:
    """The content of the file; {} without it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: expected JSON as `trapmeter calibrate` writes it ({error}); calibrate again"
        ) from error
    if not isinstance(content, dict) or "format" not in content:
        raise InputError(f"{path}: expected fitted cameras as `trapmeter calibrate` writes them; calibrate again")
    if content["format"] != FORMAT:
        raise InputError(
            f"{path}: expected format {FORMAT}, got {content['format']!r}, of trapmeter {content.get('trapmeter', '?')}; use "
            "that version, or calibrate again with this one"
        )
    return content


def _to_json(camera: FittedCamera) -> dict[str, Any]:
    distances: dict[str, list[float]] = defaultdict(list)
    for photo, metres in camera.photo_distances:
        distances[photo].append(round(metres, 3))
    model = camera.fit.camera
    return {
        "site_id": camera.site_id,
        "start": None if camera.start is None else camera.start.isoformat(),
        "end": None if camera.end is None else camera.end.isoformat(),
        "aspect_ratio": camera.fit.aspect_ratio,
        "parameters": [_rounded(value) for value in camera.fit.parameters.tolist()],
        "covariance": [[_rounded(value) for value in row] for row in camera.fit.covariance.tolist()],
        "weights": [round(weight, 4) for weight in camera.fit.weights],
        "photos": [
            {"name": photo, "distances_m": distances[photo]} for photo in dict.fromkeys([*camera.photos, *distances])
        ],
        "n_marks": camera.n_marks,
        # For people: the parameters say the same.
        "described": {
            name: round(getattr(model, name), 3)
            for name in ("hfov_deg", "height_m", "pitch_deg", "roll_deg", "slope_along_deg", "slope_across_deg")
        },
    }


def _from_json(path: Path, number: int, entry: Any) -> FittedCamera:
    try:
        fit = CameraFit(
            _floats(entry["parameters"], (N_PARAMETERS,)),
            _floats(entry["covariance"], (N_PARAMETERS, N_PARAMETERS)),
            float(_floats(entry["aspect_ratio"], ())),
            tuple(_floats(entry["weights"], (len(entry["weights"]),)).tolist()),
        )
        if not 0.1 <= fit.aspect_ratio <= 10:
            raise ValueError(f"expected an aspect_ratio (width over height) of 0.1 to 10, got {fit.aspect_ratio:g}")
        return FittedCamera(
            _text(entry["site_id"]),
            _time(entry["start"]),
            _time(entry["end"]),
            fit,
            tuple(_text(photo["name"]) for photo in entry["photos"]),
            int(entry["n_marks"]),
            tuple(
                (_text(photo["name"]), float(metres)) for photo in entry["photos"] for metres in photo["distances_m"]
            ),
        )
    except KeyError as error:
        reason = f"{error} is missing"
    except (ValueError, TypeError, InputError) as error:
        reason = str(error)
    raise InputError(f"{path}, camera {number}: {reason}; calibrate again")


def _floats(value: Any, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    array = np.array(value, np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"expected {' x '.join(map(str, shape)) or '1'} numbers, got {value!r:.60}")
    return array


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {value!r:.60}")
    return value


def _time(value: Any) -> datetime | None:
    return None if value is None else datetime.fromisoformat(_text(value))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
