"""The verbs that correct distances and turn them into density: calibrate, points, density."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from trapmeter.calibration.settings import CalibrateSettings
from trapmeter.cli.options import OUT, given_values, options_of
from trapmeter.density.settings import DensitySettings, density_settings
from trapmeter.errors import InputError
from trapmeter.settings import Range, worker_count

if TYPE_CHECKING:
    CalibrateOptions: TypeAlias = Any
    DensityOptions: TypeAlias = Any
else:
    CalibrateOptions = options_of(CalibrateSettings)
    DensityOptions = options_of(DensitySettings, has_file=True)


def calibrate(
    options: Annotated[CalibrateOptions, Parameter(name="*")] = CalibrateOptions(),
    *,
    pick: Annotated[int | None, Range(least=1)] = None,
) -> None:
    """Correct distances with what you know about the sites.

    Give labels (known distances), reference points, camera set-ups, the size of the animals, or several of these. Sites about
    which you know nothing stay unchanged. Writes distances.csv in the same format (with distance, interval and draws
    corrected), calibration.csv (what was corrected at each site), calibration.png and run.json. With reference points,
    calibration-points.csv shows how far each is from where the others predict it. Points that contradict each other are
    refused.

    For example:

        trapmeter calibrate results/ --pick 10 --out labels/
        trapmeter calibrate results/ --labels labels/to-label.csv --out calibrated/
        trapmeter calibrate results/ --points points.csv --cameras cameras.csv --species "red fox" --out calibrated/

    Parameters
    ----------
    pick
        Only choose, for each site, this many seconds whose labels help most: to-label.csv, and their pictures in
        to-label.html.
    """
    from trapmeter.calibration.run import calibrate as correct
    from trapmeter.calibration.run import select_seconds
    from trapmeter.console import print_calibration, print_selection, progress_bars
    from trapmeter.report.label_page import LABEL_PAGE, write_label_page

    values = given_values(options)
    if pick is not None:
        if values.keys() - {"results", "out"}:
            raise InputError("--pick needs no other option than --out: leave the others out")
        selection = select_seconds(values["results"], values["out"], pick)
        page = selection.path.with_name(LABEL_PAGE)
        with progress_bars() as progress:
            n_missing = write_label_page(selection.source, selection.estimates, page, progress, jobs=worker_count(None))
        print_selection(selection, page, n_missing)
    else:
        with progress_bars() as progress:
            done = correct(**values, progress=progress)
        print_calibration(done, values["out"])


def points(
    medium: Path,
    *,
    site: str,
    out: Annotated[Path, OUT] = Path("points.html"),
    time: tuple[float, ...] = (0.0,),
) -> None:
    """Write a page on which you click reference points.

    A reference point is a point on the ground at a known distance. Open the page in any browser, even offline. Its button
    saves the table that `trapmeter calibrate --points` reads.

    For example:

        trapmeter points setup.mp4 --site S01 --time 3 --time 8 --time 15 --out points.html
        trapmeter points pole.jpg --site S01 --out points.html

    Parameters
    ----------
    medium
        A video or photo of a person or pole at known distances.
    site
        The site's name, as in the results.
    out
        The page to write.
    time
        Seconds of the video to show, one for each position of the person.
    """
    from trapmeter.report.points_page import write_points_page

    n_pictures = write_points_page(medium, site, time, out)
    pictures = "picture" if n_pictures == 1 else f"{n_pictures} pictures"
    print(f"open {out} in a browser and click on the {pictures}; its button saves the table")


def density(
    options: Annotated[DensityOptions, Parameter(name="*")] = DensityOptions(),
    *,
    config: Path | None = None,
    json: Path | None = None,
    csv: Path | None = None,
    out: Annotated[Path | None, OUT] = None,
) -> None:
    """Estimate animal density from distances.

    Camera-trap distance sampling (Howe et al. 2017): fits detection functions to binned or exact distances, selects one, and
    estimates animals per square kilometre with a confidence interval. Stations without detections count: they are rows
    without a distance in a flat file, or deployments without animals. --errors allows for the error of automatic distances.

    For example:

        trapmeter density peak.csv --key hazard-rate --adjust none --cutpoints 2,3,4,5,6,7,8,10,12,15 --json peak.json
        trapmeter density results/distances.csv --deployments deployments.csv --cutpoints 0,2,4,6,8,12 --errors deep-chimpact
        trapmeter density --config survey.toml --out density/

    Parameters
    ----------
    config
        TOML file of settings (docs/reference/density.md); options replace its values.
    json
        Write the full results to this JSON file.
    csv
        Write a row for each fit and stratum to this CSV file.
    out
        Folder for density.json, density.csv, density.html, flatfile.csv and density.R, created if it doesn't exist.
    """
    from trapmeter.console import print_density, progress_bars
    from trapmeter.report.density_report import density_and_report

    settings = density_settings(config=config, **given_values(options))
    read = [] if config is None else [config]
    with progress_bars() as progress:
        done = density_and_report(settings, json=json, csv=csv, out=out, also_read=read, progress=progress)
    print_density(done.run)
    for path in (done.json, done.csv):
        if path is not None:
            print(f"results: {path}")
    if done.report is not None:
        print(f"report:  {done.report}")
