"""Corrects the distances of any estimator for what is known about cameras and animals."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from trapmeter.calibration.animal_facts import NO_ANIMAL_FACTS, AnimalFacts, read_animal_facts
from trapmeter.calibration.field_facts import (
    FieldFacts,
    LensSource,
    check_cameras,
)
from trapmeter.calibration.lens import network_lens_factor
from trapmeter.calibration.site_correction import SiteFacts, correct_site
from trapmeter.camera.prior import camera_prior, check_sees_ground
from trapmeter.errors import InputError
from trapmeter.models.fact_inputs import LOG_SHOULDER_M, TOLD_LENS, TOLD_MOUNTING, takes_size
from trapmeter.prediction.estimators import DetectedAnimal, DistanceEstimator
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import Distance, Medium, ModelIdentity
from trapmeter.tables.camera_models import CameraModel, find_camera_model
from trapmeter.tables.cameras import CameraSetup, read_cameras
from trapmeter.tables.species_names import Identification

DEFAULT_MIN_SPECIES_SCORE = 0.5
"""From this score on, a classifier is more often right than wrong."""
MAX_FOCAL_RATIO = 1.2
"""If focal lengths in the EXIF of a site's photos differ by more, they are of several cameras, or wrong."""


@dataclass(frozen=True, slots=True)
class CameraInputs:
    """User inputs: the site of each medium, cameras by site, species and sizes of animals, and mountings by media_id."""

    site_ids: Mapping[str, str]
    cameras: Mapping[str, CameraSetup]
    animals: AnimalFacts = NO_ANIMAL_FACTS
    mountings: Mapping[str, CameraSetup] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToldFacts:
    """What models took as inputs, which their distances must not be corrected for again.

    network_lens: the networks took the field of view; the box model always does. mounting, shoulder: the estimator as a whole
    took the camera's height and pitch, or the animal's shoulder height.
    """

    network_lens: bool = False
    mounting: bool = False
    shoulder: bool = False


TOLD_ALL = ToldFacts(network_lens=True, mounting=True, shoulder=True)
"""What the box model alone is told."""


def told_by_networks(names: Collection[str], *, is_blended: bool) -> ToldFacts:
    """What networks that take facts of these names were told, and the box model of a blend with them.

    The box model of a blend is told as much about size as its networks are.
    """
    lens, size = not TOLD_LENS.isdisjoint(names), takes_size(names)
    if is_blended:
        return ToldFacts(lens, mounting=size, shoulder=size)
    return ToldFacts(lens, mounting=TOLD_MOUNTING.issubset(names), shoulder=LOG_SHOULDER_M in names)


class CameraCorrection:
    """Another estimator's distances, corrected. Satisfies `trapmeter.prediction.estimators.DistanceEstimator`.

    Models that take facts get them. Ground and body size are combined afterwards with the predictions of others. Without any
    facts a distance stays the same to the last bit.
    """

    def __init__(self, estimator: DistanceEstimator, facts: FieldFacts, told: ToldFacts = TOLD_ALL) -> None:
        self._estimator, self._facts, self._told = estimator, facts, told

    @property
    def identity(self) -> ModelIdentity:
        """The estimator's own: the facts that were used differ from row to row."""
        return self._estimator.identity

    def estimate(self, animals: Sequence[DetectedAnimal]) -> list[Distance]:
        """A distance for each animal, in the same order."""
        distances = self._estimator.estimate([self._inform(animal) for animal in animals])
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
            shoulders = () if self._told.shoulder else tuple(map(self._facts.animals.shoulder_of, observations))
            camera = self._facts.cameras.get(observations[0].media_id)
            if camera is not None and self._told.mounting:
                camera = replace(camera, height_m=None, pitch_deg=None)
            if camera is None and not any(shoulders):
                continue
            facts = SiteFacts(camera=camera, shoulders=shoulders)
            corrected = correct_site(observations, [distances[i] for i in rows], facts).distances
            for i, distance in zip(rows, corrected, strict=True):
                distances[i] = distance
        return distances

    def _inform(self, animal: DetectedAnimal) -> DetectedAnimal:
        """The animal with the facts that its models take."""
        observation = animal.observation
        camera, known = self._facts.cameras.get(observation.media_id), self._facts.known(observation)
        if not self._told.shoulder:
            known = replace(known, shoulder_m=None)
        if not self._told.mounting:
            known = replace(known, camera_height_m=None, pitch_deg=None)
        factor = 1.0 if self._told.network_lens else network_lens_factor(camera, self._facts.trained_hfov_deg)
        distances_m = tuple(distance_m * factor for distance_m in animal.network_distances_m)
        return replace(animal, network_distances_m=distances_m, facts=known)


def read_camera_inputs(
    settings: PredictSettings,
    media: Sequence[Medium],
    mountings: Mapping[str, CameraSetup] | None = None,
    package_species: Mapping[str, Identification] | None = None,
) -> CameraInputs:
    """Reads the facts of cameras and animals that the settings give.

    mountings, package_species: how cameras were mounted and the animals' species, by media_id, as in the media's Camtrap DP.

    Raises:
        InputError: a table is not as expected or names none of the media, or a species is unknown.
    """
    site_ids = {medium.media_id: medium.site_id for medium in media}
    animals = read_animal_facts(settings, site_ids.items(), package_species, DEFAULT_MIN_SPECIES_SCORE)
    cameras = {} if settings.cameras is None else read_cameras(settings.cameras)
    if settings.cameras is not None:
        check_cameras(settings.cameras, cameras)
    sites = sorted(set(site_ids.values()) - {""})
    if settings.cameras is not None and not cameras.keys() & set(sites):
        hint = f"the sites are {', '.join(sites[:8])}" if sites else "the media have no site; give it with --site"
        raise InputError(f"{settings.cameras}: none of its {len(cameras)} cameras is of a site of this run; {hint}")
    return CameraInputs(site_ids, cameras, animals, mountings or {})


def find_camera_facts(media: Sequence[MediumResult], inputs: CameraInputs, settings: PredictSettings) -> FieldFacts:
    """The known facts of each medium's camera: from the table, else from --hfov, else from EXIF if the settings allow it.

    The pictures' own aspect is used if the table has none. A site has one camera: EXIF is used only if the site's media
    agree.
    """
    by_exif = _lenses_by_exif(media, inputs.site_ids) if settings.exif and settings.hfov_deg is None else {}
    cameras: dict[str, CameraSetup] = {}
    sources: dict[str, LensSource] = {}
    for medium in media:
        camera = inputs.cameras.get(inputs.site_ids.get(medium.media_id, ""))
        if camera is None:
            hfov_deg = settings.hfov_deg
            if hfov_deg is None and medium.media_id in by_exif:
                hfov_deg, sources[medium.media_id] = by_exif[medium.media_id]
            camera = None if hfov_deg is None else CameraSetup(hfov_deg, aspect=medium.aspect)
            mounting = inputs.mountings.get(medium.media_id)
            if camera is not None and mounting is not None:
                camera = _with_mounting(camera, mounting)
        if camera is not None:
            cameras[medium.media_id] = replace(camera, aspect=camera.aspect or medium.aspect)
    return FieldFacts(cameras, inputs.animals, settings.trained_hfov_deg, sources)


def _lenses_by_exif(media: Sequence[MediumResult], site_ids: Mapping[str, str]) -> dict[str, tuple[float, LensSource]]:
    """The field of view of each medium by its site's EXIF: from focal lengths, or from the model if there are none."""
    by_site: dict[str, list[MediumResult]] = defaultdict(list)
    for medium in media:
        by_site[site_ids.get(medium.media_id) or medium.media_id].append(medium)
    lenses: dict[str, tuple[float, LensSource]] = {}
    for group in by_site.values():
        stated = [medium.hfov_deg for medium in group if medium.hfov_deg is not None]
        hfov_deg = _agreed_hfov_deg(stated)
        model = None if stated else _agreed_model(group)
        for medium in group:
            if hfov_deg is not None:
                lenses[medium.media_id] = hfov_deg, LensSource.EXIF
            elif model is not None and model.fits(medium.aspect):
                lenses[medium.media_id] = model.hfov_deg, LensSource.MODEL
    return lenses


def _agreed_model(media: Sequence[MediumResult]) -> CameraModel | None:
    """The only camera model of a site's media; None if they are of several, or of one that the table lacks."""
    models = {_model_of(medium) for medium in media if medium.camera_make or medium.camera_model}
    return models.pop() if len(models) == 1 else None


def _model_of(medium: MediumResult) -> CameraModel | None:
    return find_camera_model(medium.camera_make, medium.camera_model)


def _with_mounting(camera: CameraSetup, mounting: CameraSetup) -> CameraSetup:
    """The camera with its package's height and pitch, unless it would see no ground with them: nobody requested them."""
    mounted = replace(camera, height_m=mounting.height_m, pitch_deg=mounting.pitch_deg)
    try:
        check_sees_ground(camera_prior(mounted))
    except InputError:
        return camera
    return mounted


def count_known_cameras(media: Sequence[MediumResult], facts: FieldFacts) -> dict[str, Any]:
    """For run.json: the number of media with a known field of view, in total and by its source, and what EXIF knows.

    exif: the median field of view by focal lengths, of n_exif photos. models: the camera models whose lens is known, with
    the number of media that it is valid for, and of those among them without a field of view.
    """
    by_exif = [medium.hfov_deg for medium in media if medium.hfov_deg is not None]
    sources = Counter(facts.lens_source(media_id) for media_id in facts.cameras)
    found = [(_model_of(medium), medium) for medium in media]
    fitting = [(model, medium.media_id) for model, medium in found if model is not None and model.fits(medium.aspect)]
    models = Counter(model for model, _ in fitting)
    unused = Counter(model for model, media_id in fitting if media_id not in facts.cameras)
    return {
        "n_with_hfov": len(facts.cameras),
        "n_exif": len(by_exif),
        "exif": median(by_exif) if by_exif else None,
        "n_by_source": {str(source): sources[source] for source in LensSource},
        "models": [
            {
                "name": model.name,
                "hfov_deg": model.hfov_deg,
                "sd_deg": model.sd_deg,
                "n_media": n_media,
                "n_without_hfov": unused[model],
            }
            for model, n_media in models.most_common()
        ],
    }


def _agreed_hfov_deg(hfov_deg: Sequence[float]) -> float | None:
    if not hfov_deg:
        return None
    widest, narrowest = (math.tan(math.radians(degrees) / 2) for degrees in (max(hfov_deg), min(hfov_deg)))
    return median(hfov_deg) if widest <= MAX_FOCAL_RATIO * narrowest else None
