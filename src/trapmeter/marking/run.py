"""One call from photos to a table of marks: finds the photographs, reads what is known of the cameras, and opens the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.marking.photographs import Photograph, check_dates, find_photographs, parse_date
from trapmeter.progress import Announce
from trapmeter.tables.cameras import CameraSetup, read_cameras

PAGE_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class PointsSettings:
    """What `trapmeter points` was asked for; for the fields see its help."""

    photos: tuple[Path, ...]
    site: str
    out: Path | None = None
    start: str = ""
    end: str = ""
    times_s: tuple[float, ...] = ()
    cameras: Path | None = None
    hfov_deg: float | None = None

    def __post_init__(self) -> None:
        if not all(0 <= time_s < math.inf for time_s in self.times_s):
            raise InputError(f"--time takes seconds of 0 or more, got {', '.join(f'{one:g}' for one in self.times_s)}")
        if self.out is not None and self.out.suffix.lower() in PAGE_SUFFIXES:
            raise InputError(
                f"--out {self.out}: expected the table, such as points.csv; for a page give --page {self.out}"
            )

    @property
    def table(self) -> Path:
        """The table of marks: by default in the folder of the photographs, from which their names count."""
        first = self.photos[0]
        return self.out or (first if first.is_dir() else first.parent) / "points.csv"

    def find(self) -> list[Photograph]:
        """The photographs.

        Raises:
            InputError: there are none, or a path, rule or date is wrong.
        """
        dates = check_dates((parse_date(self.start, "--start"), parse_date(self.end, "--end")), "--start, --end")
        return find_photographs(self.photos, self.site, self.times_s, dates)


def mark_photographs(
    settings: PointsSettings, port: int = 0, *, opens_browser: bool = True, announce: Announce = print
) -> None:
    """Serves the page until Ctrl-C.

    Raises:
        InputError: the photographs, the table or the camera set-ups can't be used.
        RunError: the port is taken, or the table is in use or can't be written.
    """
    from trapmeter.marking.fits import Cameras
    from trapmeter.marking.server import serve

    setups = {} if settings.cameras is None else read_cameras(settings.cameras)
    photographs = settings.find()
    for note in (*_camera_notes(settings, setups, photographs), *_damage_notes(photographs)):
        announce(note)
    serve(
        photographs,
        settings.table,
        Cameras(setups, settings.hfov_deg),
        port,
        opens_browser=opens_browser,
        announce=lambda address: announce(f"{address}\nCtrl-C ends the page; every mark is in {settings.table}"),
    )


def write_page(settings: PointsSettings, page: Path) -> int:
    """Writes the static page; returns the number of its pictures.

    Raises:
        InputError: the photographs can't be used, or are too many for one page.
        RunError: the page can't be written.
    """
    from trapmeter.marking.static_page import write_static_page

    return write_static_page(settings.find(), page)


def _camera_notes(settings: PointsSettings, setups: dict[str, CameraSetup], photographs: list[Photograph]) -> list[str]:
    unknown = sorted({one.site_id for one in photographs if one.site_id} - set(setups))
    if settings.cameras is None or not unknown:
        return []
    return [f"note: {settings.cameras} has no camera for {', '.join(unknown)}"]


def _damage_notes(photographs: list[Photograph]) -> list[str]:
    damaged = [one for one in photographs if one.problem]
    if damaged and len(damaged) == len(photographs):
        raise InputError(
            f"none of the {len(damaged)} photographs can be marked; {damaged[0].name}: {damaged[0].problem}"
        )
    return [f"note: {one.name} can't be marked: {one.problem}" for one in damaged]
