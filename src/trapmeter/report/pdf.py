"""The report as PDF: the same page, set for print by WeasyPrint (an extra), which fetches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trapmeter.errors import RunError
from trapmeter.files import whole_path
from trapmeter.report.html import render
from trapmeter.tables.geojson import Place
from trapmeter.tables.truth import TruthRow

if TYPE_CHECKING:
    from trapmeter.predict.run import Progress, Run

REPORT = "report.pdf"


def write_pdf(
    run: Run,
    out: Path,
    *,
    truth: Sequence[TruthRow] | None = None,
    places: Mapping[str, Place] | None = None,
    progress: Progress = lambda *_: None,
    jobs: int | None = None,
) -> Path:
    """Writes out/report.pdf and returns its path; arguments as for `trapmeter.report.html.write_report`.

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
    page = render(run, truth, progress, places=places, jobs=jobs)
    with whole_path(out / REPORT) as partial:
        HTML(string=page, url_fetcher=URLFetcher(allowed_protocols={"data"})).write_pdf(partial, pdf_variant="pdf/ua-1")
    return out / REPORT
