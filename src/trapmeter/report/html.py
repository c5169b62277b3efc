"""Writes report.html: all figures, plots and pictures of a run in one file that needs nothing else.

No scripts, fonts or pictures from elsewhere: the page works offline and in ten years, and can be mailed. The page's policy
(CSP) forbids them, so that not even a hostile file name could bring one in. The same run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapmeter.files import whole_file
from trapmeter.metrics import BANDS_M
from trapmeter.records import Estimate
from trapmeter.report import density_plots, numbers, plots, truth_plots, words
from trapmeter.report.comparison import Comparison, compare
from trapmeter.report.detection_preview import preview
from trapmeter.report.frames import Thumbnail, thumbnails
from trapmeter.report.groups import by_light, by_site, by_species, quartiles
from trapmeter.report.moments import Moment, choose_sheets, why
from trapmeter.report.panels import panels
from trapmeter.report.site_map import site_map
from trapmeter.tables.geojson import Place
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

SECTIONS = {
    "distances": "Distances",
    "detection": "Detection",
    "sites": "Sites",
    "known": "Known distances",
    "pictures": "Pictures",
    "failures": "Failures",
    "models": "Models",
    "made": "How it was made",
}
"""Each has a template of its name in sections/."""


def write_report(
    run: Run,
    out: Path,
    *,
    truth: Sequence[TruthRow] | None = None,
    places: Mapping[str, Place] | None = None,
    progress: Progress = lambda *_: None,
    jobs: int | None = None,
) -> Path:
    """Writes out/report.html and returns its path; the file appears whole or not at all.

    truth: known distances to compare with. places: where sites are, by site_id. progress: called with the stage ("report"),
    pictures done, pictures in all, and 0. jobs: worker processes that pictures are decoded in; None decodes in this one.
    Media that can't be opened any more lack their pictures, and the report says so.

    Raises:
        InputError: a name is ambiguous between estimates and truth.
        RunError: the file can't be written.
    """
    page = render(run, truth, progress, places=places, jobs=jobs)
    path = out / REPORT
    with whole_file(path) as file:
        file.write(page)
    return path


def render(
    run: Run,
    truth: Sequence[TruthRow] | None = None,
    progress: Progress = lambda *_: None,
    *,
    places: Mapping[str, Place] | None = None,
    jobs: int | None = None,
) -> str:
    """The page itself. Arguments and errors as for write_report."""
    comparison = None if truth is None else compare(run.estimates, truth)
    left_out = {"known"} if comparison is None else set()
    if not run.summary.n_measured:
        left_out.add("detection")
    return page_template("report.html.j2").render(
        run=run,
        summary=run.summary,
        facts=run.facts,
        status=words.status_sentence(run.summary),
        sections=[(ident, name) for ident, name in SECTIONS.items() if ident not in left_out],
        words=words,
        many_sites=MANY_SITES,
        many_rows=MANY_ROWS,
        few_groups=FEW_GROUPS,
        **_of_distances(run.estimates),
        **_of_detection(run.estimates),
        **_of_sites(run.estimates, places or {}),
        **_of_truth(comparison),
        **_of_pictures(run, progress, jobs),
        cards=words.card_rows(run.facts.get("model_cards")),
    )


def _of_distances(estimates: Sequence[Estimate]) -> dict[str, Any]:
    metres = numbers.distances_m(estimates)
    counts = numbers.histogram(metres)
    bins = numbers.interval_bins(estimates)
    light = by_light(estimates)
    return {
        "spread": numbers.spread(metres),
        "quartiles_m": quartiles(metres) if metres else None,
        "counts": counts,
        "histogram_svg": safe(plots.distances_svg(counts)) if counts else "",
        "intervals_svg": safe(plots.intervals_svg(bins)) if bins else "",
        "typical": numbers.typical_interval(estimates),
        "last_bin_m": numbers.LAST_BIN_M,
        "n_doubtful": sum(bool(estimate.doubts) for estimate in numbers.measured(estimates)),
        "grouped": [
            (title, [(group, safe(svg)) for group, svg in panels(groups)], words.groups_note(what, groups))
            for title, what, groups in (
                ("By site", "site", by_site(estimates)),
                ("By species", "species", by_species(estimates)),
                ("By day and night", "half of the day", light),
            )
            if groups is not None
        ],
        "night_note": "" if light is not None or not counts else words.NO_NIGHT,
    }


def _of_detection(estimates: Sequence[Estimate]) -> dict[str, Any]:
    found = preview(estimates)
    svg = "" if found.distances is None else safe(density_plots.preview_svg(found.fits, found.distances))
    return {"preview": found, "preview_svg": svg}


def _of_sites(estimates: Sequence[Estimate], places: Mapping[str, Place]) -> dict[str, Any]:
    sites = numbers.site_figures(estimates)
    drawn = site_map(sites, places)
    return {
        "sites": sites,
        "n_sites": sum(bool(site.site_id) for site in sites),
        "map": drawn,
        "map_svg": "" if drawn is None else safe(drawn.svg),
    }


def _of_truth(comparison: Comparison | None) -> dict[str, Any]:
    has_pairs = comparison is not None and bool(comparison.pairs_m)
    if comparison is None or not has_pairs:
        return {"comparison": comparison}
    return {
        "comparison": comparison,
        "truth_svg": safe(truth_plots.truth_svg(comparison.pairs_m)),
        "errors_svg": safe(truth_plots.errors_svg(comparison.pairs_m, BANDS_M)),
        "coverage_svg": safe(truth_plots.coverage_svg(comparison.bands)),
        "levels_svg": safe(truth_plots.levels_svg(comparison.levels)) if comparison.levels else "",
    }


def _of_pictures(run: Run, progress: Progress, jobs: int | None) -> dict[str, Any]:
    doubtful, others = choose_sheets(run.estimates)
    chosen = [*doubtful, *others]
    pictures, unread = thumbnails(run.root, chosen, _steps(progress, len(chosen)), run.store, jobs)
    sheets: dict[bool, list[Thumbnail]] = {True: [], False: []}
    is_doubtful = {(moment.media_id, moment.time_s) for moment in doubtful}
    for one in pictures:
        sheets[(one.moment.media_id, one.moment.time_s) in is_doubtful].append(one)
    return {"doubtful": sheets[True], "others": sheets[False], "unread": unread}


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
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    here = files("trapmeter.report")
    environment = Environment(
        loader=FunctionLoader(lambda name: here.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=words.printable_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(alt_text=alt_text, caption=caption, why=why)
    environment.globals.update(css=safe(here.joinpath("report.css").read_text("utf-8")))
    return environment.get_template(name)


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
