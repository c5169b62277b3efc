"""The verbs that use a folder of results: report, export, and review with its export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from trapmeter.cli.options import OUT, print_progress
from trapmeter.export import ExportFormat
from trapmeter.report.run_report import ReportFormat
from trapmeter.settings import Jobs, Range
from trapmeter.tables.camtrapdp.descriptor import CaptureMethod, ObservationLevel, SamplingDesign

review = App(name="review")
"""`trapmeter review DIR` opens the page, `trapmeter review export DIR` writes what was decided."""


def report(
    results: Path,
    *,
    truth: Path | None = None,
    places: Path | None = None,
    map_: Annotated[bool, Parameter(name="--map", negative="--no-map")] = True,
    media: str | None = None,
    format_: Annotated[ReportFormat, Parameter(name="--format")] = ReportFormat.HTML,
    jobs: Jobs = None,
) -> None:
    """Write the report of a folder of results again.

    Makes report.html or report.pdf in that folder. Nothing is measured again. If you don't give known distances and
    locations, the report uses the files that the run was given, if they still exist.

    For example:

        trapmeter report results/
        trapmeter report results/ --truth labels.csv --places deployments.csv
        trapmeter report results/ --no-map
        trapmeter report calibrated/ --media /media/card1 --format pdf

    Parameters
    ----------
    results
        Folder of `trapmeter predict` or `trapmeter calibrate`.
    truth
        Known distances to compare with: DrivenData labels or a table with distance_m.
    places
        Where the sites are: a CSV file of site_id, latitude, longitude, or a Camtrap DP or its deployments.csv.
    map_
        The map of the sites shows where your cameras stand; --no-map leaves it out.
    media
        Folder of the media, if they have moved since they were measured. An address must always be given.
    format_
        html, or pdf (an extra).
    jobs
        Worker processes. Default: one per core.
    """
    from trapmeter.console import progress_bars
    from trapmeter.report.run_report import write_report

    with progress_bars() as progress:
        path = write_report(
            results,
            truth=truth,
            places=places,
            has_map=map_,
            media=media,
            form=format_,
            jobs=jobs,
            progress=progress,
            announce=print_progress,
        )
    print(f"report: {path}")


def export(
    results: Path,
    *,
    out: Annotated[Path, OUT],
    format_: Annotated[ExportFormat, Parameter(name="--format")],
    places: Path | None = None,
    package: Path | None = None,
    timezone: str | None = None,
    deployments: Path | None = None,
    cameras: Path | None = None,
    title: str | None = None,
    contributor: tuple[str, ...] = (),
    sampling_design: SamplingDesign | None = None,
    capture_method: CaptureMethod | None = None,
    level: ObservationLevel | None = None,
) -> None:
    """Write results in the format of another tool.

    For example:

        trapmeter export results/ --format megadetector --out boxes.json
        trapmeter export results/ --format timelapse --out timelapse.csv
        trapmeter export results/ --format geojson --places deployments.csv --out sites.geojson
        trapmeter export results/ --format camtrap-dp --package survey-dp/ --out survey-dp-distances/
        trapmeter export r/ --format camtrap-dp --places p.csv --title T --contributor A --sampling-design targeted --out dp

    Parameters
    ----------
    results
        Folder of `trapmeter predict`, or its distances.csv.
    out
        File to write (for camtrap-dp a new folder or zip); its folder must exist.
    format_
        megadetector (JSON), timelapse (CSV to import there), drivendata (video_id, time, distance), geojson or camtrap-dp.
    places
        For geojson, and for a new Camtrap DP: a CSV file of site_id, latitude, longitude, or a Camtrap DP or its
        deployments.csv.
    package
        For camtrap-dp: the package to copy, with distances in its observations (folder, zip or datapackage.json). Without it,
        a new package is written, for which the following options are.
    timezone
        For camtrap-dp: the zone of times that carry none, such as Europe/Berlin or +02:00.
    deployments
        When cameras worked: a CSV file of site_id, start, end, and optionally latitude, longitude, or others of the standard.
        Default: from the first to the last medium of each site.
    cameras
        CSV file of site_id, hfov_deg, height_m, pitch_deg, for the height and tilt of the cameras.
    title
        Title of the survey. Required.
    contributor
        Name, or name and e-mail address, of somebody who contributed. May be given several times. Required.
    sampling_design
        How the places of the cameras were chosen. Required.
    capture_method
        What made the cameras take media. Default: activity-detection.
    level
        Rows of observations: an animal in each photo and at each second (media, the default), or in each event.
    """
    from trapmeter.export import NewPackageOptions, export_results

    options = NewPackageOptions(title, contributor, sampling_design, capture_method, level, deployments, cameras)
    for line in export_results(results, out, format_, places, package, timezone, options):
        print(line)
    print(f"written: {out}")


@review.default
@review.command(name="serve", show=False)
def serve(
    results: Path,
    *,
    videos: Path | None = None,
    only: Path | None = None,
    blind: Annotated[bool, Parameter(negative="")] = False,
    port: Annotated[int, Range(least=0, most=65535)] = 0,
    open_: Annotated[bool, Parameter(name="--open", negative="--no-open")] = True,
) -> None:
    """Check results by eye and correct them in the browser.

    Needs `pip install 'trapmeter[review]'`. Shows each row with its picture, the most doubtful first; keys accept, correct,
    move, delete and add (press ? for a list). Each decision goes into review.jsonl beside distances.csv, which never changes.
    You can open the page only on this machine, and only with the key in the printed address. Ctrl-C ends it. `trapmeter
    review export` writes what you decided.

    For example:

        trapmeter review results/
        trapmeter review results/ --videos /media/card1 --no-open
        trapmeter review results/ --only labels/to-label.csv --blind

    Parameters
    ----------
    results
        Folder of `trapmeter predict`, or its distances.csv.
    videos
        Folder that the names in distances.csv start from, if the media have moved.
    only
        List only the rows of this table: what `trapmeter calibrate --pick` wrote, or another CSV file of video_id and time.
    blind
        Hide the measured distance of each row until you have typed yours, so that it doesn't influence you.
    port
        Port on this machine; 0 takes a free one.
    open_
        Open the page in the browser; --no-open only prints the address.
    """
    from trapmeter.errors import require_extra

    for package in ("fastapi", "uvicorn"):
        require_extra(package, "review")
    from trapmeter.review.server import serve as serve_page

    serve_page(
        results,
        videos,
        port,
        only=only,
        is_blind=blind,
        opens_browser=open_,
        announce=lambda address: print(f"{address}\nCtrl-C ends the review", flush=True),
    )


@review.command(name="export")
def review_export(results: Path, *, out: Annotated[Path, OUT]) -> None:
    """Write what a review decided: corrected distances, labels, and animals to leave out.

    distances.csv has the columns of `predict`. labels.csv has every animal that was added, or whose distance was accepted or
    entered, for `calibrate --labels`, `train --animals` and `predict --truth`. train_labels.csv and train_metadata.csv have
    the nearest animal of each second in which all animals were reviewed, for `train` and `boxmodel train`. leave-out.csv
    names the animals that react to the camera, for `density --leave-out`. You can run this while the page is open.

    For example:

        trapmeter review export results/ --out reviewed/
        trapmeter density reviewed/distances.csv --leave-out reviewed/leave-out.csv --deployments deployments.csv

    Parameters
    ----------
    results
        Folder that was reviewed.
    out
        Folder for the tables, created if it doesn't exist.
    """
    from trapmeter.review.export import export_review

    for line in export_review(results, out):
        print(line)
