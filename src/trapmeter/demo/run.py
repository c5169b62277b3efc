"""Runs the demo: two models on the clips, with and without reference points, compared with always predicting one distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.calibration.run import CHART, calibrate
from trapmeter.demo.clips import (
    BOXES,
    POINTS,
    TRAINING_MEDIAN_M,
    TRUTH,
    demo_settings,
    drawn_settings,
    network_settings,
    write_boxes,
    write_survey,
)
from trapmeter.demo.scores import Scores, score, score_constant
from trapmeter.prediction.results import read_run
from trapmeter.prediction.run import PredictRun, run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.progress import Progress, no_progress
from trapmeter.records import Estimate
from trapmeter.report.predict_report import predict_and_report
from trapmeter.storage.address import AnyPath
from trapmeter.tables.reference_marks import read_reference_marks
from trapmeter.tables.truth import TruthRow, read_truth

BASELINE, BOX_MODEL, NETWORK, WITH_POINTS = f"always {TRAINING_MEDIAN_M:g} m", "box model", "network", " + points"


@dataclass(frozen=True, slots=True)
class DistanceMethod:
    """The scores of one distance method: with the true box of every visible animal, and with the detector's boxes."""

    name: str
    every_animal: Scores
    found: Scores


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's results.

    run: detector and box model, as in `trapmeter predict`. methods: always the training median first, then each model
    without and with reference points. n_with_points: sites that have reference points. report, picture and survey: paths.
    """

    run: PredictRun
    methods: tuple[DistanceMethod, ...]
    truth: tuple[TruthRow, ...]
    n_with_points: int
    report: AnyPath
    picture: Path
    survey: Path


def run_demo(out: str | Path, jobs: int | None = None, progress: Progress = no_progress) -> Demo:
    """Runs every distance method on the clips, into out and folders below it.

    jobs: worker processes; None is one for each core.

    Raises:
        RunError: out can't be written, or holds the results of another run.
    """
    out = Path(out)
    settings = demo_settings(out, jobs)
    reported = predict_and_report(settings, progress=progress)
    truth = read_truth(TRUTH)

    write_boxes(truth, out / BOXES)
    drawn = drawn_settings(settings)
    models = {BOX_MODEL: (drawn, settings), NETWORK: (network_settings(drawn), network_settings(settings))}
    further_runs = [drawn, *models[NETWORK]]
    for step, run_settings in enumerate(further_runs, start=1):
        run_prediction(run_settings)
        progress("compare", step, len(further_runs), 0)
    constant = (score_constant(TRAINING_MEDIAN_M, _estimates(run), truth) for run in (drawn, settings))
    methods = [DistanceMethod(BASELINE, *constant)]
    for name, runs in models.items():
        methods.append(DistanceMethod(name, *(score(_estimates(run), truth) for run in runs)))
        with_points = (score(_calibrate(run), truth) for run in runs)
        methods.append(DistanceMethod(f"{name}{WITH_POINTS}", *with_points))
    return Demo(
        reported.run,
        tuple(methods),
        tuple(truth),
        len(read_reference_marks(POINTS)),
        reported.report,
        _calibrated_folder(drawn) / CHART,
        write_survey(out),
    )


def _estimates(settings: PredictSettings) -> Sequence[Estimate]:
    return read_run(settings.out).estimates


def _calibrate(settings: PredictSettings) -> Sequence[Estimate]:
    """The run's estimates after calibration by the reference points."""
    return calibrate(settings.out, _calibrated_folder(settings), points=POINTS).estimates


def _calibrated_folder(settings: PredictSettings) -> Path:
    return settings.out / "with-points"
