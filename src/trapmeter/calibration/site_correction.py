"""Corrects one site's distances: models are told what they can be told, then come labels, ground and animal size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trapmeter.calibration.animal_marks import animal_uprights
from trapmeter.calibration.animal_size import AnimalSize
from trapmeter.calibration.field_facts import known_facts
from trapmeter.calibration.gaussian_process import Covariance, fit_label_correction, make_site_rows
from trapmeter.calibration.lens import (
    TRAINED_HFOV_DEG,
    network_lens_factor,
    scale_distance,
)
from trapmeter.calibration.track_fusion import FusionSettings, fuse_track
from trapmeter.camera.fit import CameraFit, fit_camera
from trapmeter.camera.prior import camera_prior, check_sees_ground
from trapmeter.detect.static_boxes import share_repeated_boxes
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.records import Distance, Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_marks import Upright
from trapmeter.tables.species import ShoulderHeight

Floats = NDArray[np.float64]
COVARIANCE = Covariance()
FUSION = FusionSettings()
ANIMAL_COVARIANCE = 6.0
"""How many times larger the covariance of a camera is that was fitted to animals: a few individuals appear again and again,
and all may be larger or smaller than their species. Chosen so that intervals hold at simtrap's training sites
(docs/results/calibration.md)."""


class BoxPredictor(Protocol):
    """Estimates distances from boxes and facts, as `trapmeter.boxmodel.model.BoxModel` does."""

    def estimate(self, observations: Sequence[Observation], facts: Sequence[Facts] = ()) -> list[Distance]:
        """A distance for each observation of a site. facts: what is known about each; empty if nothing is."""
        ...


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What a field team knows about a site; any of it may be missing.

    labels: pairs of a row's position and its true distance in metres. uprights: points on the ground, poles and people in
    reference photographs. shoulders: the shoulder height of each row's animal, in the order of the rows; empty if none is
    known.
    """

    labels: tuple[tuple[int, float], ...] = ()
    uprights: tuple[Upright, ...] = ()
    camera: CameraSetup | None = None
    shoulders: tuple[ShoulderHeight | None, ...] = ()

    def __post_init__(self) -> None:
        if not any(self.shoulders):
            object.__setattr__(self, "shoulders", ())

    def shoulder(self, row: int) -> ShoulderHeight | None:
        """The shoulder height of a row's animal."""
        return self.shoulders[row] if self.shoulders else None


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedSite:
    """A site's corrected distances, in the same order, and the fitted camera, if any."""

    distances: tuple[Distance, ...]
    camera: CameraFit | None = None


def apply_known_facts(
    observations: Sequence[Observation],
    distances: Sequence[Distance],
    facts: SiteFacts,
    model: BoxPredictor | None = None,
    trained_hfov_deg: float = TRAINED_HFOV_DEG,
) -> tuple[list[Distance], SiteFacts]:
    """A site's distances with lens, mounting and animals known, and the facts that are left to correct them by.

    model: the box model that estimated them untold; it estimates them again, told all of it. Without it the distances are
    taken as those of networks: they are multiplied by a factor for the lens, and everything else is left. The same objects
    if nothing is known.
    """
    if model is None:
        factor = network_lens_factor(facts.camera, trained_hfov_deg)
        return [scale_distance(distance, factor) for distance in distances], facts
    told = [known_facts(facts.camera, facts.shoulder(row)) for row in range(len(observations))]
    # The lens still shapes the ground by reference points.
    left = replace(facts, camera=facts.camera if facts.uprights else None, shoulders=())
    is_untold = all(row == NO_FACTS for row in told)
    return list(distances) if is_untold else model.estimate(observations, told), left


def correct_site(observations: Sequence[Observation], distances: Sequence[Distance], facts: SiteFacts) -> CorrectedSite:
    """Corrects a site's measured rows by labels, ground and animal size, as far as `apply_known_facts` has left them.

    Distances about which nothing is known stay the same objects.

    Raises:
        InputError: the camera sees no ground.
    """
    return _correct_with_camera(observations, distances, facts, fit_site_camera(facts, observations))


def _correct_with_camera(
    observations: Sequence[Observation], distances: Sequence[Distance], facts: SiteFacts, camera: CameraFit | None
) -> CorrectedSite:
    corrected = _correct_by_labels(observations, list(distances), facts.labels)
    if camera is not None or facts.shoulders:
        corrected = _correct_by_geometry(observations, corrected, camera, facts)
    return CorrectedSite(tuple(corrected), camera)


def fit_site_camera(facts: SiteFacts, observations: Sequence[Observation] = ()) -> CameraFit | None:
    """The camera by its reference marks and its measured height and pitch, or else by animals of known size.

    observations: the site's rows; their animals count only through a known lens. With reference marks they would add errors
    only (docs/development/log.md).

    Raises:
        InputError: the camera points too far up to show any ground.
    """
    has_mounting = facts.camera is not None and facts.camera.height_m is not None
    uprights: Sequence[Upright] = facts.uprights
    if not uprights and not has_mounting:
        # Through an unknown lens, a larger animal farther away looks the same.
        if facts.camera is None or facts.camera.hfov_deg is None or not facts.shoulders:
            return None
        uprights = animal_uprights(
            observations, facts.shoulders, share_repeated_boxes(observations).tolist(), FUSION.size
        )
        if not uprights:
            return None
    prior = camera_prior(facts.camera)
    if has_mounting:
        check_sees_ground(prior)
    fit = fit_camera(uprights, prior)
    is_by_animals = not facts.uprights and not has_mounting
    return replace(fit, covariance=ANIMAL_COVARIANCE * fit.covariance) if is_by_animals else fit


def label_errors_m(
    observations: Sequence[Observation],
    distances: Sequence[Distance],
    informed: Sequence[Distance],
    facts: SiteFacts,
    camera: CameraFit | None,
) -> tuple[float, float] | None:
    """Mean absolute errors of the labelled rows (metres): uncorrected, and corrected by labels of other videos alone.

    distances: before any correction; informed, facts: of `apply_known_facts`. camera: the fitted one.
    None if fewer than two videos have labels.
    """
    labels_of: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for position, metres in facts.labels:
        labels_of[observations[position].media_id].append((position, metres))
    if len(labels_of) < 2:
        return None
    before, after = [], []
    for left_out, held_out in labels_of.items():
        others = tuple(label for video, labels in labels_of.items() if video != left_out for label in labels)
        without = replace(facts, labels=others)
        corrected = _correct_with_camera(observations, informed, without, camera).distances
        for position, metres in held_out:
            before.append(abs(distances[position].distance_m - metres))
            after.append(abs(corrected[position].distance_m - metres))
    return float(np.mean(before)), float(np.mean(after))


def _correct_by_labels(
    observations: Sequence[Observation], distances: list[Distance], labels: Sequence[tuple[int, float]]
) -> list[Distance]:
    if not labels:
        return distances
    rows = make_site_rows(observations, log_distances(distances))
    index = np.array([position for position, _ in labels])
    truth_log = np.log1p(np.array([metres for _, metres in labels]))
    correction = fit_label_correction(rows.take(index), truth_log, COVARIANCE)
    return [_shift(d, shift) for d, shift in zip(distances, correction.shift_log(rows).tolist(), strict=True)]


def _correct_by_geometry(
    observations: Sequence[Observation], distances: list[Distance], camera: CameraFit | None, facts: SiteFacts
) -> list[Distance]:
    tracks: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for i, row in enumerate(observations):
        # Rows without an animal_id may show several animals, so each is a track of its own.
        tracks[row.media_id, row.animal_id, 0 if row.animal_id else i].append(i)
    repeated = share_repeated_boxes(observations)
    result = list(distances)
    for rows in tracks.values():
        rows.sort(key=lambda i: observations[i].time_s)
        boxes = [observations[i].box for i in rows]
        shoulder = next(filter(None, map(facts.shoulder, rows)), None)
        if not any(boxes) or (camera is None and shoulder is None):
            continue
        size = None if shoulder is None else _animal_size(shoulder, camera, facts)
        time_s = np.array([observations[i].time_s for i in rows])
        fused = fuse_track(camera, boxes, [distances[i] for i in rows], time_s, repeated[rows], FUSION, size)
        for i, distance in zip(rows, fused, strict=True):
            result[i] = distance
    return result


def _animal_size(shoulder: ShoulderHeight, camera: CameraFit | None, facts: SiteFacts) -> AnimalSize:
    """The animal's size, through the stated lens or else the fitted one."""
    stated = facts.camera or CameraSetup()
    if camera is None or stated.hfov_deg is not None:
        return AnimalSize(shoulder, facts.camera)
    return AnimalSize(shoulder, replace(stated, hfov_deg=camera.camera.hfov_deg), camera.lens_sd_log)


def log_distances(distances: Sequence[Distance]) -> Floats:
    """log(1 + metres) of each distance (n)."""
    return np.log1p(np.array([distance.distance_m for distance in distances], np.float64))


def _shift(distance: Distance, shift_log: float) -> Distance:
    """A distance with its interval and draws, all shifted in log(1 + metres); 0 m at least."""
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
