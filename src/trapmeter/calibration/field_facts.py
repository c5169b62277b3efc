"""What the user states about cameras and animals, by medium, and how a row records that it was used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from trapmeter.calibration.animal_facts import NO_ANIMAL_FACTS, AnimalFacts
from trapmeter.calibration.lens import TRAINED_HFOV_DEG
from trapmeter.camera.prior import camera_prior, check_sees_ground
from trapmeter.errors import InputError
from trapmeter.facts import NO_FACTS, Facts
from trapmeter.geometry import DEFAULT_HFOV_DEG
from trapmeter.records import Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight

LENS, GROUND, SHOULDER = "lens", "height and pitch", "shoulder"
"""The facts that `FieldFacts.note` names in a model_id and `facts_used_in` finds there."""


class LensSource(StrEnum):
    """Where the field of view of a medium comes from: --cameras or --hfov, the EXIF of its photos, or the table of models."""

    STATED = "stated"
    EXIF = "exif"
    MODEL = "model"


_LENS_NOTES = {LensSource.STATED: "", LensSource.EXIF: " by EXIF", LensSource.MODEL: " by camera model"}


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """Cameras by media_id, and what is known of the animals. The media of a site share a camera.

    lens_sources: where the field of view of each camera comes from, if not from the user.
    """

    cameras: Mapping[str, CameraSetup] = field(default_factory=dict)
    animals: AnimalFacts = NO_ANIMAL_FACTS
    trained_hfov_deg: float = TRAINED_HFOV_DEG
    lens_sources: Mapping[str, LensSource] = field(default_factory=dict)

    def lens_source(self, media_id: str) -> LensSource:
        """Where the field of view of a medium's known camera comes from."""
        return self.lens_sources.get(media_id, LensSource.STATED)

    def hfov_deg(self, media_id: str) -> float:
        """The horizontal field of view of a medium; the usual one if none is known."""
        camera = self.cameras.get(media_id)
        return DEFAULT_HFOV_DEG if camera is None or camera.hfov_deg is None else camera.hfov_deg

    def known(self, observation: Observation) -> Facts:
        """What models are told about an animal and its camera."""
        return known_facts(self.cameras.get(observation.media_id), self.animals.shoulder_of(observation))

    def note(self, observation: Observation) -> str:
        """The facts used for an animal, as a suffix for its row's model_id; "" if there are none."""
        media_id = observation.media_id
        camera, shoulder = self.cameras.get(media_id), self.animals.shoulder_of(observation)
        used = []
        if camera is not None and camera.hfov_deg is not None:
            used.append(f"{LENS} {self.hfov_deg(media_id):.3g} deg{_LENS_NOTES[self.lens_source(media_id)]}")
        if camera is not None and camera.height_m is not None:
            used.append(GROUND)
        if shoulder is not None:
            used.append(f"{SHOULDER} {shoulder.height_m:.2f} m")
        return f"; with {', '.join(used)}" if used else ""


def known_facts(camera: CameraSetup | None, shoulder: ShoulderHeight | None) -> Facts:
    """What models are told about a camera and its animals. Without a lens, height and pitch say nothing."""
    camera = camera if camera is not None and camera.hfov_deg is not None else None
    if camera is None and shoulder is None:
        return NO_FACTS
    return Facts(
        hfov_deg=None if camera is None else camera.hfov_deg,
        aspect_ratio=None if camera is None else camera.aspect_ratio,
        shoulder_m=None if shoulder is None else shoulder.height_m,
        camera_height_m=None if camera is None else camera.height_m,
        pitch_deg=None if camera is None else camera.pitch_deg,
    )


def check_cameras(path: Path, cameras: Mapping[str, CameraSetup]) -> None:
    """Refuses cameras that, mounted as the table states, would see no ground.

    Raises:
        InputError: with the site, and what to correct.
    """
    for site_id, camera in cameras.items():
        if camera.height_m is not None:
            try:
                check_sees_ground(camera_prior(camera))
            except InputError as error:
                raise InputError(f"{path}: site {site_id}: {error}") from None


def facts_used_in(model_id: str) -> set[str]:
    """Which of LENS, GROUND and SHOULDER a row's model_id names."""
    _, _, note = model_id.rpartition("; with ")
    return {name for name in (LENS, GROUND, SHOULDER) if note != model_id and name in note}
