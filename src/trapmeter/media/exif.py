"""What a photo's EXIF says of its lens and its place. Anything odd in it tells nothing: cameras write nonsense."""

from __future__ import annotations

import math
from datetime import datetime

from PIL import Image
from PIL.ExifTags import IFD, Base

from trapmeter.geometry import FILM_WIDTH_MM

MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""By FocalPlaneResolutionUnit: inch, centimetre, millimetre, micrometre."""
PLAUSIBLE_DEG = (10.0, 120.0)
FIRST_YEAR = 1990
"""Of dates that are believed: clocks that were never set tell earlier ones."""
TURNED = (5, 6, 7, 8)
"""Orientations that put the picture on its side (EXIF 2.32, tag 274)."""


def hfov_of_exif(image: Image.Image) -> float | None:
    """The horizontal field of view in degrees of the picture as it is shown; None where EXIF tells nothing plausible.

    From FocalLengthIn35mmFilm, else from FocalLength with FocalPlaneXResolution and the width of the picture.
    """
    tags = _tags(image)
    width = tags.get(Base.ExifImageWidth) or float(image.width)
    if tags.get(Base.FocalLengthIn35mmFilm):
        half_width = FILM_WIDTH_MM / 2 / tags[Base.FocalLengthIn35mmFilm]
    elif tags.get(Base.FocalLength) and tags.get(Base.FocalPlaneXResolution):
        unit_mm = MM_PER_UNIT.get(int(tags.get(Base.FocalPlaneResolutionUnit, 2.0)), 25.4)
        half_width = width / tags[Base.FocalPlaneXResolution] * unit_mm / 2 / tags[Base.FocalLength]
    else:
        return None
    if _is_turned(tags):
        half_width *= image.height / image.width
    hfov_deg = math.degrees(2 * math.atan(half_width))
    return hfov_deg if PLAUSIBLE_DEG[0] <= hfov_deg <= PLAUSIBLE_DEG[1] else None


def recorded_of_exif(image: Image.Image) -> str:
    """When the photo was taken, by the camera's clock (ISO 8601); "" where EXIF tells nothing plausible."""
    try:
        told = image.getexif().get_ifd(IFD.Exif).get(Base.DateTimeOriginal)
        when = datetime.strptime(str(told).strip("\0 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007  EXIF has no zone
    except Exception:
        return ""
    return when.isoformat() if when.year >= FIRST_YEAR else ""


def size_as_shown(image: Image.Image) -> tuple[int, int]:
    """Width and height of the picture once it is turned as EXIF says."""
    width, height = image.size
    return (height, width) if _is_turned(_tags(image)) else (width, height)


def _is_turned(tags: dict[int, float]) -> bool:
    return tags.get(Base.Orientation) in TURNED


def _tags(image: Image.Image) -> dict[int, float]:
    """The tags that are numbers greater than 0. Pillow's reader of EXIF fails in many ways on crafted bytes."""
    try:
        exif = image.getexif()
        values = {**exif, **exif.get_ifd(IFD.Exif)}
    except Exception:
        return {}
    found: dict[int, float] = {}
    for tag, value in values.items():
        try:
            number = float(value)
        except (TypeError, ValueError, ArithmeticError):
            continue
        if math.isfinite(number) and number > 0:
            found[tag] = number
    return found
