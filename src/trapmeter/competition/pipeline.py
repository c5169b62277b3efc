"""The 2nd-place system from one configuration file: frames, training, pseudolabels, submission, evaluation.

Each step leaves files and can be broken off; what is done is skipped when the same file is run again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from trapmeter.competition import evaluation
from trapmeter.competition.inference import (
    EnsemblePrediction,
    VideoSecond,
    predict_seconds,
    write_pseudolabels,
    write_submission,
)
from trapmeter.errors import RunError
from trapmeter.files import atomic_file, lock_folder, sha256_of
from trapmeter.frames.fill import fill_store
from trapmeter.frames.requests import read_requests
from trapmeter.frames.spec import StoreSpec
from trapmeter.frames.store import FrameStore
from trapmeter.models.runtimes.choice import Runtime, choose_runtime
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.settings import Range, check_ranges, from_values, read_toml
from trapmeter.tables.drivendata import best_box_rows, read_labels, read_video_seconds
from trapmeter.training.recipes import find_recipe
from trapmeter.training.run import train
from trapmeter.training.settings import FoldsBy, PseudolabelSettings, TrainSettings

STEPS_FILE = "steps.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompetitionSettings:
    """Settings of `trapmeter run`. In a TOML file, relative paths count from the file's folder."""

    labels: Path
    """CSV file of video_id, time, distance: the training videos' labels."""
    metadata: Path
    """CSV file of boxes, parks and sites of the training videos, and of the test videos if test_metadata is not given."""
    videos: Path
    """Folder of the training videos."""
    test_format: Path
    """CSV file of video_id, time: the rows to predict, in their order."""
    test_videos: Path
    """Folder of the test videos."""
    out: Annotated[Path, Parameter(name=("--out", "-o"))]
    """Folder for everything that is made."""
    test_metadata: Path | None = None
    """CSV file of boxes, parks and sites of the test videos."""
    test_labels: Path | None = None
    """CSV file of the test videos' distances: evaluates each submission."""
    animals: Path | None = None
    """CSV file of every animal of the training videos with its drawn box: video_id, time, distance_m, x1, y1, x2, y2."""
    recipe: str = "second_place"
    """Name of the training recipe."""
    folds: Annotated[int, Range(least=2)] = 10
    """Number of folds, and of networks in the ensemble."""
    folds_by: FoldsBy = FoldsBy.SITE
    """What a fold holds out: whole sites, or videos as the 2nd place did (its validation errors are too good)."""
    rounds: Annotated[int, Range(least=0)] = 1
    """Rounds of pseudolabels after the first training."""
    flip: Annotated[bool, Parameter(negative="--no-flip")] = True
    """Run each network on the mirror image too."""
    max_spread: Annotated[float, Range(least=0.0)] = 0.0
    """Leave out pseudolabels whose networks differ by more than this share of the distance; 0 keeps all with full weight, as
    the 2nd place did."""
    round_to: Annotated[float, Parameter(name="--round"), Range(least=0.0, unit="metres")] = 0.0
    """Round submissions to multiples of this; 0 does not round. Never round distances for density."""
    epochs: Annotated[int, Range(least=0)] = 0
    """Epochs of each training; 0 keeps the recipe's."""
    weights: str = ""
    """Weights to start from: hub, package, none or a file; empty keeps the recipe's."""
    jobs: Annotated[int, Parameter(name=("--jobs", "-j")), Range(least=1)] = 2
    """Worker processes."""
    runtime: Runtime = Runtime.AUTO
    """What runs the trained networks: onnxruntime, openvino, torch, or auto."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """A part of the chain: what it is called, what it leaves, and how it is done."""

    name: str
    leaves: Path
    work: Callable[[], str]


def read_competition_settings(path: str | Path, **options: Any) -> CompetitionSettings:
    """Settings from a TOML file with the names of `CompetitionSettings`; options replace its values.

    Raises:
        InputError: the file can't be read, or a name or value is wrong.
    """
    values = read_toml(CompetitionSettings, Path(path)) | options
    return from_values(CompetitionSettings, values, str(path))


def run_competition(settings: CompetitionSettings, tell: Callable[[str], None]) -> Path:
    """Does all steps that are not done yet, printing the plan first; returns the last submission.

    Raises:
        RunError: the folder holds a chain with other settings or tables, or another run is at work there.
    """
    with lock_folder(settings.out):
        return _run_steps(settings, tell)


def _run_steps(settings: CompetitionSettings, tell: Callable[[str], None]) -> Path:
    done = _read_done(settings)
    steps = _list_steps(settings, tell)
    for number, step in enumerate(steps, 1):
        state = "done" if step.name in done and step.leaves.exists() else "to do"
        tell(f"{number:2d}. {step.name}: {state}")
    for number, step in enumerate(steps, 1):
        if step.name in done and step.leaves.exists():
            continue
        tell(f"== {number} of {len(steps)}: {step.name}")
        tell(step.work())
        done.append(step.name)
        _write_done(settings, done)
    return settings.out / f"submission-{settings.rounds}.csv"


def _list_steps(settings: CompetitionSettings, tell: Callable[[str], None]) -> list[PipelineStep]:
    out = settings.out
    steps = [PipelineStep("frames", out / "frames" / "store.json", partial(_fill_frames, settings))]
    for number in range(settings.rounds + 1):
        suffix = "" if number == 0 else f" with pseudolabels {number}"
        if number > 0:
            steps.append(
                PipelineStep(
                    f"pseudolabels {number}",
                    _pseudolabels_path(out, number),
                    partial(_write_pseudolabels, settings, number),
                )
            )
        last = out / f"round-{number}" / f"fold-{settings.folds - 1}" / "finished.json"
        steps.append(PipelineStep(f"training{suffix}", last, partial(_train, settings, number, tell)))
        steps.append(
            PipelineStep(
                f"submission{suffix}", out / f"submission-{number}.csv", partial(_write_submission, settings, number)
            )
        )
        if settings.test_labels is not None:
            figures = out / f"evaluation-{number}" / "evaluation.json"
            steps.append(PipelineStep(f"evaluation{suffix}", figures, partial(_evaluate, settings, number)))
    return steps


def _fill_frames(settings: CompetitionSettings) -> str:
    spec = find_recipe(settings.recipe).input
    store = FrameStore.create(settings.out / "frames", StoreSpec(spec.size_hw, spec.resize))
    wanted, missing = read_requests([settings.labels], settings.videos, spec.offsets_s)
    test_wanted, test_missing = read_requests([settings.test_format], settings.test_videos, spec.offsets_s)
    report = fill_store(store, [*wanted, *test_wanted], settings.jobs, missing=[*missing, *test_missing])
    return f"{report.n_videos} videos, {report.n_failed_videos} of them failed or not there"


def _train(settings: CompetitionSettings, round_: int, tell: Callable[[str], None]) -> str:
    recipe = find_recipe(settings.recipe)
    if settings.epochs:
        recipe = replace(recipe, epochs=settings.epochs)
    if settings.weights:
        recipe = replace(recipe, weights=settings.weights)
    extra = _pseudolabels_path(settings.out, round_) if round_ else None
    bundles = train(
        TrainSettings(
            settings.labels,
            settings.metadata,
            settings.out / "frames",
            settings.out / f"round-{round_}",
            recipe,
            settings.folds_by,
            settings.folds,
            extra=extra,
            extra_metadata=settings.test_metadata,
            animals=settings.animals,
        ),
        tell,
    )
    return f"{len(bundles)} networks"


def _predict_test(settings: CompetitionSettings, round_: int) -> dict[VideoSecond, EnsemblePrediction]:
    folders = [settings.out / f"round-{round_}" / f"fold-{fold}" / "bundle" for fold in range(settings.folds)]
    runtime = choose_runtime(settings.runtime).runtime
    ensemble = Ensemble.load(folders, flip=settings.flip, threads=settings.jobs, runtime=runtime)
    boxes = {moment: row.box for moment, row in best_box_rows(settings.test_metadata or settings.metadata).items()}
    journal = settings.out / f"answers-{round_}.jsonl"
    store = FrameStore.open(settings.out / "frames")
    return predict_seconds(
        ensemble, store, _read_test_seconds(settings), boxes, journal, flip=settings.flip, runtime=runtime
    )


def _write_submission(settings: CompetitionSettings, round_: int) -> str:
    path = settings.out / f"submission-{round_}.csv"
    moments = _read_test_seconds(settings)
    n_missing = write_submission(path, moments, _predict_test(settings, round_), settings.round_to or None)
    chosen = choose_runtime(settings.runtime)
    return (
        f"{len(moments)} rows in {path}, {n_missing} of them without frames got the median; "
        f"networks ran in {chosen.runtime}: {chosen.reason}"
    )


def _write_pseudolabels(settings: CompetitionSettings, round_: int) -> str:
    path = _pseudolabels_path(settings.out, round_)
    answers = _predict_test(settings, round_ - 1)
    n_kept, n_left_out = write_pseudolabels(path, answers, PseudolabelSettings(settings.max_spread or None))
    return f"{n_kept} pseudolabels, {n_left_out} left out"


def _evaluate(settings: CompetitionSettings, round_: int) -> str:
    assert settings.test_labels is not None
    predictions = read_labels(settings.out / f"submission-{round_}.csv")
    metadata = best_box_rows(settings.test_metadata or settings.metadata)
    truth = read_labels(settings.test_labels)
    nights = evaluation.find_night_videos(FrameStore.open(settings.out / "frames"), (row.video_id for row in truth))
    pairs = evaluation.pair_predictions(predictions, truth, metadata, nights)
    figures = evaluation.evaluate_pairs(pairs)
    evaluation.write_evaluation(figures, pairs, settings.out / f"evaluation-{round_}")
    return evaluation.format_errors(figures)


def _read_test_seconds(settings: CompetitionSettings) -> list[VideoSecond]:
    return [(moment.video_id, moment.time_s) for moment in read_video_seconds(settings.test_format)]


def _pseudolabels_path(out: Path, round_: int) -> Path:
    return out / f"pseudolabels-{round_}.csv"


def _fingerprint(settings: CompetitionSettings) -> dict[str, str]:
    """What the chain depends on: its settings but for the number of rounds and workers, and the tables' content.

    The runtime is no part of it: answers know theirs, and each step's are of one.
    """
    left_out = ("rounds", "jobs", "out", "runtime")
    told = {name: str(value) for name, value in asdict(settings).items() if name not in left_out}
    tables = (settings.labels, settings.metadata, settings.test_format, settings.test_metadata, settings.animals)
    return told | {f"sha256 of {path.name}": sha256_of(path) for path in tables if path is not None}


def _read_done(settings: CompetitionSettings) -> list[str]:
    path = settings.out / STEPS_FILE
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    now = _fingerprint(settings)
    differing = sorted(name for name in {*content["settings"], *now} if content["settings"].get(name) != now.get(name))
    if differing:
        raise RunError(f"{settings.out}: holds a chain with another {', '.join(differing[:3])}; choose another out")
    return list(content["done"])


def _write_done(settings: CompetitionSettings, done: Sequence[str]) -> None:
    with atomic_file(settings.out / STEPS_FILE) as file:
        json.dump({"settings": _fingerprint(settings), "done": done}, file, indent=1)
