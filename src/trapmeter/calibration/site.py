"""All that is known of a site brought to bear on its distances: the lens first, then labels, then the ground."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trapmeter.calibration.camera import TRAINED_HFOV_DEG, lens_factor
from trapmeter.calibration.covariance import Covariance
from trapmeter.calibration.feet import FeetSettings, weigh_track
from trapmeter.calibration.ground import Ground, fit_ground, ground_of_camera
from trapmeter.calibration.labels import LabelCorrection, correct_by_labels
from trapmeter.calibration.repeats import repeated_shares
from trapmeter.calibration.rows import make_rows
from trapmeter.records import Distance, Observation
from trapmeter.tables.cameras import Camera
from trapmeter.tables.reference_points import ReferencePoint

Floats = NDArray[np.float64]
COVARIANCE = Covariance()
FEET = FeetSettings()


@dataclass(frozen=True, slots=True)
class Known:
    """What a field team knows of a site; any of it may be missing.

    labels: position of a row and its true distance in metres. points: places on the ground. trained_hfov_deg: the field
    of view of the cameras that the model learnt from.
    """

    labels: tuple[tuple[int, float], ...] = ()
    points: tuple[ReferencePoint, ...] = ()
    camera: Camera | None = None
    trained_hfov_deg: float = TRAINED_HFOV_DEG


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A site's distances after it, in the same order, and what the ground was taken to be."""

    distances: tuple[Distance, ...]
    factor: float = 1.0
    ground: Ground | None = None


def correct_site(observations: Sequence[Observation], distances: Sequence[Distance], known: Known) -> Corrected:
    """Corrects the measured rows of a site. What nothing is known for stays as it is, to the last bit.

    Raises:
        InputError: the reference points contradict each other, or the camera sees no ground.
    """
    factor = lens_factor(known.camera, known.trained_hfov_deg)
    scaled = [_times(distance, factor) for distance in distances]
    shifted = _by_labels(observations, scaled, known.labels)
    ground = None if known.camera is None else ground_of_camera(known.camera)
    if known.points:
        ground = fit_ground(known.points, ground)
    if ground is not None:
        shifted = _by_ground(observations, shifted, ground)
    return Corrected(tuple(shifted), factor, ground)


def label_errors_m(
    observations: Sequence[Observation], distances: Sequence[Distance], known: Known
) -> tuple[float, float] | None:
    """Mean errors of the labelled rows before any correction, and after one by the labels of the other videos alone.

    None where labels are of fewer than two videos.
    """
    of_video: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for position, metres in known.labels:
        of_video[observations[position].media_id].append((position, metres))
    if len(of_video) < 2:
        return None
    before, after = [], []
    for left_out, held in of_video.items():
        others = tuple(label for video, labels in of_video.items() if video != left_out for label in labels)
        corrected = correct_site(observations, distances, replace(known, labels=others)).distances
        for position, metres in held:
            before.append(abs(distances[position].distance_m - metres))
            after.append(abs(corrected[position].distance_m - metres))
    return float(np.mean(before)), float(np.mean(after))


def _by_labels(
    observations: Sequence[Observation], distances: list[Distance], labels: Sequence[tuple[int, float]]
) -> list[Distance]:
    if not labels:
        return distances
    rows = make_rows(observations, _logs(distances))
    index = np.array([position for position, _ in labels])
    truth = np.log1p(np.array([metres for _, metres in labels]))
    correction: LabelCorrection = correct_by_labels(rows.take(index), truth, COVARIANCE)
    return [_moved(d, shift) for d, shift in zip(distances, correction.shift_log(rows).tolist(), strict=True)]


def _by_ground(observations: Sequence[Observation], distances: list[Distance], ground: Ground) -> list[Distance]:
    tracks: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for i, seen in enumerate(observations):
        # Rows that nobody has tracked may be of several animals: each stands alone.
        tracks[seen.media_id, seen.animal_id, 0 if seen.animal_id else i].append(i)
    repeated = repeated_shares(observations)
    result = list(distances)
    for rows in tracks.values():
        rows.sort(key=lambda i: observations[i].time_s)
        boxes = [observations[i].box for i in rows]
        if not any(boxes):
            continue
        time_s = np.array([observations[i].time_s for i in rows])
        weighed = weigh_track(ground, boxes, [distances[i] for i in rows], time_s, repeated[rows], FEET)
        for i, distance in zip(rows, weighed, strict=True):
            result[i] = distance
    return result


def _logs(distances: Sequence[Distance]) -> Floats:
    return np.log1p(np.array([distance.distance_m for distance in distances], np.float64))


def _times(distance: Distance, factor: float) -> Distance:
    if factor == 1.0:
        return distance
    return replace(
        distance,
        distance_m=distance.distance_m * factor,
        low_m=distance.low_m * factor,
        high_m=distance.high_m * factor,
        draws_m=tuple(metres * factor for metres in distance.draws_m),
    )


def _moved(distance: Distance, shift_log: float) -> Distance:
    """Everything of a distance moved alike in log(1 + metres), and nothing nearer than the camera."""
    if shift_log == 0.0:
        return distance

    def move(metres: float) -> float:
        return max(float(np.expm1(np.log1p(metres) + shift_log)), 0.0)

    return replace(
        distance,
        distance_m=move(distance.distance_m),
        low_m=move(distance.low_m),
        high_m=move(distance.high_m),
        draws_m=tuple(move(metres) for metres in distance.draws_m),
    )
