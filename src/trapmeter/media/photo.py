"""Reads a photo as a single frame at second 0, with the lens and time that its EXIF states."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.ExifTags import IFD, Base

from trapmeter.errors import MediaError
from trapmeter.geometry import FILM_WIDTH_MM
from trapmeter.media.medium_file import MediumFile, open_medium_file
from trapmeter.media.reader import ExactSize, FitWithin, MediumFacts, MissingFrame, Scale, scaled_size
from trapmeter.records import Frame, Pixels, Status
from trapmeter.storage.address import AnyPath
from trapmeter.storage.filesystems import RemoteError

MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""By FocalPlaneResolutionUnit: inch, centimetre, millimetre, micrometre."""
PLAUSIBLE_DEG = (10.0, 120.0)
FIRST_YEAR = 1990
"""Of dates that are believed: clocks that were never set tell earlier ones."""
TURNED_ORIENTATIONS = (5, 6, 7, 8)
"""Orientations that put the picture on its side (EXIF 2.32, tag 274)."""


def exif_hfov_deg(image: Image.Image) -> float | None:
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


def exif_recording_time(image: Image.Image) -> str:
    """When the photo was taken, by the camera's clock (ISO 8601); "" where EXIF tells nothing plausible."""
    try:
        told = image.getexif().get_ifd(IFD.Exif).get(Base.DateTimeOriginal)
        when = datetime.strptime(str(told).strip("\0 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007  EXIF has no zone
    except Exception:
        return ""
    return when.isoformat() if when.year >= FIRST_YEAR else ""


def displayed_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of the picture once it is turned as EXIF says."""
    width, height = image.size
    return (height, width) if _is_turned(_tags(image)) else (width, height)


def _is_turned(tags: dict[int, float]) -> bool:
    return tags.get(Base.Orientation) in TURNED_ORIENTATIONS


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


MAX_PHOTO_PIXELS = 170_000_000
"""Larger pictures are refused: they are panoramas or attacks, and half a gigabyte once decoded."""

DAMAGE = "the file breaks off or is damaged; what could not be decoded is missing from the picture"


class PhotoReader:
    """A photo whose head was read. Satisfies `trapmeter.media.reader.MediumReader`."""

    def __init__(self, file: MediumFile, scales: tuple[Scale, ...]) -> None:
        self._file, self._scales = file, scales
        self._doubts: tuple[str, ...] = ()
        with _open_image(file) as image:
            self._codec, (self._width, self._height) = (image.format or "").lower(), displayed_size(image)
            self._hfov_deg = exif_hfov_deg(image)
            self._recorded = exif_recording_time(image)
        if self._width * self._height > MAX_PHOTO_PIXELS:
            raise MediaError(f"{self._width} x {self._height} pixels; at most {MAX_PHOTO_PIXELS:,} are decoded")

    @property
    def facts(self) -> MediumFacts:
        """What is known of the photo; its doubts are complete once it has been decoded."""
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
        )

    def regular_times(self, every_s: float) -> list[float]:
        """A photo is one moment, whatever the step."""
        return [0.0]

    def frames(self, times_s: Sequence[float]) -> Iterator[Frame | MissingFrame]:
        """The photo at second 0; every later second is past its end.

        Raises:
            MediaError: it can't be decoded.
        """
        for time_s in times_s:
            yield self._picture() if time_s == 0 else MissingFrame(Status.PAST_END, "a photo has second 0 alone")

    def _picture(self) -> Frame:
        pixels: list[Pixels] = []
        is_whole = True
        # Decoded anew for each size: how far JPEG is shrunk while it is decoded depends on it.
        for scale in self._scales:
            with _open_image(self._file) as image:
                scaled, is_all_there = _decode(image, self._file, scale)
            pixels.append(scaled)
            is_whole &= is_all_there
        self._doubts = () if is_whole else (DAMAGE,)
        return Frame(pixels[0], 0.0, not is_whole, tuple(pixels[1:]))


@contextmanager
def open_photo(path: AnyPath, *scales: Scale) -> Iterator[PhotoReader]:
    """Opens a photo; it is decoded when its frame is asked for. scales: as for `trapmeter.media.opening.open_medium`.

    The picture is turned as EXIF says, in RGB (CMYK, grey, palette and 16-bit are converted), and scaled. A photo that breaks
    off gives what could be decoded, with a doubt.

    Raises:
        MediaError: it is no picture that can be read.
    """
    with open_medium_file(path, sparsely=False) as file:
        yield PhotoReader(file, scales or (None,))


@contextmanager
def _open_image(file: MediumFile) -> Iterator[Image.Image]:
    """The opened photo; whatever goes wrong with it while it is open is a MediaError."""
    try:
        with warnings.catch_warnings():
            # Pillow warns from half of its limit on; ours is the one that counts.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with file.opening() as content, Image.open(_source(content)) as image:
                yield image
    except RemoteError:
        raise
    except UnidentifiedImageError as error:
        raise MediaError("not a picture that can be read" if file.size else "the file is empty") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise MediaError(str(error) or type(error).__name__) from error


def _source(content: Path | RawIOBase) -> Path | IO[bytes]:
    return content if isinstance(content, Path) else BufferedReader(content)


def _decode(image: Image.Image, file: MediumFile, scale: Scale) -> tuple[Pixels, bool]:
    if scale is not None:
        # JPEG can decode at 1/2, 1/4 or 1/8 of its size for a fraction of the work. It is turned only afterwards, so the
        # longer side serves both ways round; what is decoded has at least the size that is asked for here.
        longest = max(scale.width, scale.height)
        least = (
            (longest, longest)
            if isinstance(scale, ExactSize)
            else scaled_size(*image.size, FitWithin(longest, longest))
        )
        image.draft(None, least)
    is_whole = True
    try:
        image.load()
    except OSError:
        file.check()
        # Truncated: read it once more and keep what there is. The switch is global in Pillow, so it is put back at once.
        is_whole = False
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            with file.opening() as content, Image.open(_source(content)) as again:
                again.load()
                image = again.copy()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    turned = ImageOps.exif_transpose(image)
    size = scaled_size(turned.width, turned.height, scale)
    rgb = _to_rgb(turned)
    if rgb.size != size:
        rgb = rgb.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(rgb), is_whole


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I;16", "I;16B", "I;16L", "I", "F"}:
        # Pillow clips these to 255 instead of scaling them. How bright white is, is told by no header: 1, 255 or 65535.
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        largest = values.max(initial=0.0)
        white = 65535.0 if largest > 255 or image.mode.startswith("I;") else 255.0 if largest > 1 else 1.0
        return Image.fromarray((values.clip(0, white) * (255.0 / white)).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
