"""The report of a run, as one self-contained HTML file or as PDF."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapmeter.errors import InputError, MissingExtraError, RunError
from trapmeter.files import atomic_file, atomic_path
from trapmeter.metrics import BANDS_M
from trapmeter.progress import Announce, Progress, no_progress
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
from trapmeter.tables.truth import TruthRow, read_truth

if TYPE_CHECKING:
    from jinja2 import Template

    from trapmeter.prediction.run import PredictRun
    from trapmeter.storage.address import RemotePath

REPORT_HTML, REPORT_PDF = "report.html", "report.pdf"

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


class ReportFormat(StrEnum):
    """The file formats of a report."""

    HTML = "html"
    PDF = "pdf"


def write_report(
    results: str | Path,
    *,
    truth: str | Path | None = None,
    places: str | Path | None = None,
    has_map: bool = True,
    media: str | Path | RemotePath | None = None,
    form: str = ReportFormat.HTML,
    jobs: int | None = None,
    progress: Progress = no_progress,
    announce: Announce = lambda _: None,
) -> Path:
    """Writes the report of a folder of results into that folder, as report.html or report.pdf, and returns its path.

    results: a folder that `predict` or `calibrate` wrote. truth: a table of known distances to compare with; places: a table
    of the sites' locations, or a Camtrap DP. Without them, the report uses the files that the run itself was given, as far as
    they still exist. has_map: False leaves out the map of the sites. media: the folder or address of the videos and photos,
    if they have moved since the run; an address must always be given. form: "html" or "pdf". jobs: worker processes that
    decode pictures; None decodes them in this process. announce: receives a line for each part the report does without.

    Raises:
        InputError: a file is missing or wrong, a name is ambiguous, form is unknown, or places is given without a map.
        MissingExtraError: PDF needs the extra "pdf".
        RunError: the report can't be written.
    """
    from trapmeter.prediction.results import find_site_locations, read_run
    from trapmeter.storage.address import parse_path

    if form not in tuple(ReportFormat):
        raise InputError(f"the format of a report (--format) is one of {', '.join(ReportFormat)}; got {form!r}")
    if not has_map and places is not None:
        raise InputError("--places and --no-map exclude each other: give one of them")
    results = Path(results)
    write = write_pdf if form == ReportFormat.PDF else write_html
    run = read_run(results, parse_path(media) if isinstance(media, str) else media)
    if media is None and "://" in str(run.facts.get("root")):
        announce(f"no pictures: the media are not on this machine; give --media {run.facts['root']} to read them there")
    truth = truth or _file_of_run(run, "truth", announce)
    places = None if not has_map else places or _file_of_run(run, "places", announce)
    known = None if truth is None else read_truth(Path(truth))
    locations, notes = find_site_locations(run, places) if has_map else (None, ())
    for note in notes:
        announce(note)
    return write(run, results, truth=known, places=locations, progress=progress, jobs=jobs)


def _file_of_run(run: PredictRun, name: str, announce: Announce) -> Path | None:
    """A file that the run was given; None, with an announcement, if it no longer exists."""
    arguments = run.facts.get("arguments")
    path = arguments.get(name) if isinstance(arguments, dict) else None
    if not isinstance(path, str):
        return None
    if not Path(path).exists():
        announce(f"the report does without --{name} {path}: the run had this file, but it isn't there now")
        return None
    return Path(path)


def write_html(
    run: PredictRun,
    out: Path,
    *,
    truth: Sequence[TruthRow] | None = None,
    places: Mapping[str, SiteLocation] | None = None,
    progress: Progress = no_progress,
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
    progress: Progress = no_progress,
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


def write_pdf(
    run: PredictRun,
    out: Path,
    *,
    truth: Sequence[TruthRow] | None = None,
    places: Mapping[str, SiteLocation] | None = None,
    progress: Progress = no_progress,
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
    except ImportError as error:
        raise MissingExtraError("weasyprint", "pdf") from error
    except OSError as error:  # it opens Pango when it is imported
        raise RunError(
            f"WeasyPrint can't open a library of the system ({error}); install Pango (on Debian: apt install "
            "libpangoft2-1.0-0), or print report.html from a browser"
        ) from error
    page = render_report(run, truth, progress, places=places, jobs=jobs)
    with atomic_path(out / REPORT_PDF) as partial:
        HTML(string=page, url_fetcher=URLFetcher(allowed_protocols={"data"})).write_pdf(partial, pdf_variant="pdf/ua-1")
    return out / REPORT_PDF
