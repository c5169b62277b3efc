"""The same marks without a server: one HTML file with the photographs, and a script that writes the table.

The page loads and sends nothing, and fits no camera. Its content policy (CSP) runs only its own script, identified by its
checksum: a hostile file name can't add another.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import StringIO
from itertools import groupby
from pathlib import Path

from trapmeter.errors import InputError, MediaError
from trapmeter.files import atomic_file
from trapmeter.marking.photographs import Photograph
from trapmeter.marking.table import time_text
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.records import Frame, Medium
from trapmeter.report.html_page import jpeg_data_uri, page_environment, safe
from trapmeter.tables.csvfile import to_cell
from trapmeter.tables.metres import FARTHEST_KNOWN_M
from trapmeter.tables.reference_marks import COLUMNS, MAX_MARK_HEIGHT_M

FIT = FitWithin(1600, 1600)
JPEG_QUALITY = 85
MAX_PICTURES = 200
"""Each takes up to half a megabyte of the page."""


@dataclass(frozen=True, slots=True)
class StaticPicture:
    """A picture to click on. cells: what its rows begin with, as JSON; problem: why it is missing, "" if it isn't."""

    title: str
    cells: str
    jpeg_uri: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""


def write_static_page(photographs: Sequence[Photograph], out: str | Path) -> int:
    """Writes the page; returns the number of pictures in it. A damaged photograph stays in it as a reason.

    Raises:
        InputError: there are too many photographs, or none can be shown.
        RunError: the page can't be written.
    """
    if len(photographs) > MAX_PICTURES:
        raise InputError(
            f"a page holds at most {MAX_PICTURES} pictures, got {len(photographs)}; give fewer photos or seconds at a time"
        )
    pictures = [
        picture for _, group in groupby(photographs, lambda one: one.medium) for picture in _pictures(list(group))
    ]
    shown = [picture for picture in pictures if not picture.problem]
    if not shown:
        raise InputError(f"{pictures[0].title}: {pictures[0].problem}")
    with atomic_file(Path(out)) as file:
        file.write(render_static_page(pictures))
    return len(shown)


def render_static_page(pictures: Sequence[StaticPicture]) -> str:
    """The page as HTML."""
    script = files("trapmeter.marking").joinpath("static", "static_page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    facts = {"columns": COLUMNS, "farthest": FARTHEST_KNOWN_M, "highest": MAX_MARK_HEIGHT_M}
    return (
        page_environment(files("trapmeter.marking").joinpath("templates"))
        .get_template("static_page.html")
        .render(pictures=pictures, facts=json.dumps(facts), script=safe(script), script_hash=f"sha256-{digest}")
    )


def _pictures(photographs: Sequence[Photograph]) -> list[StaticPicture]:
    """The pictures of one medium, which is opened once."""
    wanted = [one.time_s for one in photographs if not one.problem]
    try:
        frames = dict(zip(wanted, _frames(photographs[0].medium, wanted), strict=True)) if wanted else {}
    except (MediaError, OSError) as error:
        return [_problem(one, str(error)) for one in photographs]
    return [_problem(one, one.problem) if one.problem else _picture(one, frames[one.time_s]) for one in photographs]


def _frames(medium: Medium, times_s: Sequence[float]) -> list[Frame | MissingFrame]:
    with open_medium(medium, FIT) as reader:
        return list(reader.frames(times_s))


def _picture(photograph: Photograph, frame: Frame | MissingFrame) -> StaticPicture:
    from PIL import Image

    if isinstance(frame, MissingFrame):
        return _problem(photograph, frame.reason)
    start, end = photograph.dates
    cells = (to_cell(photograph.site_id), time_text(start), time_text(end), to_cell(photograph.name))
    uri = jpeg_data_uri(Image.fromarray(frame.pixels), JPEG_QUALITY)
    written = json.dumps([_csv_cell(cell) for cell in cells])
    return StaticPicture(_title(photograph), written, uri, photograph.width, photograph.height)


def _problem(photograph: Photograph, reason: str) -> StaticPicture:
    return StaticPicture(_title(photograph), "[]", problem=reason)


def _title(photograph: Photograph) -> str:
    return f"{photograph.name}, site {photograph.site_id}" if photograph.site_id else photograph.name


def _csv_cell(text: str) -> str:
    """A text as a field of a CSV file, in quotes if it needs them."""
    file = StringIO()
    csv.writer(file, lineterminator="").writerow([text])
    return "" if not text else file.getvalue()
