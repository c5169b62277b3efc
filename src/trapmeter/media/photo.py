"""Reads a photo as a single frame at second 0, and the field of view, camera and recording time from its EXIF."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.ExifTags import IFD, Base

from trapmeter.errors import MediaError
from trapmeter.geometry import FILM_WIDTH_MM
from trapmeter.media.discovery import HEIF_SUFFIXES
from trapmeter.media.medium_file import MediumFile, open_medium_file
from trapmeter.media.reader import (
    ExactSize,
    FitWithin,
    MediumFacts,
    MissingFrame,
    Scale,
    printable_tag,
    scaled_size,
)
from trapmeter.records import Frame, Pixels, Status
from trapmeter.storage.address import AnyPath
from trapmeter.storage.filesystems import RemoteError

MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""Unit of FocalPlaneResolutionUnit: inch, centimetre, millimetre, micrometre."""
PLAUSIBLE_DEG = (10.0, 120.0)
TURNED_ORIENTATIONS = (5, 6, 7, 8)
"""Orientations that swap width and height (EXIF 2.32, tag 274)."""


def exif_hfov_deg(image: Image.Image) -> float | None:
    """The horizontal field of view in degrees of the picture as displayed; None if EXIF has no plausible one.

    From FocalLengthIn35mmFilm, or else from FocalLength, FocalPlaneXResolution and the picture's width.
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


_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d", re.ASCII)


def exif_recording_time(image: Image.Image) -> str:
    """When the photo was taken, by the camera's clock (ISO 8601); "" if EXIF states no date.

    From DateTimeOriginal, with the fraction of SubSecTimeOriginal and the zone of OffsetTimeOriginal if they are there. The
    clock need not have been set.
    """
    tags = _exif(image)
    try:
        when = datetime.strptime(_text(tags, Base.DateTimeOriginal), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007
    except ValueError:
        return ""
    fraction, offset = _text(tags, Base.SubsecTimeOriginal), _text(tags, Base.OffsetTimeOriginal)
    if fraction.isdecimal() and fraction.isascii():
        when = when.replace(microsecond=int(fraction[:6].ljust(6, "0")))
    return f"{when.isoformat()}{offset if _OFFSET.fullmatch(offset) else ''}"


def _text(tags: dict[int, Any], tag: int) -> str:
    return str(tags.get(tag, "")).strip("\0 ")


def exif_camera(image: Image.Image) -> tuple[str, str, str]:
    """Make, model and serial number of the camera; "" for each that EXIF lacks."""
    exif = _exif(image)
    make, model, serial = (printable_tag(exif.get(tag)) for tag in (Base.Make, Base.Model, Base.BodySerialNumber))
    return make, model, serial


def displayed_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of the picture after EXIF's orientation is applied."""
    width, height = image.size
    return (height, width) if _is_turned(_tags(image)) else (width, height)


def _exif(image: Image.Image) -> dict[int, Any]:
    """All tags by number, as far as they can be read: Pillow's reader fails in many ways on crafted bytes."""
    tags: dict[int, Any] = {}
    with suppress(Exception):
        exif = image.getexif()
        tags.update(exif)
        tags.update(exif.get_ifd(IFD.Exif))
    return tags


def _is_turned(tags: dict[int, float]) -> bool:
    return tags.get(Base.Orientation) in TURNED_ORIENTATIONS


def _tags(image: Image.Image) -> dict[int, float]:
    """The tags with numbers above 0."""
    numbers: dict[int, float] = {}
    for tag, value in _exif(image).items():
        try:
            number = float(value)
        except (TypeError, ValueError, ArithmeticError):
            continue
        if math.isfinite(number) and number > 0:
            numbers[tag] = number
    return numbers


MAX_PHOTO_PIXELS = 170_000_000
"""Larger pictures are refused: they are panoramas or attacks, and take half a gigabyte when decoded."""

DAMAGE = "the file is truncated or damaged; what could not be decoded is missing from the picture"


class PhotoReader:
    """An opened photo, not decoded yet. Satisfies `trapmeter.media.reader.MediumReader`."""

    def __init__(self, file: MediumFile, scales: tuple[Scale, ...]) -> None:
        self._file, self._scales = file, scales
        self._doubts: tuple[str, ...] = ()
        with _open_image(file) as image:
            self._codec, (self._width, self._height) = (image.format or "").lower(), displayed_size(image)
            self._hfov_deg = exif_hfov_deg(image)
            self._recorded = exif_recording_time(image)
            self._camera_make, self._camera_model, self._camera_serial = exif_camera(image)
        if self._width * self._height > MAX_PHOTO_PIXELS:
            raise MediaError(f"{self._width} x {self._height} pixels; at most {MAX_PHOTO_PIXELS:,} are decoded")

    @property
    def facts(self) -> MediumFacts:
        """What is known about the photo; its doubts are complete once it has been decoded."""
        return MediumFacts(
            self._codec,
            self._width,
            self._height,
            frame_rate=None,
            declared_s=None,
            length_s=0.0,
            doubts=self._doubts,
            hfov_deg=self._hfov_deg,
            recorded=self._recorded,
            camera_make=self._camera_make,
            camera_model=self._camera_model,
            camera_serial=self._camera_serial,
        )

    def regular_times(self, every_s: float) -> list[float]:
        """Second 0, whatever the step."""
        return [0.0]

    def frames(self, times_s: Sequence[float]) -> Iterator[Frame | MissingFrame]:
        """The photo at second 0; all later seconds are past its end.

        Raises:
            MediaError: it can't be decoded.
        """
        for time_s in times_s:
            yield self._picture() if time_s == 0 else MissingFrame(Status.PAST_END, "a photo has second 0 alone")

    def _picture(self) -> Frame:
        pixels: list[Pixels] = []
        is_complete = True
        # Decoded once for each size, which determines how far JPEG is shrunk while decoding.
        for scale in self._scales:
            with _open_image(self._file) as image:
                scaled, is_scaled_complete = _decode(image, self._file, scale)
            pixels.append(scaled)
            is_complete &= is_scaled_complete
        self._doubts = () if is_complete else (DAMAGE,)
        return Frame(pixels[0], 0.0, not is_complete, tuple(pixels[1:]))


@contextmanager
def open_photo(path: AnyPath, *scales: Scale) -> Iterator[PhotoReader]:
    """Opens a photo; it is decoded when its frame is requested. scales: as in `trapmeter.media.opening.open_medium`.

    The picture is turned as EXIF says, converted to RGB (from CMYK, grey, palette or 16 bits), and scaled. A truncated photo
    yields what could be decoded, with a doubt.

    Raises:
        MediaError: the file is not a readable picture.
    """
    if path.suffix.lower() in HEIF_SUFFIXES:
        register_heif()
    with open_medium_file(path, sparsely=False) as file:
        yield PhotoReader(file, scales or (None,))


@contextmanager
def _open_image(file: MediumFile) -> Iterator[Image.Image]:
    """The opened photo; any error while it is open becomes a MediaError."""
    try:
        with warnings.catch_warnings():
            # Pillow warns above its own limit; MAX_PHOTO_PIXELS is the one that counts.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with file.open() as content, Image.open(_source(content)) as image:
                yield image
    except RemoteError:
        raise
    except UnidentifiedImageError as error:
        raise MediaError("not a picture that can be read" if file.size else "the file is empty") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise MediaError(str(error) or type(error).__name__) from error


@cache
def register_heif() -> None:
    """Teaches Pillow to read HEIF.

    Raises:
        MediaError: the extra is not installed.
    """
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        raise MediaError("photos of this kind need another package: pip install 'trapmeter[heif]'") from None
    register_heif_opener()


def _source(content: Path | RawIOBase) -> Path | IO[bytes]:
    return content if isinstance(content, Path) else BufferedReader(content)


def _decode(image: Image.Image, file: MediumFile, scale: Scale) -> tuple[Pixels, bool]:
    """The picture scaled, and whether all of it could be decoded."""
    if scale is not None:
        # JPEG can decode at 1/2, 1/4 or 1/8 of its size for a fraction of the work, and never below the size given here.
        # The picture is turned only afterwards, so the longer side must fit both ways round.
        longest = max(scale.width, scale.height)
        least = (
            (longest, longest)
            if isinstance(scale, ExactSize)
            else scaled_size(*image.size, FitWithin(longest, longest))
        )
        image.draft(None, least)
    is_complete = True
    try:
        image.load()
    except OSError:
        file.check_reads()
        # Truncated: read it again and keep what there is. The switch is global in Pillow, so it is reset at once.
        is_complete = False
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            with file.open() as content, Image.open(_source(content)) as truncated:
                truncated.load()
                image = truncated.copy()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    turned = ImageOps.exif_transpose(image)
    size = scaled_size(turned.width, turned.height, scale)
    rgb = _to_rgb(turned)
    if rgb.size != size:
        rgb = rgb.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(rgb), is_complete


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I;16", "I;16B", "I;16L", "I", "F"}:
        # Pillow clips these to 255 instead of scaling them. No header says whether white is 1, 255 or 65535.
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        largest = values.max(initial=0.0)
        white = 65535.0 if largest > 255 or image.mode.startswith("I;") else 255.0 if largest > 1 else 1.0
        return Image.fromarray((values.clip(0, white) * (255.0 / white)).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
