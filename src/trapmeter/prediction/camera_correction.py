"""Correct distances for what is known of cameras and animals, whichever estimator made them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from trapmeter.calibration.field_facts import FieldFacts, shoulders_by_medium, species_by_medium
from trapmeter.calibration.ground import ground_from_camera
from trapmeter.calibration.lens import network_lens_factor, to_training_lens
from trapmeter.calibration.site_correction import SiteFacts, correct_site
from trapmeter.errors import InputError
from trapmeter.prediction.estimators import DetectedAnimal, DistanceEstimator
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Distance, Medium, ModelIdentity
from trapmeter.tables.cameras import CameraSetup, read_cameras
from trapmeter.tables.species import ShoulderHeight

MAX_FOCAL_RATIO = 1.2
"""Focal lengths of a site's photos that differ by more are not of one camera, or nonsense."""


@dataclass(frozen=True, slots=True)
class CameraInputs:
    """User inputs: the site of each medium, cameras by site; shoulder heights, species and mountings by media_id."""

    site_ids: Mapping[str, str]
    cameras: Mapping[str, CameraSetup]
    shoulders: Mapping[str, ShoulderHeight]
    species: Mapping[str, str] = field(default_factory=dict)
    mountings: Mapping[str, CameraSetup] = field(default_factory=dict)


class CameraCorrection:
    """Another's distances with facts. Satisfies `trapmeter.prediction.estimators.DistanceEstimator`.

    Boxes are shown to the models as the cameras of their training would have seen them; ground and size are weighed
    against the answers afterwards. What nothing is known of stays as it is, to the last bit.
    """

    def __init__(self, answers: DistanceEstimator, facts: FieldFacts) -> None:
        self._estimator, self._facts = answers, facts

    @property
    def identity(self) -> ModelIdentity:
        """The models' own: facts are told row by row."""
        return self._estimator.identity

    def estimate(self, sights: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each sight, in the same order."""
        distances = self._estimator.estimate([self._as_trained(sight) for sight in sights])
        places: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for i, sight in enumerate(sights):
            seen = sight.observation
            camera = self._facts.cameras.get(seen.media_id)
            # From one deployment to the next the camera of a site may hang otherwise.
            mountings = () if camera is None else (camera.height_m, camera.pitch_deg)
            places[(seen.site_id, "" if seen.site_id else seen.media_id, *mountings)].append(i)
        for rows in places.values():
            observations = [sights[i].observation for i in rows]
            media_ids = {seen.media_id for seen in observations}
            shoulders = {name: self._facts.shoulders[name] for name in media_ids & self._facts.shoulders.keys()}
            camera = self._facts.cameras.get(observations[0].media_id)
            if camera is None and not shoulders:
                continue
            known = SiteFacts(camera=camera, shoulders=shoulders)
            corrected = correct_site(observations, [distances[i] for i in rows], known).distances
            for i, distance in zip(rows, corrected, strict=True):
                distances[i] = distance
        return distances

    def _as_trained(self, sight: DetectedAnimal) -> DetectedAnimal:
        seen, trained = sight.observation, self._facts.trained_hfov_deg
        camera = self._facts.cameras.get(seen.media_id)
        if camera is None:
            return sight
        factor = network_lens_factor(camera, trained)
        box = None if seen.box is None else to_training_lens(seen.box, camera, trained)
        return DetectedAnimal(replace(seen, box=box), tuple(metres * factor for metres in sight.network_distances_m))


def read_camera_inputs(
    settings: PredictSettings,
    media: Sequence[Medium],
    mountings: Mapping[str, CameraSetup] | None = None,
    called: Mapping[str, str] | None = None,
) -> CameraInputs:
    """Reads what the settings tell of cameras and animals.

    mountings, called: how cameras were mounted and the animals' species, by media_id, as the media's package states them.
    Such a species is copied to the rows; distances change only where the settings name one.

    Raises:
        InputError: a table is not as expected, tells of none of the media, or a species isn't known.
    """
    site_ids = {medium.media_id: medium.site_id for medium in media}
    shoulders = shoulders_by_medium(settings.species, settings.shoulder_m, site_ids.items())
    species = {**(called or {}), **species_by_medium(settings.species, site_ids.items())}
    if settings.cameras is None:
        return CameraInputs(site_ids, {}, shoulders, species, mountings or {})
    cameras = read_cameras(settings.cameras)
    named = sorted({site_id for site_id in site_ids.values() if site_id})
    if not cameras.keys() & set(named):
        have = f"the sites are {', '.join(named[:8])}" if named else "the media have no site; tell it with --site"
        raise InputError(f"{settings.cameras}: none of its {len(cameras)} cameras is of a site of this run; {have}")
    return CameraInputs(site_ids, cameras, shoulders, species, mountings or {})


def find_camera_facts(seen: Sequence[MediumResult], told: CameraInputs, settings: PredictSettings) -> FieldFacts:
    """What is known of each medium's camera: from the table, else from --hfov, else from EXIF if wanted.

    Pictures tell their width over height themselves, where the table doesn't. A site has one camera: EXIF counts where
    its photos agree.
    """
    by_exif: dict[str, list[float]] = defaultdict(list)
    for medium in seen:
        if settings.exif and medium.hfov_deg is not None:
            by_exif[told.site_ids.get(medium.media_id) or medium.media_id].append(medium.hfov_deg)
    cameras: dict[str, CameraSetup] = {}
    for medium in seen:
        site_id = told.site_ids.get(medium.media_id, "")
        camera = told.cameras.get(site_id)
        if camera is None:
            hfov_deg = settings.hfov_deg or _agreed_hfov_deg(by_exif.get(site_id or medium.media_id, ()))
            camera = None if hfov_deg is None else CameraSetup(hfov_deg, aspect=medium.aspect)
            mountings = told.mountings.get(medium.media_id)
            if camera is not None and mountings is not None:
                camera = _with_mounting(camera, mountings)
        if camera is not None:
            cameras[medium.media_id] = replace(camera, aspect=camera.aspect or medium.aspect)
    return FieldFacts(cameras, told.shoulders, settings.trained_hfov_deg, told.species)


def _with_mounting(camera: CameraSetup, mountings: CameraSetup) -> CameraSetup:
    """The camera with height and pitch, which come unasked with a package: where it would see no ground, without."""
    told = replace(camera, height_m=mountings.height_m, pitch_deg=mountings.pitch_deg)
    try:
        ground_from_camera(told)
    except InputError:
        return camera
    return told


def count_known_cameras(seen: Sequence[MediumResult], known: FieldFacts) -> dict[str, int | float | None]:
    """For run.json: of how many media the field of view is known, and what EXIF says of it (median of so many photos)."""
    by_exif = [medium.hfov_deg for medium in seen if medium.hfov_deg is not None]
    return {"told": len(known.cameras), "n_exif": len(by_exif), "exif": median(by_exif) if by_exif else None}


def _agreed_hfov_deg(hfov_deg: Sequence[float]) -> float | None:
    if not hfov_deg:
        return None
    widest, narrowest = (math.tan(math.radians(degrees) / 2) for degrees in (max(hfov_deg), min(hfov_deg)))
    return median(hfov_deg) if widest <= MAX_FOCAL_RATIO * narrowest else None
