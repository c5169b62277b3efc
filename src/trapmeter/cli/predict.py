"""The verbs predict, merge and demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trapmeter.cli.options import (
    EXIT_INTERNAL_ERROR,
    EXIT_INTERRUPTED,
    EXIT_MEDIA_FAILED,
    CamerasOption,
    EngineOption,
    RayAddressOption,
    RuntimeOption,
    ShoulderOption,
    SiteLocationsOption,
    SpeciesOption,
    TrainedHfovOption,
    print_progress,
)
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.geometry import DEFAULT_HFOV_DEG
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.parallel.engines import EngineName, default_jobs

if TYPE_CHECKING:
    from trapmeter.prediction.run import PredictRun
    from trapmeter.prediction.sharded_run import ShardRun
    from trapmeter.report.predict_report import ReportedRun


def add_verbs(app: typer.Typer) -> None:
    """Adds predict, merge and demo."""
    app.command()(predict)
    app.command()(merge)
    app.command()(demo)


def predict(
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="PATH", help="Folder for the results; made if need be. Or s3://BUCKET/FOLDER."
        ),
    ],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Videos, photos, and folders of them (searched to the bottom); or a Camtrap DP: its folder, zip or "
            "datapackage.json; or addresses such as s3://BUCKET/FOLDER or https://... (the extra `cloud`)."
        ),
    ] = None,
    every: Annotated[float | None, typer.Option(help="Measure every so many seconds of a video (default 1).")] = None,
    times: Annotated[
        Path | None, typer.Option(help="Measure at these seconds only: a CSV file with video_id and time.")
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="Take animals from this file: MegaDetector's JSON, DrivenData's metadata CSV or a distances.csv."
        ),
    ] = None,
    site: Annotated[
        str,
        typer.Option(
            help="Where the site stands: folder:1 (top folder), folder:-1 (last), regex:(S[0-9]+), or a CSV file. A Camtrap "
            "DP tells it itself."
        ),
    ] = "none",
    detector: Annotated[
        DetectorPrecision,
        typer.Option(
            help="What looks for animals: in 8 bits, or as published, which takes three times the processor time."
        ),
    ] = DetectorPrecision.INT8,
    min_score: Annotated[
        float | None,
        typer.Option(
            help="Leave out boxes that score less (0..1). Default: 0.25; 0.2 for MegaDetector's JSON, 0 for other files."
        ),
    ] = None,
    hfov: Annotated[
        float | None,
        typer.Option(help="The cameras' horizontal field of view in degrees, where --cameras doesn't tell it."),
    ] = None,
    cameras: CamerasOption = None,
    exif: Annotated[
        bool,
        typer.Option("--exif", help="Believe the field of view in photos' EXIF, where nothing else tells it."),
    ] = False,
    species: SpeciesOption = None,
    shoulder_height: ShoulderOption = None,
    trained_hfov: TrainedHfovOption = DEFAULT_HFOV_DEG,
    truth: Annotated[
        Path | None, typer.Option(help="Known distances to compare with: DrivenData labels or a table with distance_m.")
    ] = None,
    places: SiteLocationsOption = None,
    box_model: Annotated[Path | None, typer.Option(help="Folder of a box model in place of the embedded one.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder of a network's bundle, or the name of a pulled one (`trapmeter models`), in place of the box "
            "model; give several for an ensemble."
        ),
    ] = None,
    blend: Annotated[
        Path | None,
        typer.Option(
            help="File of `trapmeter blend`: networks and box model answer together, each as far as it is good."
        ),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Ask each network about the mirror image too.")] = False,
    runtime: RuntimeOption = Runtime.AUTO,
    no_detect: Annotated[
        bool,
        typer.Option("--no-detect", help="Don't look for animals: let the networks answer for each second as a whole."),
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option(help="Take the pictures for --times from this frame store: no video is opened, nothing detected."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", help="Worker processes (default: one per core of the machine, or of the cluster)."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start anew where an earlier run left results.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(help="Only look at the i-th of n shares of the media, such as 2/8; `trapmeter merge` joins them."),
    ] = None,
    engine: EngineOption = EngineName.LOCAL,
    ray_address: RayAddressOption = None,
) -> None:
    """Measure the distance of every animal in videos and photos.

    Writes distances.csv (a row per medium, second and animal), report.html and run.json into the folder given with --out. A
    run that was broken off goes on where it stopped when the same command is given again.

    Exit status: 0 all well, 3 some media failed (see report.html), 2 wrong arguments or input, 1 an error of ours.

    For example:

    trapmeter predict card1/ --out results/

    trapmeter predict survey/ --out results/ --site folder:1 --every 2

    trapmeter predict card1/ --out results/ --hfov 25 --species "red fox"

    trapmeter predict videos/ --out results/ --times submission_format.csv --boxes metadata.csv

    trapmeter predict survey-dp/ --out results/

    trapmeter predict card1/ --out results/ --model training/fold-0/bundle --model training/fold-1/bundle --flip

    trapmeter predict --store frames/ --times submission_format.csv --model training/fold-0/bundle --out results/

    trapmeter predict s3://bucket/survey --out results/ --every 10

    trapmeter predict survey/ --out results/ --shard 2/8

    trapmeter predict survey/ --out results/ --engine ray --ray-address auto
    """
    from trapmeter.console import print_shard, progress_bars
    from trapmeter.errors import InputError
    from trapmeter.models.library import find_model
    from trapmeter.parallel.engines import parse_engine_shard
    from trapmeter.prediction.settings import PredictSettings
    from trapmeter.prediction.sharded_run import predict_shard
    from trapmeter.report.predict_report import predict_and_report
    from trapmeter.storage.address import parse_path
    from trapmeter.tables.site_rules import parse_site_rule

    if every is not None and times is not None:
        raise InputError("--every and --times exclude each other: give one of them")
    one_of = parse_engine_shard(shard, engine)
    settings = PredictSettings(
        paths=tuple(map(parse_path, paths or ())),
        out=Path(out),
        every_s=1.0 if every is None else every,
        times=times,
        boxes=boxes,
        site=parse_site_rule(site),
        detector=detector,
        min_score=min_score,
        hfov_deg=hfov,
        cameras=cameras,
        exif=exif,
        trained_hfov_deg=trained_hfov,
        species=species,
        shoulder_m=shoulder_height,
        truth=truth,
        places=places,
        box_model=box_model,
        models=tuple(map(find_model, model or ())),
        blend=blend,
        flip=flip,
        runtime=runtime,
        detect=not no_detect,
        store=store,
        jobs=default_jobs(jobs),
        overwrite=overwrite,
    )
    with _exit_on_interrupt(), progress_bars() as progress:
        if one_of is None:
            result = predict_and_report(
                settings, out, jobs=jobs, engine=engine, ray_address=ray_address, progress=progress
            )
        else:
            shard_run = predict_shard(settings, one_of, out, progress=progress)
    if one_of is None:
        _print_result(result)
        _exit_with(result.run)
    else:
        print_shard(shard_run, parse_path(out))
        _exit_with(shard_run)


def merge(
    shards: Annotated[
        list[str],
        typer.Argument(
            help="The folders of all shards of a run; or their addresses, such as 's3://BUCKET/OUT/shard-*-of-8'."
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="PATH", help="Folder for the results; made if need be. Or s3://BUCKET/FOLDER."
        ),
    ],
) -> None:
    """Make the results of a run out of all its shards.

    No video is opened, but the media and tables must lie where the shards found them. distances.csv has the same bytes as
    that of a run without --shard.

    Exit status: as of `trapmeter predict`.

    For example:

    trapmeter merge results/shard-*-of-8 --out results/
    """
    from trapmeter.console import progress_bars
    from trapmeter.report.predict_report import merge_and_report

    with _exit_on_interrupt(), progress_bars() as progress:
        result = merge_and_report(shards, out, progress=progress)
    _print_result(result)
    _exit_with(result.run)


@contextmanager
def _exit_on_interrupt() -> Iterator[None]:
    """Ctrl-C ends the block, and the program, with a word on how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("trapmeter: stopped; the same command goes on from here", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _exit_with(run: PredictRun | ShardRun) -> None:
    """Ends with the status of a run that met errors."""
    if run.has_internal_errors:
        raise typer.Exit(EXIT_INTERNAL_ERROR)
    if run.has_failed_media:
        raise typer.Exit(EXIT_MEDIA_FAILED)


def _print_result(result: ReportedRun) -> None:
    from trapmeter.console import print_comparison, print_summary

    for note in result.notes:
        print_progress(note)
    print_summary(result.run, result.out, result.report)
    if result.comparison is not None:
        print_comparison(result.comparison)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("trapmeter-demo"),
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Worker processes (default: one per core).")] = None,
) -> None:
    """Measure twelve small clips that come with trapmeter, and compare with their exact distances.

    Two models measure them: the box model, which `predict` uses for real footage, and a small network trained on rendered
    scenes of other sites. The table has each model's error with and without reference points, near and far, and that of
    always answering the same distance. The error on real footage is quoted below it.
    """
    from trapmeter.console import print_demo, print_summary, progress_bars
    from trapmeter.demo.run import run_demo

    with _exit_on_interrupt(), progress_bars() as progress:
        done = run_demo(out, jobs, progress)
    if done.run.summary.failures:
        print_summary(done.run, out, done.report)
    print_demo(done)
    _exit_with(done.run)
