"""A fitted camera as `calibrate` writes it, for tests of what shows it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from trapmeter.camera.fit import CameraFit
from trapmeter.camera.fitted_cameras import FITTED_CAMERAS, FittedCamera, write_fitted_cameras
from trapmeter.camera.model import N_PARAMETERS, PinholeCamera

LEVEL = PinholeCamera(hfov_deg=42.0, height_m=1.0, pitch_deg=-8.0, aspect_ratio=320 / 192)


def fit_of(camera: PinholeCamera = LEVEL, sd: float = 0.005) -> CameraFit:
    """A fit with this camera and independent parameters of one standard deviation."""
    return CameraFit(camera.parameters, sd**2 * np.eye(N_PARAMETERS), camera.aspect_ratio, (1.0, 0.25))


def fitted(
    site_id: str = "S01",
    start: datetime | None = None,
    end: datetime | None = None,
    photo_distances: tuple[tuple[str, float], ...] = (),
    camera: PinholeCamera = LEVEL,
) -> FittedCamera:
    """A fitted camera of a site, with reference photographs."""
    photos = tuple(dict.fromkeys(photo for photo, _ in photo_distances))
    return FittedCamera(site_id, start, end, fit_of(camera), photos, len(photo_distances), photo_distances)


def write_cameras(folder: Path, *cameras: FittedCamera) -> Path:
    """Writes cameras.json into a folder of results."""
    write_fitted_cameras(folder / FITTED_CAMERAS, cameras)
    return folder / FITTED_CAMERAS
