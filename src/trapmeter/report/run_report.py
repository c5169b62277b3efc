"""The report of a run, as one self-contained HTML file or as PDF."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapmeter.errors import RunError
from trapmeter.files import atomic_file, atomic_path
from trapmeter.metrics import BANDS_M
from trapmeter.records import Estimate
from trapmeter.report import density_plots, plots, words
from trapmeter.report import distance_statistics as numbers
from trapmeter.report import plots as truth_plots
from trapmeter.report.comparison import Comparison, compare
from trapmeter.report.detection_preview import preview_detection
from trapmeter.report.examples import ExampleSecond, choose_examples, doubt_reason
from trapmeter.report.groups import group_by_light, group_by_site, group_by_species, group_histograms, quartiles
from trapmeter.report.site_map import site_map
from trapmeter.report.thumbnails import Thumbnail, make_thumbnails
from trapmeter.tables.site_locations import SiteLocation
from trapmeter.tables.truth import TruthRow

if TYPE_CHECKING:
    from jinja2 import Template

    from trapmeter.prediction.run import PredictRun
    from trapmeter.progress import Progress

REPORT_HTML = "report.html"

FOLDED_ABOVE_SITES = 40
FOLDED_ABOVE_ROWS = 50
"""Longer tables are folded up."""
FEW_GROUPS = 10
"""Drawn over fewer sites, a bootstrap interval is too narrow, and the page says so."""
MAX_CAPTION_ANIMALS = 4
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


def write_html(
    run: PredictRun,
    out: Path,
    *,
    truth: Sequence[TruthRow] | None = None,
    places: Mapping[str, SiteLocation] | None = None,
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
    page = render_report(run, truth, progress, places=places, jobs=jobs)
    path = out / REPORT_HTML
    with atomic_file(path) as file:
        file.write(page)
    return path


def render_report(
    run: PredictRun,
    truth: Sequence[TruthRow] | None = None,
    progress: Progress = lambda *_: None,
    *,
    places: Mapping[str, SiteLocation] | None = None,
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
        many_sites=FOLDED_ABOVE_SITES,
        many_rows=FOLDED_ABOVE_ROWS,
        few_groups=FEW_GROUPS,
        **_distance_values(run.estimates),
        **_detection_values(run.estimates),
        **_site_values(run.estimates, places or {}),
        **_truth_values(comparison),
        **_picture_values(run, progress, jobs),
        cards=words.card_rows(run.facts.get("model_cards")),
    )


def _distance_values(estimates: Sequence[Estimate]) -> dict[str, Any]:
    metres = numbers.distances_m(estimates)
    counts = numbers.histogram(metres)
    bins = numbers.interval_bins(estimates)
    light = group_by_light(estimates)
    return {
        "spread": numbers.spread_of(metres),
        "quartiles_m": quartiles(metres) if metres else None,
        "counts": counts,
        "histogram_svg": safe(plots.distances_svg(counts)) if counts else "",
        "intervals_svg": safe(plots.intervals_svg(bins)) if bins else "",
        "typical": numbers.typical_interval(estimates),
        "last_bin_m": numbers.LAST_BIN_M,
        "n_doubtful": sum(bool(estimate.doubts) for estimate in numbers.measured_rows(estimates)),
        "grouped": [
            (title, [(group, safe(svg)) for group, svg in group_histograms(groups)], words.groups_note(what, groups))
            for title, what, groups in (
                ("By site", "site", group_by_site(estimates)),
                ("By species", "species", group_by_species(estimates)),
                ("By day and night", "half of the day", light),
            )
            if groups is not None
        ],
        "night_note": "" if light is not None or not counts else words.NO_NIGHT,
    }


def _detection_values(estimates: Sequence[Estimate]) -> dict[str, Any]:
    found = preview_detection(estimates)
    svg = "" if found.distances is None else safe(density_plots.preview_svg(found.fits, found.distances))
    return {"preview": found, "preview_svg": svg}


def _site_values(estimates: Sequence[Estimate], places: Mapping[str, SiteLocation]) -> dict[str, Any]:
    sites = numbers.site_figures(estimates)
    drawn = site_map(sites, places)
    return {
        "sites": sites,
        "n_sites": sum(bool(site.site_id) for site in sites),
        "map": drawn,
        "map_svg": "" if drawn is None else safe(drawn.svg),
    }


def _truth_values(comparison: Comparison | None) -> dict[str, Any]:
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


def _picture_values(run: PredictRun, progress: Progress, jobs: int | None) -> dict[str, Any]:
    doubtful, others = choose_examples(run.estimates)
    chosen = [*doubtful, *others]
    pictures, unread = make_thumbnails(run.root, chosen, _steps(progress, len(chosen)), run.store, jobs)
    sheets: dict[bool, list[Thumbnail]] = {True: [], False: []}
    is_doubtful = {(moment.media_id, moment.time_s) for moment in doubtful}
    for one in pictures:
        sheets[(one.moment.media_id, one.moment.time_s) in is_doubtful].append(one)
    return {"doubtful": sheets[True], "others": sheets[False], "unread": unread}


def alt_text(moment: ExampleSecond) -> str:
    """What a picture of the contact sheet shows, for those who can't see it."""
    n = words.counted(len(moment.animals), "animal", "animals")
    distances = ", ".join(map(animal_text, moment.animals))
    return f"{moment.media_id} at {words.seconds(moment.time_s)} s with {n} marked: {distances}"


def caption(moment: ExampleSecond) -> str:
    """The distances in a picture, those of a herd cut short."""
    shown = [animal_text(animal) for animal in moment.animals[:MAX_CAPTION_ANIMALS]]
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
    environment.filters.update(alt_text=alt_text, caption=caption, why=doubt_reason)
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


REPORT_PDF = "report.pdf"


def write_pdf(
    run: PredictRun,
    out: Path,
    *,
    truth: Sequence[TruthRow] | None = None,
    places: Mapping[str, SiteLocation] | None = None,
    progress: Progress = lambda *_: None,
    jobs: int | None = None,
) -> Path:
    """Writes out/report.pdf and returns its path; arguments as for `trapmeter.report.run_report.write_html`.

    Raises:
        InputError: a name is ambiguous between estimates and truth.
        RunError: the file can't be written, or WeasyPrint lacks a library of the system.
    """
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except OSError as error:  # it opens Pango when it is imported
        raise RunError(
            f"WeasyPrint can't open a library of the system ({error}); install Pango (on Debian: apt install "
            "libpangoft2-1.0-0), or print report.html from a browser"
        ) from error
    page = render_report(run, truth, progress, places=places, jobs=jobs)
    with atomic_path(out / REPORT_PDF) as partial:
        HTML(string=page, url_fetcher=URLFetcher(allowed_protocols={"data"})).write_pdf(partial, pdf_variant="pdf/ua-1")
    return out / REPORT_PDF
