"""Reads a photo as one picture at second 0, the way its camera meant it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from trapmeter.errors import MediaError
from trapmeter.media.reading import Absence, FitWithin, MediumFacts, fitted_size
from trapmeter.records import Frame, Pixels, Status

MAX_PIXELS = 200_000_000
"""Larger pictures are refused: they are panoramas or attacks, and 600 MB once decoded."""


@dataclass(frozen=True, slots=True)
class PhotoReader:
    """A photo, already decoded. Satisfies `trapmeter.media.reading.Reader`."""

    facts: MediumFacts
    picture: Frame

    def regular_times(self, every_s: float) -> list[float]:
        """A photo is one moment, whatever the step."""
        return [0.0]

    def frames(self, times_s: Sequence[float]) -> Iterator[Frame | Absence]:
        """The photo at second 0; every later second is past its end."""
        for time_s in times_s:
            yield self.picture if time_s == 0 else Absence(Status.PAST_END, "a photo has second 0 alone")


@contextmanager
def open_photo(path: Path, fit: FitWithin | None = None) -> Iterator[PhotoReader]:
    """Decodes a photo: turned as EXIF says, in RGB (CMYK, grey, palette and 16-bit are converted), scaled to fit.

    A photo that breaks off gives what could be decoded, with a doubt.

    Raises:
        MediaError: it can't be read at all.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise MediaError(f"{width} x {height} pixels; at most {MAX_PIXELS:,} are decoded")
            codec = (image.format or "").lower()
            pixels, is_whole = _decode(image, path, fit)
    except MediaError:
        raise
    except UnidentifiedImageError as error:
        raise MediaError("not a picture that can be read" if path.stat().st_size else "the file is empty") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise MediaError(str(error) or type(error).__name__) from error
    doubts = () if is_whole else ("the file breaks off; the missing part of the picture is grey",)
    yield PhotoReader(
        MediumFacts(codec, width, height, frame_rate=None, declared_s=None, length_s=0.0, doubts=doubts),
        Frame(pixels, 0.0, is_corrupt=not is_whole),
    )


def _decode(image: Image.Image, path: Path, fit: FitWithin | None) -> tuple[Pixels, bool]:
    if fit is not None:
        # JPEG can decode at 1/2, 1/4 or 1/8 of its size for a fraction of the work. It is turned only afterwards, so the
        # longer side of the bound serves both ways round.
        longest = max(fit.width, fit.height)
        image.draft(None, fitted_size(*image.size, FitWithin(longest, longest)))
    is_whole = True
    try:
        image.load()
    except OSError:
        # Truncated: read it once more and keep what there is. The switch is global in Pillow, so it is put back at once.
        is_whole = False
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            with Image.open(path) as again:
                again.load()
                image = again.copy()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    turned = ImageOps.exif_transpose(image)
    size = fitted_size(turned.width, turned.height, fit)
    rgb = _to_rgb(turned)
    if rgb.size != size:
        rgb = rgb.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(rgb), is_whole


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I;16", "I;16B", "I;16L", "I", "F"}:
        # Pillow clips these to 255 instead of scaling them.
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max(initial=0.0) > 255 else 255.0
        return Image.fromarray((values.clip(0, top) * (255.0 / top)).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
