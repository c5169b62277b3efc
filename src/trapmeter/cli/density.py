"""The verb that makes density of distances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from trapmeter.errors import InputError


def add_verbs(app: typer.Typer) -> None:
    """Adds density."""
    app.command()(density)


def density(
    file: Annotated[
        Path | None,
        typer.Argument(help="Table of distances: distances.csv, a flat file of R, or a Camtrap DP (folder or zip)."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings (docs/reference/density.md); options here replace its.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="r-flat, distances or camtrap-dp (default: told from name and columns)."),
    ] = None,
    deployments: Annotated[
        Path | None,
        typer.Option(
            help="For distances.csv: CSV file of site_id, start, end, theta_deg, snapshot_s, and perhaps hours."
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="half-normal, hazard-rate or uniform; several by commas. Default: all, as Howe et al. 2019."),
    ] = None,
    adjust: Annotated[
        list[str] | None,
        typer.Option(
            help="none; cosine, hermite or polynomial, with none and more terms; or cosine:2 for two exactly."
        ),
    ] = None,
    cutpoints: Annotated[
        str | None,
        typer.Option(help="Edges of bins in metres, such as 2,3,4,5,6,7,8,10,12,15; distances stay exact without."),
    ] = None,
    truncation: Annotated[
        str | None,
        typer.Option(help="Left and right in metres, such as 2,15; or right alone. Default: the outer cutpoints."),
    ] = None,
    select: Annotated[str | None, typer.Option(help="qaic (default with cutpoints) or aic (default without).")] = None,
    species: Annotated[str | None, typer.Option(help="Whose distances count; all for every row.")] = None,
    species_column: Annotated[
        str | None, typer.Option(help="Where the species stands (default: species, if it is there).")
    ] = None,
    no_strata: Annotated[bool, typer.Option("--no-strata", help="Put all stations together.")] = False,
    theta: Annotated[
        float | None, typer.Option(help="Angle of view in degrees, where the tables don't tell it.")
    ] = None,
    snapshot: Annotated[
        float | None, typer.Option(help="Seconds from one snapshot to the next, where the deployments don't tell it.")
    ] = None,
    points: Annotated[
        bool, typer.Option("--points", help="Take distance_m as it stands in place of the draws q05_m to q95_m.")
    ] = False,
    errors: Annotated[
        str | None,
        typer.Option(
            help="Allow for the model's error, as its answers at held-out sites show it: deep-chimpact (the embedded box "
            "model), or a CSV file of truth_m, distance_m, site_id, such as oof.csv of boxmodel evaluate."
        ),
    ] = None,
    distance_cv: Annotated[
        float | None,
        typer.Option(help="Allow for a random error of distances, such as 0.2 for 20 %, where --errors has nothing."),
    ] = None,
    media_times: Annotated[
        Path | None,
        typer.Option(help="CSV file of media_id, start: leaves out animals outside of deployments and hours."),
    ] = None,
    leave_out: Annotated[
        Path | None,
        typer.Option(
            help="CSV file of media_id, animal_id that don't count, such as animals that react to the camera."
        ),
    ] = None,
    leave_out_tags: Annotated[
        list[str] | None,
        typer.Option(help="Of a Camtrap DP: leave out observations with this in behavior or observationTags."),
    ] = None,
    availability: Annotated[
        float | None, typer.Option(help="Share (0..1) of the effort in which animals could be seen at all.")
    ] = None,
    availability_se: Annotated[float | None, typer.Option(help="Its standard error.")] = None,
    activity: Annotated[
        Path | None,
        typer.Option(help="Estimate availability from times of day: a CSV file with time, and perhaps site_id."),
    ] = None,
    bootstrap: Annotated[
        int | None, typer.Option(help="Replicates over cameras, such as 1000 (default 0), selection included.")
    ] = None,
    scale_error: Annotated[
        float | None,
        typer.Option(help="Error of scale of all distances, such as 0.05 for 5 %, drawn in each replicate."),
    ] = None,
    site_scale_error: Annotated[
        float | None, typer.Option(help="The same, drawn for each site, beyond what draws know.")
    ] = None,
    level: Annotated[float | None, typer.Option(help="Of the intervals (default 0.95).")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all random numbers (default 1).")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Worker processes (default: one per core).")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON to this file.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a row per fit and stratum to this file.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for density.json, density.csv, density.html, flatfile.csv and density.R; made if need be.",
        ),
    ] = None,
) -> None:
    """Estimate animal density from distances, by camera trap distance sampling (Howe et al. 2017).

    Fits detection functions to binned or exact distances, selects one, and gives animals per square kilometre with a 95 %
    interval. Stations without detections count: they are rows without a distance in a flat file, or deployments at which
    nothing was seen. The error of automatic distances is allowed for with --errors.

    Exit status: 0 all well, 2 wrong arguments or input.

    For example:

    trapmeter density peak.csv --key hazard-rate --adjust none --cutpoints 2,3,4,5,6,7,8,10,12,15 --json peak.json

    trapmeter density results/distances.csv --deployments deployments.csv --cutpoints 0,2,4,6,8,12 --errors deep-chimpact

    trapmeter density --config survey.toml --out density/
    """
    from trapmeter.console import print_density, progress_bars
    from trapmeter.density.results import write_csv, write_json
    from trapmeter.density.run import list_inputs, run_density
    from trapmeter.density.settings import density_settings, read_values
    from trapmeter.files import check_writable, lock_folder
    from trapmeter.parallel.engine import default_jobs
    from trapmeter.report.density_report import OUTPUT_FILES, write_density_folder

    given: dict[str, Any] = {
        "file": file,
        "format": form,
        "deployments": deployments,
        "key": _texts(key),
        "adjust": _texts(adjust),
        "cutpoints": _numbers("--cutpoints", cutpoints),
        "truncation": _numbers("--truncation", truncation),
        "select": select,
        "species": species,
        "species_column": species_column,
        "strata": False if no_strata else None,
        "theta_deg": theta,
        "snapshot_s": snapshot,
        "points": True if points else None,
        "errors": errors,
        "distance_cv": distance_cv,
        "media_times": media_times,
        "leave_out": leave_out,
        "leave_out_tags": _texts(leave_out_tags),
        "availability": availability,
        "availability_se": availability_se,
        "activity": activity,
        "bootstrap": bootstrap,
        "scale_error": scale_error,
        "site_scale_error": site_scale_error,
        "level": level,
        "seed": seed,
        "jobs": jobs,
    }
    values = {} if config is None else read_values(config)
    values.setdefault("jobs", default_jobs(None))
    values |= {name: value for name, value in given.items() if value is not None}
    settings = density_settings(values)
    for path in (json, csv):
        check_writable(path)
    written = [(path, option) for path, option in ((json, "--json"), (csv, "--csv")) if path is not None]
    written += [] if out is None else [(out / name, "--out") for name in OUTPUT_FILES]
    _check_apart(written, [*list_inputs(settings), *([] if config is None else [config])])
    # Taken before the work, so that a folder which can't be written is found out before it.
    with nullcontext() if out is None else lock_folder(out):
        if settings.bootstrap:
            with progress_bars() as progress:
                run = run_density(settings, lambda done, total: progress("replicate", done, total, 0))
        else:
            run = run_density(settings)
        report = None if out is None else write_density_folder(out, run)
    print_density(run)
    for path, write in ((json, write_json), (csv, write_csv)):
        if path is not None:
            write(path, run)
            typer.echo(f"results: {path}")
    if report is not None:
        typer.echo(f"report:  {report}")


def _check_apart(written: Iterable[tuple[Path, str]], inputs: Sequence[Path]) -> None:
    """Makes sure that no input is written over. written: files to come, each with the option that names it."""
    for path, option in written:
        if any(_is_same(path, one) for one in inputs):
            raise InputError(f"{path} would be written over, but it is read as an input; choose another {option}")


def _is_same(path: Path, other: Path) -> bool:
    """Whether both are one file, however it is named or linked."""
    try:
        return path.samefile(other)
    except OSError:  # one of them isn't there
        return False


def _texts(values: list[str] | None) -> list[str] | None:
    """Texts that were given one by one or by commas."""
    return None if not values else [text.strip() for value in values for text in value.split(",")]


def _numbers(option: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"{option}: expected metres separated by commas, such as 2,3,5,8, got {text!r}; correct it"
        ) from None
