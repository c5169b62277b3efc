"""Fast stand-ins for detectors and models, in a module that worker processes can import."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trapmeter.facts import Facts
from trapmeter.models.input_spec import InputSpec
from trapmeter.prediction.medium_pipeline import WorkerModels
from trapmeter.records import Box, Distance, ModelIdentity, Observation, Pixels

BRIGHT = ModelIdentity("bright", "0" * 64)
HEIGHT = ModelIdentity("height", "1" * 64)


@dataclass
class BrightDetector:
    """Finds one animal, as large as the middle third, in every picture whose middle is bright."""

    identity: ModelIdentity = BRIGHT
    input_hw: tuple[int, int] = (640, 640)
    batches: list[int] = field(default_factory=list)

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        self.batches.append(len(pictures))
        third = Box(1 / 3, 1 / 3, 2 / 3, 2 / 3, 0.9)
        return [[third] if p[p.shape[0] // 2, p.shape[1] // 2].mean() > 128 else [] for p in pictures]


@dataclass
class DyingDetector(BrightDetector):
    """Kills its own process on nearly black pictures, and sleeps on nearly white ones."""

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        if any(picture.mean() < 5 for picture in pictures):
            os.kill(os.getpid(), 11)
        if any(picture.mean() > 250 for picture in pictures):
            time.sleep(3600)
        return super().detect(pictures)


@dataclass(frozen=True)
class HeightModel:
    """Estimates the distance from the height of the box alone: a box as high as the picture is 1 m away.

    Told a lens or a size, it takes 45 degrees and 0.9 m for what that height was learned from.
    """

    identity: ModelIdentity = HEIGHT

    def estimate(self, observations: Sequence[Observation], facts: Sequence[Facts] = ()) -> list[Distance]:
        metres = [1 / (o.box.y2 - o.box.y1) if o.box else 5.0 for o in observations]
        for i, known in enumerate(facts):
            metres[i] *= (known.shoulder_m or 0.9) / 0.9
            metres[i] *= math.tan(math.radians(22.5)) / math.tan(math.radians((known.hfov_deg or 45) / 2))
        return [Distance(m, 0.8 * m, 1.2 * m) for m in metres]


@dataclass
class BrightnessNetworks:
    """Two networks: one predicts the mean of the frames (0..255), the other a metre more. batches: windows per call."""

    spec: InputSpec
    batches: list[int] = field(default_factory=list)

    def predict_members(
        self, windows: NDArray[np.uint8], facts: NDArray[np.float32] | None = None
    ) -> NDArray[np.float64]:
        self.batches.append(len(windows))
        means = windows[:, : 3 * len(self.spec.offsets_s)].mean(axis=(1, 2, 3))
        boxes = windows[:, -1].mean(axis=(1, 2)) if self.spec.box_channel else 0
        return np.stack([means + boxes, means + boxes + 1])


def bright_models(input_hw: tuple[int, int] = (640, 640)) -> WorkerModels:
    return WorkerModels(BrightDetector(input_hw=input_hw))


def dying_models() -> WorkerModels:
    return WorkerModels(DyingDetector())
