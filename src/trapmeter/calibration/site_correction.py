"""Corrects one site's distances: lens first, then labels, then ground and animal size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trapmeter.calibration.animal_size import AnimalSize
from trapmeter.calibration.gaussian_process import Covariance, LabelCorrection, fit_label_correction, make_site_rows
from trapmeter.calibration.ground import Ground, fit_ground, ground_from_camera
from trapmeter.calibration.lens import (
    TRAINED_HFOV_DEG,
    lens_changes_boxes,
    network_lens_factor,
    observations_to_training_lens,
    scale_distance,
)
from trapmeter.calibration.static_boxes import share_repeated_boxes
from trapmeter.calibration.track_fusion import FusionSettings, fuse_track
from trapmeter.records import Distance, Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_points import ReferencePoint
from trapmeter.tables.species import ShoulderHeight

Floats = NDArray[np.float64]
COVARIANCE = Covariance()
FUSION = FusionSettings()


class BoxPredictor(Protocol):
    """Tells distances from boxes alone, as `trapmeter.boxmodel.model.BoxModel` does."""

    def estimate(self, observations: Sequence[Observation]) -> list[Distance]:
        """A distance for each observation of a site."""
        ...


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What a field team knows of a site; any of it may be missing.

    labels: position of a row and its true distance in metres. points: places on the ground. shoulders: the shoulder of
    the animals of a medium, by media_id.
    """

    labels: tuple[tuple[int, float], ...] = ()
    points: tuple[ReferencePoint, ...] = ()
    camera: CameraSetup | None = None
    shoulders: Mapping[str, ShoulderHeight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedSite:
    """A site's distances after it, in the same order, and what the ground was taken to be."""

    distances: tuple[Distance, ...]
    ground: Ground | None = None


def correct_for_lens(
    observations: Sequence[Observation],
    distances: Sequence[Distance],
    camera: CameraSetup | None,
    trained_hfov_deg: float = TRAINED_HFOV_DEG,
    model: BoxPredictor | None = None,
) -> list[Distance]:
    """The measured rows of a site with the lens reckoned in; as they are, to the last bit, where it isn't known.

    model: the box model that gave the distances, which is asked anew; without it they are taken as those of networks.
    """
    if not lens_changes_boxes(camera, trained_hfov_deg):
        return list(distances)
    if model is not None:
        return model.estimate(observations_to_training_lens(observations, camera, trained_hfov_deg))
    return [scale_distance(distance, network_lens_factor(camera, trained_hfov_deg)) for distance in distances]


def correct_site(observations: Sequence[Observation], distances: Sequence[Distance], known: SiteFacts) -> CorrectedSite:
    """Corrects the measured rows of a site, through whose lens distances were told already.

    What nothing is known for stays as it is, to the last bit.

    Raises:
        InputError: the reference points contradict each other, or the camera sees no ground.
    """
    shifted = _correct_by_labels(observations, list(distances), known.labels)
    ground = None if known.camera is None else ground_from_camera(known.camera)
    if known.points:
        ground = fit_ground(known.points, ground)
    if ground is not None or known.shoulders:
        shifted = _correct_by_geometry(observations, shifted, ground, known)
    return CorrectedSite(tuple(shifted), ground)


def label_errors_m(
    observations: Sequence[Observation], distances: Sequence[Distance], lensed: Sequence[Distance], known: SiteFacts
) -> tuple[float, float] | None:
    """Mean errors of the labelled rows before any correction, and after one by the labels of the other videos alone.

    distances: before any correction; lensed: with the lens reckoned in. None where labels are of fewer than two videos.
    """
    of_video: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for position, metres in known.labels:
        of_video[observations[position].media_id].append((position, metres))
    if len(of_video) < 2:
        return None
    before, after = [], []
    for left_out, held in of_video.items():
        others = tuple(label for video, labels in of_video.items() if video != left_out for label in labels)
        corrected = correct_site(observations, lensed, replace(known, labels=others)).distances
        for position, metres in held:
            before.append(abs(distances[position].distance_m - metres))
            after.append(abs(corrected[position].distance_m - metres))
    return float(np.mean(before)), float(np.mean(after))


def _correct_by_labels(
    observations: Sequence[Observation], distances: list[Distance], labels: Sequence[tuple[int, float]]
) -> list[Distance]:
    if not labels:
        return distances
    rows = make_site_rows(observations, _log_distances(distances))
    index = np.array([position for position, _ in labels])
    truth = np.log1p(np.array([metres for _, metres in labels]))
    correction: LabelCorrection = fit_label_correction(rows.take(index), truth, COVARIANCE)
    return [_shift(d, shift) for d, shift in zip(distances, correction.shift_log(rows).tolist(), strict=True)]


def _correct_by_geometry(
    observations: Sequence[Observation], distances: list[Distance], ground: Ground | None, known: SiteFacts
) -> list[Distance]:
    tracks: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for i, seen in enumerate(observations):
        # Rows that nobody has tracked may be of several animals: each stands alone.
        tracks[seen.media_id, seen.animal_id, 0 if seen.animal_id else i].append(i)
    repeated = share_repeated_boxes(observations)
    result = list(distances)
    for rows in tracks.values():
        rows.sort(key=lambda i: observations[i].time_s)
        boxes = [observations[i].box for i in rows]
        shoulder = known.shoulders.get(observations[rows[0]].media_id)
        if not any(boxes) or (ground is None and shoulder is None):
            continue
        size = None if shoulder is None else AnimalSize(shoulder, known.camera)
        time_s = np.array([observations[i].time_s for i in rows])
        weighed = fuse_track(ground, boxes, [distances[i] for i in rows], time_s, repeated[rows], FUSION, size)
        for i, distance in zip(rows, weighed, strict=True):
            result[i] = distance
    return result


def _log_distances(distances: Sequence[Distance]) -> Floats:
    return np.log1p(np.array([distance.distance_m for distance in distances], np.float64))


def _shift(distance: Distance, shift_log: float) -> Distance:
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
