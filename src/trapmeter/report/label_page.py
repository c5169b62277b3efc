"""The page of the seconds to label that `calibrate --pick` selects: a picture of each, to judge on screen or on paper.

The page is one file that loads and sends nothing. It does not show the measured distances, because they
would influence the person who judges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.camera.medium_cameras import read_medium_cameras
from trapmeter.files import atomic_file
from trapmeter.prediction.results import read_run
from trapmeter.progress import Progress, no_progress
from trapmeter.records import Estimate
from trapmeter.report import words
from trapmeter.report.examples import ExampleSecond
from trapmeter.report.html_page import page_template
from trapmeter.report.thumbnails import Thumbnail, ThumbnailStyle, make_thumbnails
from trapmeter.storage.address import AnyPath
from trapmeter.tables.distances import DISTANCES_CSV, read_run_facts

LABEL_PAGE = "to-label.html"
STYLE = ThumbnailStyle(side=800, has_labels=False)


@dataclass(frozen=True, slots=True)
class RowToLabel:
    """A row of the page. line: where it stands in the table. picture: None if its medium can't be read, missing says why."""

    line: int
    second: ExampleSecond
    picture: Thumbnail | None
    missing: str = ""

    @property
    def animal(self) -> int:
        """The number of the animal in its medium, 0 if it has none."""
        return self.second.animals[0].observation.animal_id


def write_label_page(
    source: Path,
    estimates: Sequence[Estimate],
    out: Path,
    progress: Progress = no_progress,
    jobs: int | None = None,
) -> int:
    """Writes the page of the rows of a table of seconds to label, in their order; returns how many lack their picture.

    source: the table of results that they are from; its folder may hold fitted cameras, whose lines of equal distance are
    then drawn. out: the page. progress: called with the stage "report", the pictures done and in total, and 0. jobs: worker
    processes that decode pictures; None decodes them in this process.

    Raises:
        InputError: the fitted cameras are damaged.
        RunError: the page can't be written.
    """
    seconds = [
        ExampleSecond(row.observation.media_id, row.observation.time_s, row.observation.site_id, (row,))
        for row in estimates
    ]
    fits, line_notes = read_medium_cameras(source).fits((second.media_id, second.site_id) for second in seconds)
    n_done = 0

    def report_progress(n: int) -> None:
        nonlocal n_done
        n_done += n
        progress("report", n_done, len(seconds), 0)

    # Another name than that of results has no run beside it that is surely its own.
    run = read_run(source.parent) if source.name == DISTANCES_CSV else None
    root: AnyPath = source.parent if run is None else run.root
    store = None if run is None else run.store
    pictures, unread = make_thumbnails(root, seconds, report_progress, store, jobs, cameras=fits, style=STYLE)
    shown = {picture.second: picture for picture in pictures}
    is_remote = "://" in str(read_run_facts(source).get("root"))
    by_site: dict[str, list[RowToLabel]] = defaultdict(list)
    for line, second in enumerate(seconds, 2):
        reason = "it is not on this machine" if is_remote else unread.get(second.media_id, "")
        picture = shown.get(second)
        by_site[second.site_id].append(RowToLabel(line, second, picture, "" if picture else reason))
    page = page_template("label.html.j2").render(
        sites=by_site,
        n_rows=len(seconds),
        has_lines=any(picture.has_lines for picture in pictures),
        line_notes=line_notes,
        results=str(source.parent),
        words=words,
    )
    with atomic_file(out) as file:
        file.write(page)
    return len(seconds) - len(shown)
