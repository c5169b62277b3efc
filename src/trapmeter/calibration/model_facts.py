"""What the box model is told about a site's rows: lens, mounting, animal size, and the ground by reference points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from trapmeter.calibration.field_facts import known_facts
from trapmeter.camera.fit import CameraFit
from trapmeter.facts import Facts
from trapmeter.records import Box, Observation
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight


def facts_of_rows(
    observations: Sequence[Observation],
    camera: CameraSetup | None,
    shoulders: Mapping[str, ShoulderHeight],
    ground: CameraFit | None = None,
) -> list[Facts]:
    """What is known about each of a site's rows.

    shoulders: by media_id. ground: the camera that was fitted to reference points.
    """
    rows = []
    for observation in observations:
        facts = known_facts(camera, shoulders.get(observation.media_id))
        rows.append(_with_ground(facts, ground, observation.box))
    return rows


def _with_ground(facts: Facts, ground: CameraFit | None, box: Box | None) -> Facts:
    if ground is None or box is None:
        return facts
    at = ground.ground((box.x1 + box.x2) / 2, box.y2)
    return facts if at is None else replace(facts, ground_m=at[0], ground_sd_log=at[1])
