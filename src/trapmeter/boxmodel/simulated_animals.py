"""Simulated cameras, and the boxes of animals that walk past them.

An animal is an upright block on the ground. Its proportions vary by species and posture as those of rendered animals do: of
simtrap's training animals that stand free, boxes are 0.9 to 1.65 times as high as the shoulder (5 to 95 %).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.camera.model import PinholeCamera, project
from trapmeter.tables.species import ShoulderHeight, usual_shoulder_heights

Floats = NDArray[np.float64]

HFOV_DEG = (18.0, 70.0)
HEIGHT_M = (0.2, 3.5)
ROLL_SD_DEG = 2.0
SLOPE_SD_DEG = 2.5
DISTORTION = (-0.06, 0.06)
ASPECTS = (16 / 9, 16 / 9, 4 / 3, 3 / 2)
AIM_M, AIM_SD_LOG, AIM_RANGE_M = 7.0, 0.45, (2.5, 20.0)
"""The ground at about this distance lies near the picture's middle."""
SHOULDER_M = (0.15, 3.2)
"""Half of the animals are of a listed species, the others of any size in this range, uniformly in log metres."""
DISTANCE_M, DISTANCE_SD_LOG, DISTANCE_RANGE_M = 5.0, 0.65, (0.7, 25.0)
"""Where animals of 0.7 m cross the camera's axis, as in simtrap and the tables of Deep Chimpact."""
SIZE_POWER = 0.25
"""Larger animals are filmed farther away: distances are in proportion to this power of the shoulder height."""
MAX_FRACTION = 20.0
"""Corners this many pictures away are of animals that touch the camera."""
MIN_IN_PICTURE = 0.25
"""Rows with a smaller part of the animal within the picture are left out."""


@dataclass(frozen=True, slots=True)
class SimulatedAnimal:
    """An animal's true shoulder height, and what its keeper would state; its proportions as multiples of the shoulder."""

    shoulder_m: float
    stated_m: float
    height: float
    length: float
    width: float


def draw_camera(rng: np.random.Generator) -> PinholeCamera:
    """A camera aimed so that the picture shows ground."""
    height_m = math.exp(rng.uniform(*np.log(HEIGHT_M)))
    hfov_deg = rng.uniform(*HFOV_DEG)
    aspect = float(rng.choice(ASPECTS))
    slope_along = float(np.clip(rng.normal(0, SLOPE_SD_DEG), -8, 8))
    aim_m = float(np.clip(AIM_M * math.exp(rng.normal(0, AIM_SD_LOG)), *AIM_RANGE_M))
    down = math.degrees(math.atan2(math.tan(math.radians(slope_along)) * aim_m - height_m, aim_m))
    half_vfov_deg = math.degrees(math.atan(math.tan(math.radians(hfov_deg) / 2) / aspect))
    pitch_deg = down + float(np.clip(rng.normal(0, 0.4), -0.9, 0.9)) * half_vfov_deg
    return PinholeCamera(
        hfov_deg=hfov_deg,
        height_m=height_m,
        pitch_deg=pitch_deg,
        roll_deg=float(np.clip(rng.normal(0, ROLL_SD_DEG), -6, 6)),
        slope_along_deg=slope_along,
        slope_across_deg=float(np.clip(rng.normal(0, SLOPE_SD_DEG), -8, 8)),
        distortion=rng.uniform(*DISTORTION),
        aspect_ratio=aspect,
    )


def draw_animal(rng: np.random.Generator) -> SimulatedAnimal:
    """An individual of a listed species, or of any size."""
    if rng.random() < 0.5:
        species: tuple[ShoulderHeight, ...] = usual_shoulder_heights()
        usual = species[int(rng.integers(len(species)))]
        stated, sd_log = usual.height_m, usual.sd_log
    else:
        stated, sd_log = math.exp(rng.uniform(*np.log(SHOULDER_M))), 0.07
    return SimulatedAnimal(
        shoulder_m=stated * math.exp(rng.normal(0, sd_log)),
        stated_m=stated,
        height=1.17 * math.exp(rng.normal(0, 0.11)),
        length=1.35 * math.exp(rng.normal(0, 0.2)),
        width=0.4 * math.exp(rng.normal(0, 0.2)),
    )


def walk(
    camera: PinholeCamera, animal: SimulatedAnimal, n: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Where an animal is at n seconds: x (to the right) and y (forward) in metres, and its heading (radians from x)."""
    usual_m = DISTANCE_M * (animal.shoulder_m / 0.7) ** SIZE_POWER
    middle_m = float(np.clip(usual_m * math.exp(rng.normal(0, DISTANCE_SD_LOG)), *DISTANCE_RANGE_M))
    bearing = rng.uniform(-0.8, 0.8) * math.radians(camera.hfov_deg) / 2
    # Animals walk, stop to feed and turn.
    speed = rng.uniform(0.1, 0.9) * math.sqrt(animal.shoulder_m / 0.7) * (rng.random(n) < rng.choice([0.15, 0.5, 0.9]))
    heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, 0.35, n))
    steps = np.stack([speed * np.cos(heading), speed * np.sin(heading)])
    path = np.cumsum(steps, axis=1)
    path -= path[:, rng.integers(n)][:, None]
    return middle_m * math.sin(bearing) + path[0], middle_m * math.cos(bearing) + path[1], heading


def boxes_of_walk(
    camera: PinholeCamera, animal: SimulatedAnimal, place: tuple[Floats, Floats, Floats], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """The boxes of the whole animal (n x 4: x1, y1, x2, y2), and its distances in metres (n).

    Boxes may reach beyond the picture, and are NaN behind the camera. place: x, y and heading as `walk` gives them.
    """
    x, y, heading = place
    n = len(x)
    posture = np.clip(_smooth_noise(n, rng, 0.1) + rng.normal(0, 0.06), -0.25, 0.3)
    height_m = animal.shoulder_m * animal.height * np.exp(posture)
    half_length, half_width = animal.shoulder_m * animal.length / 2, animal.shoulder_m * animal.width / 2
    along = np.array([1, 1, -1, -1]) * half_length
    across = np.array([1, -1, 1, -1]) * half_width
    corner_x = x[:, None] + along * np.cos(heading)[:, None] - across * np.sin(heading)[:, None]
    corner_y = y[:, None] + along * np.sin(heading)[:, None] + across * np.cos(heading)[:, None]
    distance, bearing = np.hypot(corner_x, corner_y), np.arctan2(corner_x, corner_y)
    parameters, aspect = camera.parameters, camera.aspect_ratio
    with np.errstate(over="ignore", invalid="ignore"):
        foot = project(parameters, aspect, distance, bearing, np.zeros((n, 4)))
        # The back and the head are narrower than the block's upper corners.
        back = project(parameters, aspect, np.hypot(x, y)[:, None], np.arctan2(x, y)[:, None], height_m[:, None])
    across_picture = np.concatenate([foot[0], back[0]], axis=1)
    down_picture = np.concatenate([foot[1], back[1]], axis=1)
    boxes = np.stack([across_picture.min(1), down_picture.min(1), across_picture.max(1), down_picture.max(1)], axis=1)
    # Where the lens model ends, and behind the camera.
    boxes[~(np.abs(boxes) < MAX_FRACTION).all(axis=1)] = np.nan
    return boxes, np.hypot(x, y)


def share_in_picture(boxes: Floats) -> Floats:
    """The share of each box (n x 4) that lies within the picture; 0 for NaN."""
    inside = np.clip(boxes, 0, 1)
    area = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1])
    whole = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.nan_to_num(area / np.maximum(whole, 1e-9))


def _smooth_noise(n: int, rng: np.random.Generator, sd: float, memory: float = 0.8) -> Floats:
    """A stationary autoregressive process of n steps: mean 0, standard deviation sd, correlation `memory` of neighbours."""
    values = np.empty(n)
    value = rng.normal(0, sd)
    for i in range(n):
        values[i] = value
        value = memory * value + rng.normal(0, sd * math.sqrt(1 - memory**2))
    return values
