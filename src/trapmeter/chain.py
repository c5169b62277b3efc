"""The whole way of the 2nd-place system from one small file: frames, folds, training, ensemble, pseudolabels, submission.

Each step leaves files and can be broken off; what is done is skipped when the same file is run again.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from trapmeter import evaluation
from trapmeter.errors import InputError, RunError
from trapmeter.files import alone_in, sha256_of, whole_file
from trapmeter.frames.fill import fill_store
from trapmeter.frames.spec import StoreSpec
from trapmeter.frames.store import FrameStore
from trapmeter.frames.wanted import read_wanted
from trapmeter.predict.stored import Answer, Moment, answer_moments
from trapmeter.predict.submission import write_submission
from trapmeter.pseudolabels import PseudolabelSettings, write_pseudolabels
from trapmeter.runtimes.choice import Runtime, choose
from trapmeter.runtimes.ensemble import Ensemble
from trapmeter.tables.drivendata import best_rows, read_labels, read_moments
from trapmeter.training.recipes import recipe_named
from trapmeter.training.run import FoldsBy, TrainSettings, train

DONE = "steps.json"


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """The content of the configuration file. Paths are taken from where the file lies."""

    labels: Path
    """video_id, time, distance of the training videos."""
    metadata: Path
    """Boxes, parks and sites of both the training and, if test_metadata is not given, the test videos."""
    videos: Path
    test_format: Path
    """video_id, time of the rows to predict, in their order."""
    test_videos: Path
    out: Path
    test_metadata: Path | None = None
    test_labels: Path | None = None
    """With it the submissions are evaluated."""
    animals: Path | None = None
    """Every animal of the training videos with its drawn box: video_id, time, distance_m, x1, y1, x2, y2."""
    recipe: str = "second_place"
    folds: int = 10
    folds_by: FoldsBy = FoldsBy.SITE
    rounds: int = 1
    """Rounds of pseudolabels after the first training."""
    flip: bool = True
    max_spread: float = 0.0
    """Of pseudolabels, as a share of the distance; 0 takes all with full weight, as the 2nd-place system did."""
    round_to: float = 0.0
    """Round submissions to multiples of this many metres; 0 doesn't."""
    epochs: int = 0
    """In place of the recipe's; 0 keeps it."""
    weights: str = ""
    """In place of the recipe's."""
    jobs: int = 2
    runtime: Runtime = Runtime.AUTO
    """What runs the trained networks."""

    def __post_init__(self) -> None:
        if self.folds < 2 or self.rounds < 0 or self.jobs < 1:
            raise InputError(
                f"folds >= 2, rounds >= 0 and jobs >= 1 are needed, got {self.folds}, {self.rounds}, {self.jobs}"
            )


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the chain: what it is called, what it leaves, and how it is done."""

    name: str
    leaves: Path
    work: Callable[[], str]


def read_chain(path: Path) -> ChainSettings:
    """Reads the configuration, a TOML file with the names of `ChainSettings`.

    Raises:
        InputError: it can't be read, or a name or value is wrong.
    """
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    known = {field.name: str(field.type) for field in fields(ChainSettings)}
    unknown = sorted(set(content) - set(known))
    if unknown:
        raise InputError(f"{path}: unknown settings {', '.join(unknown)}; there are {', '.join(known)}")
    values: dict[str, Any] = {
        name: path.parent / value if "Path" in known[name] else value for name, value in content.items()
    }
    try:
        if "folds_by" in values:
            values["folds_by"] = FoldsBy(values["folds_by"])
        if "runtime" in values:
            values["runtime"] = Runtime(values["runtime"])
        return ChainSettings(**values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error


def run_chain(settings: ChainSettings, tell: Callable[[str], None]) -> Path:
    """Does all steps that are not done yet, printing the plan first; returns the last submission.

    Raises:
        RunError: the folder holds a chain with other settings or tables, or another run is at work there.
    """
    with alone_in(settings.out):
        return _run_alone(settings, tell)


def _run_alone(settings: ChainSettings, tell: Callable[[str], None]) -> Path:
    done = _done_before(settings)
    steps = _steps(settings, tell)
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


def _steps(settings: ChainSettings, tell: Callable[[str], None]) -> list[Step]:
    out = settings.out
    steps = [Step("frames", out / "frames" / "store.json", partial(_frames, settings))]
    for number in range(settings.rounds + 1):
        suffix = "" if number == 0 else f" with pseudolabels {number}"
        if number > 0:
            steps.append(Step(f"pseudolabels {number}", _pseudolabels(out, number), partial(_label, settings, number)))
        last = out / f"round-{number}" / f"fold-{settings.folds - 1}" / "finished.json"
        steps.append(Step(f"training{suffix}", last, partial(_train, settings, number, tell)))
        steps.append(Step(f"submission{suffix}", out / f"submission-{number}.csv", partial(_submit, settings, number)))
        if settings.test_labels is not None:
            figures = out / f"evaluation-{number}" / "evaluation.json"
            steps.append(Step(f"evaluation{suffix}", figures, partial(_evaluate, settings, number)))
    return steps


def _frames(settings: ChainSettings) -> str:
    spec = recipe_named(settings.recipe).input
    store = FrameStore.create(settings.out / "frames", StoreSpec(spec.size_hw, spec.resize))
    wanted, missing = read_wanted([settings.labels], settings.videos, spec.offsets_s)
    test_wanted, test_missing = read_wanted([settings.test_format], settings.test_videos, spec.offsets_s)
    report = fill_store(store, [*wanted, *test_wanted], settings.jobs, missing=[*missing, *test_missing])
    return f"{report.n_videos} videos, {report.n_failed_videos} of them failed or not there"


def _train(settings: ChainSettings, round_: int, tell: Callable[[str], None]) -> str:
    recipe = recipe_named(settings.recipe)
    if settings.epochs:
        recipe = replace(recipe, epochs=settings.epochs)
    if settings.weights:
        recipe = replace(recipe, weights=settings.weights)
    extra = _pseudolabels(settings.out, round_) if round_ else None
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


def _answers(settings: ChainSettings, round_: int) -> dict[Moment, Answer]:
    folders = [settings.out / f"round-{round_}" / f"fold-{fold}" / "bundle" for fold in range(settings.folds)]
    runtime = choose(settings.runtime).runtime
    ensemble = Ensemble.load(folders, flip=settings.flip, threads=settings.jobs, runtime=runtime)
    boxes = {moment: row.box for moment, row in best_rows(settings.test_metadata or settings.metadata).items()}
    journal = settings.out / f"answers-{round_}.jsonl"
    store = FrameStore.open(settings.out / "frames")
    return answer_moments(ensemble, store, _test_moments(settings), boxes, journal, flip=settings.flip, runtime=runtime)


def _submit(settings: ChainSettings, round_: int) -> str:
    path = settings.out / f"submission-{round_}.csv"
    moments = _test_moments(settings)
    n_missing = write_submission(path, moments, _answers(settings, round_), settings.round_to or None)
    chosen = choose(settings.runtime)
    return (
        f"{len(moments)} rows in {path}, {n_missing} of them without frames got the median; "
        f"networks ran in {chosen.runtime}: {chosen.why}"
    )


def _label(settings: ChainSettings, round_: int) -> str:
    path = _pseudolabels(settings.out, round_)
    answers = _answers(settings, round_ - 1)
    n_kept, n_left_out = write_pseudolabels(path, answers, PseudolabelSettings(settings.max_spread or None))
    return f"{n_kept} pseudolabels, {n_left_out} left out"


def _evaluate(settings: ChainSettings, round_: int) -> str:
    assert settings.test_labels is not None
    predictions = read_labels(settings.out / f"submission-{round_}.csv")
    metadata = best_rows(settings.test_metadata or settings.metadata)
    truth = read_labels(settings.test_labels)
    nights = evaluation.nights(FrameStore.open(settings.out / "frames"), (row.video_id for row in truth))
    pairs = evaluation.pair_up(predictions, truth, metadata, nights)
    figures = evaluation.evaluate(pairs)
    evaluation.write_evaluation(figures, pairs, settings.out / f"evaluation-{round_}")
    return evaluation.figure_table(figures)


def _test_moments(settings: ChainSettings) -> list[Moment]:
    return [(moment.video_id, moment.time_s) for moment in read_moments(settings.test_format)]


def _pseudolabels(out: Path, round_: int) -> Path:
    return out / f"pseudolabels-{round_}.csv"


def _facts(settings: ChainSettings) -> dict[str, str]:
    """What the chain depends on: its settings but for the number of rounds and workers, and the tables' content.

    The runtime is no part of it: answers know theirs, and each step's are of one.
    """
    left_out = ("rounds", "jobs", "out", "runtime")
    told = {name: str(value) for name, value in asdict(settings).items() if name not in left_out}
    tables = (settings.labels, settings.metadata, settings.test_format, settings.test_metadata, settings.animals)
    return told | {f"sha256 of {path.name}": sha256_of(path) for path in tables if path is not None}


def _done_before(settings: ChainSettings) -> list[str]:
    path = settings.out / DONE
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    now = _facts(settings)
    differing = sorted(name for name in {*content["settings"], *now} if content["settings"].get(name) != now.get(name))
    if differing:
        raise RunError(f"{settings.out}: holds a chain with another {', '.join(differing[:3])}; choose another out")
    return list(content["done"])


def _write_done(settings: ChainSettings, done: Sequence[str]) -> None:
    with whole_file(settings.out / DONE) as file:
        json.dump({"settings": _facts(settings), "done": done}, file, indent=1)
