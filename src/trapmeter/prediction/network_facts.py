"""What networks that take facts are told about a medium: what the user states, else what its file says about the lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trapmeter.facts import Facts
from trapmeter.media.reader import MediumFacts
from trapmeter.records import Box
from trapmeter.tables.camera_models import find_camera_model
from trapmeter.tables.cameras import DEFAULT_ASPECT, CameraSetup

if TYPE_CHECKING:
    from trapmeter.prediction.camera_correction import CameraInputs
    from trapmeter.prediction.settings import PredictSettings


def stated_facts(media_id: str, inputs: CameraInputs, settings: PredictSettings, boxes: Sequence[Box] = ()) -> Facts:
    """What is known about a medium's camera and animals before it is opened. boxes: of its animals, if they are known."""
    camera = inputs.cameras.get(inputs.site_ids.get(media_id, ""))
    if camera is None:
        mounting = inputs.mountings.get(media_id, CameraSetup())
        camera = CameraSetup(settings.hfov_deg, mounting.height_m, mounting.pitch_deg)
    shoulder = inputs.animals.shoulder_of_medium(media_id, boxes)
    return Facts(
        camera.hfov_deg,
        camera.aspect,
        shoulder_m=None if shoulder is None else shoulder.height_m,
        camera_height_m=camera.height_m,
        pitch_deg=camera.pitch_deg,
    )


def facts_of_medium(stated: Facts, medium: MediumFacts | None, *, exif: bool) -> Facts:
    """The stated facts, with the pictures' own aspect ratio and, if exif, the lens in the file, where none is stated.

    medium: None if it isn't opened, since its pictures come from a frame store. Another photo of the site may contradict a
    lens in a file; only the corrections after the networks find that out.
    """
    aspect = stated.aspect_ratio or (DEFAULT_ASPECT if medium is None else medium.aspect)
    hfov_deg = stated.hfov_deg
    if hfov_deg is None and medium is not None and exif:
        hfov_deg = medium.hfov_deg or _hfov_by_model(medium)
    return replace(stated, hfov_deg=hfov_deg, aspect_ratio=aspect)


def _hfov_by_model(medium: MediumFacts) -> float | None:
    found = find_camera_model(medium.camera_make, medium.camera_model)
    return found.hfov_deg if found is not None and found.fits(medium.aspect) else None
