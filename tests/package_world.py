"""A Camtrap DP with a photo, a video and media that can't be read, and runs that measure it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from conftest import MakeClip
from packages import bbox, medium, observation, write_package
from trapmeter.prediction.run import PredictRun, run_prediction
from trapmeter.prediction.settings import PredictSettings

MEDIA = [
    medium("m1", "S1/a.jpg"),
    medium("m2", "S1/b.mp4", "2024-05-02T06:10:00Z"),
    medium("m3", "https://example.org/c.jpg"),
    medium("m4", "S1/gone.jpg"),
    medium("m5", "../secret.jpg"),
    medium("m6", "S1/sound.wav", fileMediatype="audio/wav"),
]
OBSERVATIONS = [
    observation("o1", "m1", scientificName="Vulpes vulpes", eventID="e1", **bbox(0.3, 0.4, 0.3, 0.4)),
    # The same animal, by a machine.
    observation(
        "o2", "m1", classificationMethod="machine", classificationProbability="0.7", **bbox(0.3, 0.4, 0.3, 0.4)
    ),
    observation("o3", "m2", eventStart="2024-05-02T06:10:01Z", **bbox(0.1, 0.5, 0.2, 0.3)),
    observation("o4", "", observationLevel="event", observationComments='=1+1, "odd"\nline'),
]


def photo(path: Path, size: tuple[int, int] = (320, 180)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 60)).save(path)


def make_package(folder: Path, make_clip: MakeClip) -> Path:
    """Writes the package, with its media, into folder/dp."""
    package = write_package(folder / "dp", media=MEDIA, observations=OBSERVATIONS)
    photo(package / "S1/a.jpg")
    photo(folder / "secret.jpg")
    shutil.copy(make_clip("package.mp4", n=40, rate=10), package / "S1/b.mp4")
    return package


def measure(package: Path, out: Path, **changes: Any) -> PredictRun:
    return run_prediction(PredictSettings((package,), out=out, **changes))
