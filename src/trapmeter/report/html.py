"""Writes report.html: all figures, plots and pictures of a run in one file that needs nothing else.

No scripts, fonts or pictures from elsewhere: the page works offline and in ten years, and can be mailed. The page's policy
(CSP) forbids them, so that not even a hostile file name could bring one in. The same run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from trapmeter.files import whole_file
from trapmeter.records import Estimate
from trapmeter.report import numbers, plots, words
from trapmeter.report.comparison import compare
from trapmeter.report.frames import Moment, choose_frames, thumbnails
from trapmeter.tables.truth import TruthRow

if TYPE_CHECKING:
    from jinja2 import Template

    from trapmeter.predict.run import Progress, Run

REPORT = "report.html"

MANY_SITES = 40
MANY_ROWS = 50
"""Longer tables are folded up."""
FEW_GROUPS = 10
"""Drawn over fewer sites, a bootstrap interval is too narrow, and the page says so."""
MANY_ANIMALS = 4
"""The distances of more are not listed below a picture: its labels tell them."""


def write_report(
    run: Run, out: Path, *, truth: Sequence[TruthRow] | None = None, progress: Progress = lambda *_: None
) -> Path:
    """Writes out/report.html and returns its path; the file appears whole or not at all.

    truth: known distances to compare with. progress: called with the stage ("report"), pictures done, pictures in all, and 0.
    Media that can't be opened any more lack their pictures, and the report says so.

    Raises:
        InputError: a name is ambiguous between estimates and truth.
        RunError: the file can't be written.
    """
    page = render(run, truth, progress)
    path = out / REPORT
    with whole_file(path) as file:
        file.write(page)
    return path


def render(run: Run, truth: Sequence[TruthRow] | None = None, progress: Progress = lambda *_: None) -> str:
    """The page itself. Arguments and errors as for write_report."""
    estimates = run.estimates
    counts = numbers.histogram(numbers.distances_m(estimates))
    bins = numbers.interval_bins(estimates)
    comparison = None if truth is None else compare(estimates, truth)
    chosen = choose_frames(estimates)
    pictures, unread = thumbnails(run.root, chosen, _steps(progress, len(chosen)), run.store)
    return page_template("report.html.j2").render(
        run=run,
        summary=run.summary,
        facts=run.facts,
        status=words.status_sentence(run.summary),
        spread=numbers.spread(numbers.distances_m(estimates)),
        counts=counts,
        histogram_svg=safe(plots.distances_svg(counts)) if counts else "",
        intervals_svg=safe(plots.intervals_svg(bins)) if bins else "",
        typical=numbers.typical_interval(estimates),
        sites=numbers.site_figures(estimates),
        comparison=comparison,
        truth_svg=safe(plots.truth_svg(comparison.pairs_m)) if comparison and comparison.pairs_m else "",
        pictures=pictures,
        unread=unread,
        words=words,
        last_bin_m=numbers.LAST_BIN_M,
        many_sites=MANY_SITES,
        many_rows=MANY_ROWS,
        few_groups=FEW_GROUPS,
    )


def alt_text(moment: Moment) -> str:
    """What a picture of the contact sheet shows, for those who can't see it."""
    n = words.counted(len(moment.animals), "animal", "animals")
    distances = ", ".join(map(animal_text, moment.animals))
    return f"{moment.media_id} at {words.seconds(moment.time_s)} s with {n} marked: {distances}"


def caption(moment: Moment) -> str:
    """The distances in a picture, those of a herd cut short."""
    shown = [animal_text(animal) for animal in moment.animals[:MANY_ANIMALS]]
    n_more = len(moment.animals) - len(shown)
    return ", ".join(shown) + (f" and {n_more} more" if n_more else "")


def animal_text(animal: Estimate) -> str:
    """A distance and its interval, as in "4.2 m (3.1–5.9)"."""
    assert animal.distance is not None, "moments hold measured rows"
    d = animal.distance
    return f"{d.distance_m:.1f} m ({d.low_m:.1f}–{d.high_m:.1f})"


def page_template(name: str) -> Template:
    """A page of this folder, with the style sheet as `css`; every text that goes in is escaped and made printable."""
    from jinja2 import Environment, StrictUndefined

    here = files("trapmeter.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=words.printable_value, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(alt_text=alt_text, caption=caption)
    environment.globals.update(css=safe(here.joinpath("report.css").read_text("utf-8")))
    return environment.from_string(here.joinpath(name).read_text("utf-8"))


def safe(html: str) -> str:
    """Marks our own HTML as such, so that it is not escaped."""
    from markupsafe import Markup

    return Markup(html)  # noqa: S704  our own style sheet and matplotlib's SVG, which hold no foreign text


def _steps(progress: Progress, total: int) -> Callable[[int], None]:
    done = 0

    def add(n: int) -> None:
        nonlocal done
        done += n
        progress("report", done, total, 0)

    return add
