"""Draws labelled boxes of simulated sites: any lens, height, slope and size of animal.

Real tables with distances are of two parks and one kind of camera. Where an animal appears through another lens is geometry,
which needs no pictures: cameras, animals that walk, plants that hide parts of them, and a detector's errors are drawn, and so
is what a field team would know. Everything depends only on the seed and the number of the site.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from trapmeter.boxmodel.simulated_animals import (
    MIN_IN_PICTURE,
    Floats,
    SimulatedAnimal,
    boxes_of_walk,
    draw_animal,
    draw_camera,
    share_in_picture,
    walk,
)
from trapmeter.boxmodel.simulated_detector import SimulatedDetector, detect, draw_detector
from trapmeter.boxmodel.training_data import SIMULATED, LabelledObservation
from trapmeter.camera.model import PinholeCamera
from trapmeter.facts import Facts
from trapmeter.records import Box, Observation

MAX_M = 25.0
"""Animals farther away are left out, as in the tables of Deep Chimpact."""
PHOTOGRAPHS_SHARE = 0.35
"""Share of the sites with photographs instead of videos."""
LENS_SD_LOG, HEIGHT_SD_LOG, PITCH_SD_DEG = 0.03, 0.08, 2.0
"""Errors of a stated lens, and of a height and pitch measured in the field."""


def simulate_sites(n_sites: int, seed: int, first: int = 0) -> Iterator[LabelledObservation]:
    """The labelled boxes of n sites, one animal a second, with all facts; hide some of them for training."""
    for number in range(first, first + n_sites):
        yield from simulate_site(f"simulated-{seed}-{number}", np.random.default_rng([seed, number]))


def simulate_site(site_id: str, rng: np.random.Generator) -> Iterator[LabelledObservation]:
    """A site's labelled boxes."""
    camera, detector = draw_camera(rng), draw_detector(rng)
    stated = stated_mounting(camera, rng)
    plants = rng.uniform(0, 0.7)
    herd = [draw_animal(rng) for _ in range(int(rng.integers(1, 5)))]
    is_photographs = rng.random() < PHOTOGRAPHS_SHARE
    n_media = int(rng.integers(3, 30)) if is_photographs else int(rng.integers(1, 9))
    for number in range(n_media):
        n = 1 if is_photographs else int(np.clip(rng.lognormal(np.log(14), 0.6), 3, 60))
        animal = herd[int(rng.integers(len(herd)))]
        medium = _Medium(f"{site_id}/{number}", site_id, camera, animal, detector, plants)
        for time_s, box, distance_m in medium.rows(n, rng):
            observation = Observation(medium.media_id, time_s, box, animal_id=1, site_id=site_id)
            facts = Facts(
                hfov_deg=stated.hfov_deg,
                aspect_ratio=camera.aspect_ratio,
                shoulder_m=animal.stated_m,
                camera_height_m=stated.height_m,
                pitch_deg=stated.pitch_deg,
            )
            yield LabelledObservation(observation, distance_m, SIMULATED, facts)


def stated_mounting(camera: PinholeCamera, rng: np.random.Generator) -> PinholeCamera:
    """The camera with lens, height and pitch as a field team would state them."""
    tangent = math.tan(math.radians(camera.hfov_deg) / 2) * math.exp(rng.normal(0, LENS_SD_LOG))
    return replace(
        camera,
        hfov_deg=math.degrees(2 * math.atan(tangent)),
        height_m=camera.height_m * math.exp(rng.normal(0, HEIGHT_SD_LOG)),
        pitch_deg=camera.pitch_deg + rng.normal(0, PITCH_SD_DEG),
    )


class _Medium:
    """A video, or a photograph, of one animal, sometimes with another one."""

    def __init__(  # noqa: PLR0917
        self,
        media_id: str,
        site_id: str,
        camera: PinholeCamera,
        animal: SimulatedAnimal,
        detector: SimulatedDetector,
        plants: float,
    ) -> None:
        self.media_id = media_id
        self._camera, self._animal, self._detector, self._plants = camera, animal, detector, plants

    def rows(self, n: int, rng: np.random.Generator) -> Iterator[tuple[float, Box | None, float]]:
        """Second, detected box and true distance of each second in which the animal can be seen."""
        boxes, distance_m = self._walk(n, rng)
        shares = share_in_picture(boxes)
        visible, visible_share = self._hide(np.clip(np.nan_to_num(boxes), 0, 1), rng)
        others = np.full((n, 4), np.nan)
        if rng.random() < 0.2:
            others, _ = self._walk(n, rng)
            others[share_in_picture(others) < MIN_IN_PICTURE] = np.nan
            others = np.clip(others, 0, 1)
        found = detect(self._detector, visible, visible_share * shares, others, rng.random() < 0.4, rng)
        is_seen = (shares > MIN_IN_PICTURE) & (visible_share > 0.2) & (distance_m < MAX_M)
        is_seen &= np.prod(visible[:, 2:] - visible[:, :2], axis=1) > 1e-5
        for i in np.flatnonzero(is_seen).tolist():
            box = None if np.isnan(found[i, 0]) else _box(found[i])
            yield float(i), box, float(distance_m[i])

    def _walk(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        return boxes_of_walk(self._camera, self._animal, walk(self._camera, self._animal, n, rng), rng)

    def _hide(self, boxes: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """The visible part of each box, and its share: plants hide legs or a side, and stay while the animal does."""
        n = len(boxes)
        hidden = np.clip(rng.normal(self._plants - 0.45, 0.25) + np.cumsum(rng.normal(0, 0.06, n)), 0, 0.75)
        from_below = rng.random() < 0.6
        visible = boxes.copy()
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        if from_below:
            visible[:, 3] -= hidden * height
        elif rng.random() < 0.5:
            visible[:, 0] += hidden * width
        else:
            visible[:, 2] -= hidden * width
        return visible, 1 - hidden


def _box(row: Floats) -> Box:
    x1, y1, x2, y2, score = row.tolist()
    return Box(x1, y1, x2, y2, score)
