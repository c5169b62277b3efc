"""The demo: two models over the clips, without and with reference points, beside always answering the same distance."""

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
from trapmeter.progress import Progress
from trapmeter.records import Estimate
from trapmeter.report.run_report import write_html
from trapmeter.tables.reference_points import read_reference_points
from trapmeter.tables.truth import TruthRow, read_truth

BASELINE, BOX_MODEL, NETWORK, WITH_POINTS = f"always {TRAINING_MEDIAN_M:g} m", "box model", "network", " + points"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a distance.

    every_animal: scores with the box of every visible animal given; found: scores with the detector's own boxes.
    """

    name: str
    every_animal: Scores
    found: Scores


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo measured.

    run: detector and box model, as `trapmeter predict` has them. ways: always the training median first, then each model
    without and with reference points. n_with_points: sites that have reference points. report, picture and survey: paths.
    """

    run: PredictRun
    ways: tuple[Way, ...]
    truth: tuple[TruthRow, ...]
    n_with_points: int
    report: Path
    picture: Path
    survey: Path


def run_demo(out: Path, jobs: int | None, progress: Progress = lambda *_: None) -> Demo:
    """Runs every way over the clips, into out and folders below it.

    Raises:
        RunError: out can't be written, or holds the results of a run that is not the demo's.
    """
    settings = demo_settings(out, jobs)
    run_prediction(settings, progress)
    run = read_run(out)
    truth = read_truth(TRUTH)
    report = write_html(run, out, truth=truth, progress=progress, jobs=jobs)

    write_boxes(truth, out / BOXES)
    drawn = drawn_settings(settings)
    models = {BOX_MODEL: (drawn, settings), NETWORK: (network_settings(drawn), network_settings(settings))}
    rest = [drawn, *models[NETWORK]]
    for step, other in enumerate(rest, start=1):
        run_prediction(other)
        progress("compare", step, len(rest), 0)
    constant = (score_constant(TRAINING_MEDIAN_M, _estimates(folder), truth) for folder in (drawn, settings))
    ways = [Way(BASELINE, *constant)]
    for name, folders in models.items():
        ways.append(Way(name, *(score(_estimates(folder), truth) for folder in folders)))
        ways.append(Way(f"{name}{WITH_POINTS}", *(score(_with_points(folder), truth) for folder in folders)))
    return Demo(
        run,
        tuple(ways),
        tuple(truth),
        len(read_reference_points(POINTS)),
        report,
        _calibrated(drawn) / CHART,
        write_survey(out),
    )


def _estimates(settings: PredictSettings) -> Sequence[Estimate]:
    return read_run(settings.out).estimates


def _with_points(settings: PredictSettings) -> Sequence[Estimate]:
    """The run's estimates after calibration by the reference points."""
    return calibrate(settings.out, _calibrated(settings), points=POINTS).estimates


def _calibrated(settings: PredictSettings) -> Path:
    return settings.out / "with-points"
