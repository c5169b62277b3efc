"""Corrects the distances of any estimator for what is known about cameras and animals."""

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
"""If focal lengths in the EXIF of a site's photos differ by more, they are of several cameras, or wrong."""


@dataclass(frozen=True, slots=True)
class CameraInputs:
    """User inputs: the site of each medium, cameras by site; shoulder heights, species and mountings by media_id."""

    site_ids: Mapping[str, str]
    cameras: Mapping[str, CameraSetup]
    shoulders: Mapping[str, ShoulderHeight]
    species: Mapping[str, str] = field(default_factory=dict)
    mountings: Mapping[str, CameraSetup] = field(default_factory=dict)


class CameraCorrection:
    """Another estimator's distances, corrected. Satisfies `trapmeter.prediction.estimators.DistanceEstimator`.

    Boxes are converted to what the training cameras would have shown before the models get them; ground and body size are
    combined with the predictions afterwards. Without any facts a distance stays the same to the last bit.
    """

    def __init__(self, estimator: DistanceEstimator, facts: FieldFacts) -> None:
        self._estimator, self._facts = estimator, facts

    @property
    def identity(self) -> ModelIdentity:
        """The estimator's own: the facts that were used differ from row to row."""
        return self._estimator.identity

    def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each animal, in the same order."""
        distances = self._estimator.estimate([self._to_training_lens(animal) for animal in animals])
        setups: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for i, animal in enumerate(animals):
            observation = animal.observation
            camera = self._facts.cameras.get(observation.media_id)
            # A site's camera may be mounted differently in each deployment.
            mounting = () if camera is None else (camera.height_m, camera.pitch_deg)
            site_or_medium = (observation.site_id, "" if observation.site_id else observation.media_id)
            setups[(*site_or_medium, *mounting)].append(i)
        for rows in setups.values():
            observations = [animals[i].observation for i in rows]
            media_ids = {observation.media_id for observation in observations}
            shoulders = {name: self._facts.shoulders[name] for name in media_ids & self._facts.shoulders.keys()}
            camera = self._facts.cameras.get(observations[0].media_id)
            if camera is None and not shoulders:
                continue
            facts = SiteFacts(camera=camera, shoulders=shoulders)
            corrected = correct_site(observations, [distances[i] for i in rows], facts).distances
            for i, distance in zip(rows, corrected, strict=True):
                distances[i] = distance
        return distances

    def _to_training_lens(self, animal: DetectedAnimal) -> DetectedAnimal:
        observation, trained_hfov_deg = animal.observation, self._facts.trained_hfov_deg
        camera = self._facts.cameras.get(observation.media_id)
        if camera is None:
            return animal
        factor = network_lens_factor(camera, trained_hfov_deg)
        box = None if observation.box is None else to_training_lens(observation.box, camera, trained_hfov_deg)
        distances_m = tuple(distance_m * factor for distance_m in animal.network_distances_m)
        return DetectedAnimal(replace(observation, box=box), distances_m)


def read_camera_inputs(
    settings: PredictSettings,
    media: Sequence[Medium],
    mountings: Mapping[str, CameraSetup] | None = None,
    package_species: Mapping[str, str] | None = None,
) -> CameraInputs:
    """Reads the facts of cameras and animals that the settings give.

    mountings, package_species: how cameras were mounted and the animals' species, by media_id, as in the media's Camtrap DP.
    Such a species is only copied to the rows; distances change only for a species in the settings.

    Raises:
        InputError: a table is not as expected or names none of the media, or a species is unknown.
    """
    site_ids = {medium.media_id: medium.site_id for medium in media}
    shoulders = shoulders_by_medium(settings.species, settings.shoulder_m, site_ids.items())
    species = {**(package_species or {}), **species_by_medium(settings.species, site_ids.items())}
    cameras = {} if settings.cameras is None else read_cameras(settings.cameras)
    sites = sorted(set(site_ids.values()) - {""})
    if settings.cameras is not None and not cameras.keys() & set(sites):
        hint = f"the sites are {', '.join(sites[:8])}" if sites else "the media have no site; give it with --site"
        raise InputError(f"{settings.cameras}: none of its {len(cameras)} cameras is of a site of this run; {hint}")
    return CameraInputs(site_ids, cameras, shoulders, species, mountings or {})


def find_camera_facts(media: Sequence[MediumResult], inputs: CameraInputs, settings: PredictSettings) -> FieldFacts:
    """The known facts of each medium's camera: from the table, else from --hfov, else from EXIF if the settings allow it.

    The pictures' own aspect is used if the table has none. A site has one camera: EXIF is used only if the site's photos
    agree.
    """
    exif_hfov_deg: dict[str, list[float]] = defaultdict(list)
    for medium in media:
        if settings.exif and medium.hfov_deg is not None:
            exif_hfov_deg[inputs.site_ids.get(medium.media_id) or medium.media_id].append(medium.hfov_deg)
    cameras: dict[str, CameraSetup] = {}
    for medium in media:
        site_id = inputs.site_ids.get(medium.media_id, "")
        camera = inputs.cameras.get(site_id)
        if camera is None:
            hfov_deg = settings.hfov_deg or _agreed_hfov_deg(exif_hfov_deg.get(site_id or medium.media_id, ()))
            camera = None if hfov_deg is None else CameraSetup(hfov_deg, aspect=medium.aspect)
            mounting = inputs.mountings.get(medium.media_id)
            if camera is not None and mounting is not None:
                camera = _with_mounting(camera, mounting)
        if camera is not None:
            cameras[medium.media_id] = replace(camera, aspect=camera.aspect or medium.aspect)
    return FieldFacts(cameras, inputs.shoulders, settings.trained_hfov_deg, inputs.species)


def _with_mounting(camera: CameraSetup, mounting: CameraSetup) -> CameraSetup:
    """The camera with its package's height and pitch, unless it would see no ground with them: nobody requested them."""
    mounted = replace(camera, height_m=mounting.height_m, pitch_deg=mounting.pitch_deg)
    try:
        ground_from_camera(mounted)
    except InputError:
        return camera
    return mounted


def count_known_cameras(media: Sequence[MediumResult], facts: FieldFacts) -> dict[str, int | float | None]:
    """For run.json: the number of media with a known field of view, and the median in EXIF with its number of photos."""
    by_exif = [medium.hfov_deg for medium in media if medium.hfov_deg is not None]
    return {"n_with_hfov": len(facts.cameras), "n_exif": len(by_exif), "exif": median(by_exif) if by_exif else None}


def _agreed_hfov_deg(hfov_deg: Sequence[float]) -> float | None:
    if not hfov_deg:
        return None
    widest, narrowest = (math.tan(math.radians(degrees) / 2) for degrees in (max(hfov_deg), min(hfov_deg)))
    return median(hfov_deg) if widest <= MAX_FOCAL_RATIO * narrowest else None
