"""The verbs that correct distances and turn them into density: calibrate, points, density."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from trapmeter.calibration.settings import HFOV_RANGE, CalibrateSettings
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
    calibration-points.csv compares each with the others, and cameras.json keeps the fitted cameras. Points that can't belong
    to one camera are refused. Rows of cameras that moved since their reference photographs are corrected for a small
    movement, and otherwise left as they were.

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
    from trapmeter.calibration.pick import select_seconds
    from trapmeter.calibration.run import calibrate as correct
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
    photos: tuple[Path, ...],
    /,
    *,
    site: str,
    out: Annotated[Path | None, OUT] = None,
    start: str = "",
    end: str = "",
    time: tuple[float, ...] = (),
    cameras: Path | None = None,
    hfov: Annotated[float | None, HFOV_RANGE] = None,
    page: Path | None = None,
    port: Annotated[int, Range(least=0, most=65535)] = 0,
    open_: Annotated[bool, Parameter(name="--open", negative="--no-open")] = True,
) -> None:
    """Mark points, poles and people at known distances in reference photographs.

    Needs `pip install 'trapmeter[review]'`, except with --page. Opens a page in the browser. You click a point, pole or
    person and type its distance or heights; each mark is saved at once in the table that `trapmeter calibrate --points`
    reads. The page draws lines of equal distance and shows which marks contradict the others. You can open it only on this
    machine, and only with the key in the printed address. Ctrl-C ends it; the same command goes on where you stopped.

    For example:

        trapmeter points setup/ --site folder:1
        trapmeter points setup/S01.mp4 --site S01 --time 3 --time 8 --time 15
        trapmeter points setup/ --site sites.csv --cameras cameras.csv --out setup/2024.csv
        trapmeter points pole.jpg --site S01 --start 2024-05-01 --end 2024-06-12
        trapmeter points pole.jpg --site S01 --page points.html

    Parameters
    ----------
    photos
        Photos and videos of people or poles at known distances, and folders of them.
    site
        The site's name, as in the results; or how to find it, as for `trapmeter predict`: folder:1, regex:(S[0-9]+), or a CSV
        file of media_id (or file, or folder) and site_id, which may have both start and end.
    out
        The table of marks. Marks that it has already are shown and can be changed; everything else in it stays. Default:
        points.csv in the folder of the photographs, where `trapmeter calibrate` finds them again.
    start
        Start of the deployment, such as 2024-05-01, if the camera of a site was moved.
    end
        End of the deployment.
    time
        Seconds of each video to show, one for each position of the person. Default: six, spread over the video.
    cameras
        Camera set-ups, as for `trapmeter calibrate`: the drawn lines start from them.
    hfov
        Horizontal field of view of the cameras in degrees, if --cameras doesn't state it.
    page
        Only write a page to this HTML file, which works in any browser, even offline, and saves a table.
    port
        Port on this machine; 0 takes a free one.
    open_
        Open the page in the browser; --no-open only prints the address.
    """
    from trapmeter.errors import require_extra
    from trapmeter.marking.run import PointsSettings, mark_photographs, write_page

    settings = PointsSettings(photos, site, out, start, end, time, cameras, hfov)
    if page is not None:
        n_pictures = write_page(settings, page)
        pictures = "picture" if n_pictures == 1 else f"{n_pictures} pictures"
        print(f"open {page} in a browser and click on the {pictures}; its button saves the table")
        return
    for package in ("fastapi", "uvicorn"):
        require_extra(package, "review")
    mark_photographs(
        settings,
        port,
        opens_browser=open_,
        announce=lambda text: print(text, flush=True),
    )


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
        trapmeter density birds.csv --formula "observer + hour" --by species --truncation 80 --select aic
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
