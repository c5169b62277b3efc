"""The verbs that measure: predict, merge of its shards, and demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from trapmeter.cli.options import OUT, exit_status, given_values, options_of
from trapmeter.parallel.engine import EngineSettings
from trapmeter.prediction.settings import PredictSettings, predict_settings
from trapmeter.settings import Jobs

if TYPE_CHECKING:
    from trapmeter.report.predict_report import ReportedRun

    PredictOptions: TypeAlias = Any
else:
    # Nothing else reduces errors as much.
    PredictOptions = options_of(PredictSettings, first=("species", "hfov_deg"))

_LOCAL = EngineSettings()


def predict(
    options: Annotated[PredictOptions, Parameter(name="*")] = PredictOptions(),
    *,
    shard: str | None = None,
    workers: Annotated[EngineSettings, Parameter(name="*")] = _LOCAL,
) -> int:
    """Measure the distance of every animal in videos and photos.

    Writes distances.csv (a row for each medium, second and animal), report.html and run.json into the folder of --out. An
    interrupted run resumes when you give the same command again.

    Exit status: 0 success, 3 some media failed (see report.html), 2 wrong options or input, 1 an internal error.

    For example:

        trapmeter predict card1/ --out results/
        trapmeter predict card1/ --out results/ --species "red fox" --hfov 39
        trapmeter predict survey/ --out results/ --site folder:1 --every 2
        trapmeter predict card1/ --out results/ --detector md_v5a.onnx
        trapmeter predict videos/ --out results/ --times submission_format.csv --boxes metadata.csv
        trapmeter predict survey-dp/ --out results/
        trapmeter predict card1/ --out results/ --model training/fold-0/bundle --model training/fold-1/bundle --flip
        trapmeter predict --store frames/ --times submission_format.csv --model training/fold-0/bundle --out results/
        trapmeter predict s3://bucket/survey --out results/ --every 10
        trapmeter predict survey/ --out results/ --shard 2/8
        trapmeter predict survey/ --out results/ --engine ray --ray-address auto

    Parameters
    ----------
    shard
        Process only the i-th of n parts of the media, such as 2/8; `trapmeter merge` merges them.
    """
    from trapmeter import console
    from trapmeter.parallel.engine import parse_engine_shard
    from trapmeter.prediction.sharded_run import predict_shard
    from trapmeter.report import predict_report

    values = given_values(options)
    part = parse_engine_shard(shard, workers.engine)
    if part is None:
        with console.progress_bars() as progress:
            done = predict_report.predict(workers=workers, progress=progress, **values)
        return _print_run(done)
    settings = predict_settings(**values)
    with console.progress_bars() as progress:
        run = predict_shard(settings, part, values["out"], progress=progress)
    console.print_shard(run, values["out"])
    return exit_status(run)


def merge(shards: tuple[str, ...], /, *, out: Annotated[str, OUT]) -> int:
    """Merge the results of all shards of a run.

    No video is opened, but the media and tables must still be where the shards found them. distances.csv has the same bytes
    as that of a run without --shard.

    Exit status: as `trapmeter predict`.

    For example:

        trapmeter merge results/shard-*-of-8 --out results/

    Parameters
    ----------
    shards
        The folders of all shards of a run, or their addresses, such as 's3://BUCKET/OUT/shard-*-of-8'.
    out
        Folder for the results, created if it doesn't exist; or s3://BUCKET/FOLDER.
    """
    from trapmeter.console import progress_bars
    from trapmeter.report.predict_report import merge_and_report

    with progress_bars() as progress:
        done = merge_and_report(shards, out, progress=progress)
    return _print_run(done)


def demo(*, out: Annotated[Path, OUT] = Path("trapmeter-demo"), jobs: Jobs = None) -> int:
    """Measure twelve small clips that come with trapmeter.

    Prints the errors of two models for near and far animals, with and without reference points, compared with those of always
    guessing the median of the training labels.

    Parameters
    ----------
    out
        Folder for the results.
    jobs
        Worker processes. Default: one per core.
    """
    from trapmeter.console import print_demo, print_summary, progress_bars
    from trapmeter.demo.run import run_demo

    with progress_bars() as progress:
        done = run_demo(out, jobs, progress)
    if done.run.summary.failures:
        print_summary(done.run, out, done.report)
    print_demo(done)
    return exit_status(done.run)


def _print_run(done: ReportedRun) -> int:
    from trapmeter.console import print_comparison, print_summary

    print_summary(done.run, done.out, done.report, done.notes)
    if done.comparison is not None:
        print_comparison(done.comparison)
    return exit_status(done.run)
