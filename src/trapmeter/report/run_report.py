"""The report of a run, as one self-contained HTML file or as PDF."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapmeter.calibration.view_chart import MOVED_CHART
from trapmeter.errors import InputError, MissingExtraError, RunError
from trapmeter.files import atomic_file, atomic_path
from trapmeter.media.discovery import suffix_text
from trapmeter.metrics import BANDS_M
from trapmeter.progress import Announce, Progress, no_progress
from trapmeter.records import Estimate
from trapmeter.report import density_plots, plots, words
from trapmeter.report import distance_statistics as statistics
from trapmeter.report.comparison import Comparison, compare
from trapmeter.report.detection_preview import preview_detection
from trapmeter.report.example_pictures import picture_values
from trapmeter.report.groups import (
    group_by_light,
    group_by_site,
    group_by_species,
    group_histograms,
    groups_note,
    quartiles,
)
from trapmeter.report.html_page import jpeg_data_uri, page_template, safe
from trapmeter.report.site_map import site_map
from trapmeter.report.thumbnails import JPEG_QUALITY
from trapmeter.tables.site_locations import SiteLocation
from trapmeter.tables.truth import TruthRow, read_truth

if TYPE_CHECKING:
    from trapmeter.camera.medium_cameras import MediumCameras
    from trapmeter.prediction.run import PredictRun
    from trapmeter.storage.address import RemotePath

REPORT_HTML, REPORT_PDF = "report.html", "report.pdf"

FOLDED_ABOVE_SITES = 40
FOLDED_ABOVE_ROWS = 50
"""Longer tables are collapsed."""
FEW_GROUPS = 10
"""With fewer groups, the bootstrap interval is too narrow, and the report says so."""

SECTIONS = {
    "distances": "Distances",
    "detection": "Detection",
    "sites": "Sites",
    "known": "Known distances",
    "pictures": "Pictures",
    "failures": "Failures",
    "models": "Models",
    "made": "Settings and columns",
}
"""Title of each section in the navigation; its template has its name and is in sections/."""


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
        RunError: the report can't be written, or WeasyPrint lacks a system library.
    """
    from trapmeter.camera.medium_cameras import read_medium_cameras
    from trapmeter.prediction.results import find_site_locations, read_run
    from trapmeter.storage.address import parse_path

    if form not in tuple(ReportFormat):
        raise InputError(f"the format of a report (--format) is one of {', '.join(ReportFormat)}; got {form!r}")
    if not has_map and places is not None:
        raise InputError("--places and --no-map exclude each other: give one of them")
    results = Path(results)
    write = _pdf_writer() if form == ReportFormat.PDF else _write_text
    run = read_run(results, parse_path(media) if isinstance(media, str) else media)
    cameras = read_medium_cameras(results)
    if media is None and "://" in str(run.facts.get("root")):
        announce(f"no pictures: the media are not on this machine; give --media {run.facts['root']} to read them there")
    truth = truth or _file_of_run(run, "truth", announce)
    places = None if not has_map else places or _file_of_run(run, "places", announce)
    known = None if truth is None else read_truth(Path(truth))
    locations, notes = find_site_locations(run, places) if has_map else (None, ())
    for note in notes:
        announce(note)
    path = results / (REPORT_PDF if form == ReportFormat.PDF else REPORT_HTML)
    moved = results / MOVED_CHART
    page = render_report(
        run,
        known,
        progress,
        places=locations,
        cameras=cameras,
        moved=moved if moved.is_file() else None,
        jobs=jobs,
    )
    write(page, path)
    return path


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
    """Writes out/report.html and returns its path; the file appears complete or not at all.

    truth: known distances to compare with. places: the location of each site, by site_id. progress: called with the stage
    "report", the pictures done, the pictures in total, and 0. jobs: worker processes that decode pictures; None decodes them
    in this process. If a video or photo can no longer be read, the report says so in place of its pictures.

    Raises:
        InputError: a name is ambiguous between estimates and truth.
        RunError: the file can't be written.
    """
    _write_text(render_report(run, truth, progress, places=places, jobs=jobs), out / REPORT_HTML)
    return out / REPORT_HTML


def render_report(
    run: PredictRun,
    truth: Sequence[TruthRow] | None = None,
    progress: Progress = no_progress,
    *,
    places: Mapping[str, SiteLocation] | None = None,
    cameras: MediumCameras | None = None,
    moved: Path | None = None,
    jobs: int | None = None,
) -> str:
    """The report as HTML.

    cameras: the fitted ones, for lines of equal distance. moved: the picture of cameras that moved, which `calibrate` wrote.
    Otherwise as for `write_html`.
    """
    comparison = None if truth is None else compare(run.estimates, truth)
    left_out = {"known"} if comparison is None else set()
    if not run.summary.n_measured:
        left_out.add("detection")
    return page_template("report.html.j2").render(
        run=run,
        summary=run.summary,
        facts=run.facts,
        status=words.status_sentence(run.summary),
        other_files=suffix_text(run.facts.get("other_files") or {}),
        sections=[(ident, name) for ident, name in SECTIONS.items() if ident not in left_out],
        words=words,
        many_sites=FOLDED_ABOVE_SITES,
        many_rows=FOLDED_ABOVE_ROWS,
        few_groups=FEW_GROUPS,
        **_distance_values(run.estimates),
        **_detection_values(run.estimates),
        **_site_values(run.estimates, places or {}),
        **_truth_values(comparison),
        **picture_values(run, cameras, progress, jobs),
        moved_uri="" if moved is None else _picture_uri(moved),
        settings=_setting_rows(run.facts.get("arguments", {})),
        cards=words.card_rows(run.facts.get("model_cards")),
    )


def _picture_uri(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        return jpeg_data_uri(image.convert("RGB"), JPEG_QUALITY)


def _setting_rows(arguments: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Option, value and meaning of each setting of a run; settings of other versions keep their names."""
    from trapmeter.prediction.settings import PredictSettings
    from trapmeter.settings import settings_of

    declared = {setting.name: (setting.option, setting.help) for setting in settings_of(PredictSettings)}
    declared["paths"] = ("paths", declared["paths"][1])
    return [
        (option, words.value_text(value), meaning)
        for name, value in arguments.items()
        for option, meaning in [declared.get(name, (name, ""))]
    ]


def _distance_values(estimates: Sequence[Estimate]) -> dict[str, Any]:
    metres = statistics.distances_m(estimates)
    counts = statistics.histogram(metres)
    bins = statistics.interval_bins(estimates)
    light = group_by_light(estimates)
    grouped = [
        ("By site", group_by_site(estimates), ""),
        ("By species", group_by_species(estimates), ""),
        ("By day and night", light, f" {words.NIGHT_MEANING}"),
    ]
    return {
        "spread": statistics.spread_of(metres),
        "quartiles_m": quartiles(metres) if metres else None,
        "counts": counts,
        "histogram_svg": safe(plots.distances_svg(counts)) if counts else "",
        "intervals_svg": safe(plots.intervals_svg(bins)) if bins else "",
        "typical": statistics.typical_interval(estimates),
        "last_bin_m": statistics.LAST_BIN_M,
        "n_doubtful": sum(bool(estimate.doubts) for estimate in statistics.measured_rows(estimates)),
        "grouped": [
            (title, [(group, safe(svg)) for group, svg in group_histograms(groups)], groups_note(groups) + note)
            for title, groups, note in grouped
            if groups is not None
        ],
        "night_note": "" if light is not None or not counts else words.NO_NIGHT,
    }


def _detection_values(estimates: Sequence[Estimate]) -> dict[str, Any]:
    preview = preview_detection(estimates)
    svg = "" if preview.distances is None else safe(density_plots.preview_svg(preview.fits, preview.distances))
    return {"preview": preview, "preview_svg": svg}


def _site_values(estimates: Sequence[Estimate], places: Mapping[str, SiteLocation]) -> dict[str, Any]:
    sites = statistics.site_figures(estimates)
    drawn = site_map(sites, places)
    return {
        "sites": sites,
        "n_sites": sum(bool(site.site_id) for site in sites),
        "map": drawn,
        "map_svg": "" if drawn is None else safe(drawn.svg),
    }


def _truth_values(comparison: Comparison | None) -> dict[str, Any]:
    if comparison is None or not comparison.pairs_m:
        return {"comparison": comparison}
    return {
        "comparison": comparison,
        "truth_svg": safe(plots.truth_svg(comparison.pairs_m)),
        "errors_svg": safe(plots.errors_svg(comparison.pairs_m, BANDS_M)),
        "coverage_svg": safe(plots.coverage_svg(comparison.bands)),
        "levels_svg": safe(plots.levels_svg(comparison.levels)) if comparison.levels else "",
    }


def _pdf_writer() -> Callable[[str, Path], None]:
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except ImportError as error:
        raise MissingExtraError("weasyprint", "pdf") from error
    except OSError as error:  # WeasyPrint loads Pango on import
        raise RunError(
            f"WeasyPrint can't load a system library ({error}); install Pango (on Debian: apt install "
            "libpangoft2-1.0-0), or print report.html from a browser"
        ) from error

    def write(page: str, path: Path) -> None:
        with atomic_path(path) as partial:
            HTML(string=page, url_fetcher=URLFetcher(allowed_protocols={"data"})).write_pdf(
                partial, pdf_variant="pdf/ua-1"
            )

    return write


def _write_text(page: str, path: Path) -> None:
    with atomic_file(path) as file:
        file.write(page)
