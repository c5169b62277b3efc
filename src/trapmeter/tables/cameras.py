"""Lens and mounting of each site's camera.

One row per site: site_id, and any of hfov_deg (horizontal field of view), focal_35mm (focal length in 35 mm equivalents, as
in EXIF: the picture's width corresponds to 36 mm of film), height_m (of the lens above the ground), pitch_deg (negative when
the camera looks down), aspect (width over height of the picture; 16:9 unless given), and clock_offset (what must be added to
the camera's time, which `predict` does).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.geometry import FILM_WIDTH_MM
from trapmeter.tables import clock_offsets
from trapmeter.tables.csvfile import Row, UniqueRows, read_rows

DEFAULT_ASPECT = 16 / 9
MIN_HEIGHT_M, MAX_HEIGHT_M = 0.05, 30.0
MIN_PITCH_DEG, MAX_PITCH_DEG = -85.0, 45.0
COLUMNS = ("site_id", "hfov_deg", "focal_35mm", "height_m", "pitch_deg", "aspect", clock_offsets.COLUMN)


@dataclass(frozen=True, slots=True)
class CameraSetup:
    """What is known of a site's camera; None where nothing is known.

    hfov_deg: horizontal field of view, degrees. height_m: of the lens above the ground. pitch_deg: negative when the camera
    looks down. aspect: width over height of the picture.
    """

    hfov_deg: float | None = None
    height_m: float | None = None
    pitch_deg: float | None = None
    aspect: float | None = None

    @property
    def aspect_ratio(self) -> float:
        """Width over height of the picture, 16:9 when it isn't known."""
        return DEFAULT_ASPECT if self.aspect is None else self.aspect


def read_cameras(path: str | Path) -> dict[str, CameraSetup]:
    """Reads the camera of each site.

    Raises:
        InputError: a cell is wrong, a site appears twice, or a row has nothing that can be used.
    """
    cameras: dict[str, CameraSetup] = {}
    sites = UniqueRows()
    for row in read_rows(path, required=("site_id",)):
        site_id = row.text("site_id")
        sites.check(row, site_id, f"site {site_id}")
        cameras[site_id] = _camera_setup(row)
    return cameras


def _camera_setup(row: Row) -> CameraSetup:
    camera = CameraSetup(
        _hfov_deg(row),
        _within(row, "height_m", MIN_HEIGHT_M, MAX_HEIGHT_M, "a height above the ground of 0.05 to 30 m"),
        _within(row, "pitch_deg", MIN_PITCH_DEG, MAX_PITCH_DEG, "degrees of -85 (down) to 45; negative looks down"),
        _within(row, "aspect", 0.3, 4, "width over height of the picture, 0.3 to 4"),
    )
    if (camera.height_m is None) != (camera.pitch_deg is None):
        missing = "height_m" if camera.height_m is None else "pitch_deg"
        raise row.error(missing, "a number: height and pitch locate the ground only together (or leave both empty)")
    if camera.height_m is not None and camera.hfov_deg is None:
        raise row.error("hfov_deg", "the field of view (or focal_35mm): height and pitch are of no use without it")
    if camera.hfov_deg is None:
        raise InputError(
            f"{row.where}: this row says nothing about its camera; fill in hfov_deg or focal_35mm, and height_m with "
            "pitch_deg if you know them, or remove the row"
        )
    return camera


def _hfov_deg(row: Row) -> float | None:
    hfov_deg = _within(row, "hfov_deg", 5, 170, "a horizontal field of view of 5 to 170 degrees")
    focal_mm = _within(row, "focal_35mm", 3, 500, "a focal length of 3 to 500 mm (35 mm equivalent)")
    if hfov_deg is not None and focal_mm is not None:
        raise row.error("focal_35mm", "nothing, since hfov_deg is given and they mean the same")
    return hfov_deg if focal_mm is None else math.degrees(2 * math.atan(FILM_WIDTH_MM / 2 / focal_mm))


def _within(row: Row, column: str, low: float, high: float, expected: str) -> float | None:
    value = row.optional_number(column)
    if value is not None and not low <= value <= high:
        raise row.error(column, expected)
    return value
