"""Made photographs with EXIF times, and a table of the boxes in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import Image

from prediction_world import BOXES_HEADER
from trapmeter.prediction.settings import PredictSettings, predict_settings

TAKEN, FRACTION, ZONE, SERIAL = 36867, 37521, 36881, 42033
BoxXyxy = tuple[float, float, float, float]
LEFT, RIGHT = (0.1, 0.5, 0.25, 0.8), (0.7, 0.4, 0.85, 0.7)


@dataclass(frozen=True)
class Photo:
    """A photo to make: when its EXIF says that it was taken (None: not at all), its boxes, and the camera's serial number."""

    taken_at: datetime | None = None
    boxes: Sequence[BoxXyxy] = ()
    serial: str = ""


def write_photos(folder: Path, photos: Mapping[str, Photo]) -> Path:
    """Writes the photos below folder/survey, by name, and folder/boxes.csv; returns folder/survey."""
    rows = [BOXES_HEADER.strip()]
    for name, photo in photos.items():
        path = folder / "survey" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        tags = exif.get_ifd(0x8769)
        if photo.serial:
            tags[SERIAL] = photo.serial
        if photo.taken_at is not None:
            tags[TAKEN] = photo.taken_at.strftime("%Y:%m:%d %H:%M:%S")
            tags[FRACTION] = f"{photo.taken_at.microsecond:06}"
            if photo.taken_at.tzinfo:
                tags[ZONE] = photo.taken_at.isoformat()[-6:]
        Image.new("RGB", (64, 48), (90, 120, 60)).save(path, exif=exif)
        rows += [f"{name},0,{','.join(map(str, box))},0.9,p,s" for box in photo.boxes]
        rows += [] if photo.boxes else [f"{name},0,,,,,,p,s"]
    (folder / "boxes.csv").write_text("\n".join([*rows, ""]))
    return folder / "survey"


def photo_settings(folder: Path, photos: Mapping[str, Photo] | None = None, **settings: object) -> PredictSettings:
    """Settings for a run on the photos, each folder of them a site, into folder/out; None takes those written before."""
    survey = folder / "survey" if photos is None else write_photos(folder, photos)
    return predict_settings(
        survey, **{"out": folder / "out", "boxes": folder / "boxes.csv", "site": "folder:1", "jobs": 1} | settings
    )
