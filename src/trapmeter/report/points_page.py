"""The HTML page on which you click reference points: pictures of a video or photo, and a script that writes the table.

The page is one file that loads and sends nothing. Its content policy (CSP) runs only its own script, identified by its
checksum: a hostile file name can't add another.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import StringIO
from pathlib import Path

from trapmeter.errors import InputError, MediaError
from trapmeter.files import atomic_file
from trapmeter.media.discovery import find_media
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.records import Frame
from trapmeter.report.html_page import jpeg_data_uri, page_environment, safe
from trapmeter.tables.csvfile import to_cell

FIT = FitWithin(1600, 1600)
JPEG_QUALITY = 85
MAX_PICTURES = 40


@dataclass(frozen=True, slots=True)
class PointsPicture:
    """A picture to click on; jpeg_uri is a data URI, width and height are in pixels."""

    title: str
    jpeg_uri: str
    width: int
    height: int


def write_points_page(path: str | Path, site_id: str, times_s: Sequence[float], out: str | Path) -> int:
    """Writes the page with the pictures of a video or photo at the given seconds; returns the number of pictures.

    Raises:
        InputError: path is no video or photo, a second lies past its end, or the site has no name.
        RunError: the page can't be written.
    """
    if not site_id.strip():
        raise InputError("--site needs the name of the site, exactly as in the results")
    if not 1 <= len(times_s) <= MAX_PICTURES or not all(0 <= time_s < math.inf for time_s in times_s):
        raise InputError(f"--time takes 1 to {MAX_PICTURES} seconds of 0 or more, got {', '.join(map(str, times_s))}")
    pictures = _pictures(Path(path), sorted(set(times_s)))
    with atomic_file(Path(out)) as file:
        file.write(render_points_page(site_id, pictures))
    return len(pictures)


def render_points_page(site_id: str, pictures: Sequence[PointsPicture]) -> str:
    """The page as HTML."""
    script = files("trapmeter.report").joinpath("points.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        page_environment()
        .get_template("points.html.j2")
        .render(
            site=site_id,
            site_cell=_cell(site_id),
            pictures=pictures,
            script=safe(script),
            script_hash=f"sha256-{digest}",
        )
    )


def _pictures(path: Path, times_s: Sequence[float]) -> list[PointsPicture]:
    found = find_media([path]).media
    if len(found) != 1:
        raise InputError(f"{path}: expected one video or photo, got a folder with {len(found)}; name the file")
    try:
        with open_medium(found[0], FIT) as reader:
            frames = list(zip(times_s, reader.frames(times_s), strict=True))
    except MediaError as error:
        raise InputError(f"{path}: {error}") from error
    return [_picture(path, time_s, frame) for time_s, frame in frames]


def _picture(path: Path, time_s: float, frame: Frame | MissingFrame) -> PointsPicture:
    from PIL import Image

    if isinstance(frame, MissingFrame):
        raise InputError(f"{path}: no picture at {time_s:g} s: {frame.reason}; choose another --time")
    height, width = frame.pixels.shape[:2]
    uri = jpeg_data_uri(Image.fromarray(frame.pixels), JPEG_QUALITY)
    return PointsPicture(f"{path.name}, second {time_s:g}", uri, width, height)


def _cell(text: str) -> str:
    """A text as a cell of a CSV file."""
    file = StringIO()
    csv.writer(file, lineterminator="").writerow([to_cell(text)])
    return file.getvalue()
