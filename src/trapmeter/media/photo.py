"""Reads a photo as one picture at second 0, the way its camera meant it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from trapmeter.errors import MediaError
from trapmeter.media.exif import hfov_of_exif, recorded_of_exif, size_as_shown
from trapmeter.media.opening import MediumFile, open_file
from trapmeter.media.reading import Absence, Exactly, FitWithin, MediumFacts, Scale, scaled_size
from trapmeter.records import Frame, Pixels, Status
from trapmeter.storage.address import Location
from trapmeter.storage.failures import RemoteError

MAX_PIXELS = 170_000_000
"""Larger pictures are refused: they are panoramas or attacks, and half a gigabyte once decoded."""

DAMAGE = "the file breaks off or is damaged; what could not be decoded is missing from the picture"


class PhotoReader:
    """A photo whose head was read. Satisfies `trapmeter.media.reading.Reader`."""

    def __init__(self, file: MediumFile, scales: tuple[Scale, ...]) -> None:
        self._file, self._scales = file, scales
        self._doubts: tuple[str, ...] = ()
        with _opened(file) as image:
            self._codec, (self._width, self._height) = (image.format or "").lower(), size_as_shown(image)
            self._hfov_deg = hfov_of_exif(image)
            self._recorded = recorded_of_exif(image)
        if self._width * self._height > MAX_PIXELS:
            raise MediaError(f"{self._width} x {self._height} pixels; at most {MAX_PIXELS:,} are decoded")

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

    def frames(self, times_s: Sequence[float]) -> Iterator[Frame | Absence]:
        """The photo at second 0; every later second is past its end.

        Raises:
            MediaError: it can't be decoded.
        """
        for time_s in times_s:
            yield self._picture() if time_s == 0 else Absence(Status.PAST_END, "a photo has second 0 alone")

    def _picture(self) -> Frame:
        pixels: list[Pixels] = []
        is_whole = True
        # Decoded anew for each size: how far JPEG is shrunk while it is decoded depends on it.
        for scale in self._scales:
            with _opened(self._file) as image:
                scaled, is_all_there = _decode(image, self._file, scale)
            pixels.append(scaled)
            is_whole &= is_all_there
        self._doubts = () if is_whole else (DAMAGE,)
        return Frame(pixels[0], 0.0, not is_whole, tuple(pixels[1:]))


@contextmanager
def open_photo(path: Location, *scales: Scale) -> Iterator[PhotoReader]:
    """Opens a photo; it is decoded when its frame is asked for. scales: as for `trapmeter.media.reading.open_medium`.

    The picture is turned as EXIF says, in RGB (CMYK, grey, palette and 16-bit are converted), and scaled. A photo that breaks
    off gives what could be decoded, with a doubt.

    Raises:
        MediaError: it is no picture that can be read.
    """
    with open_file(path, sparsely=False) as file:
        yield PhotoReader(file, scales or (None,))


@contextmanager
def _opened(file: MediumFile) -> Iterator[Image.Image]:
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
            (longest, longest) if isinstance(scale, Exactly) else scaled_size(*image.size, FitWithin(longest, longest))
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
