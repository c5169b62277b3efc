"""Runs the 2nd-place system from one TOML file: frames, training, pseudolabels, submission, evaluation.

Each step leaves files and can be interrupted. Running the same file again skips the finished steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from trapmeter.competition.evaluation import evaluate_table, format_errors
from trapmeter.competition.inference import InferenceSettings
from trapmeter.competition.rounds import FRAMES, check_devices, pseudolabels_path, round_settings, train_in_processes
from trapmeter.competition.settings import EXACT_RECIPES, CompetitionSettings, read_competition_settings
from trapmeter.competition.submission import write_pseudolabels_for, write_submission_for
from trapmeter.errors import InputError, RunError
from trapmeter.files import PathLike, atomic_file, lock_folder, sha256_of
from trapmeter.frames.fill import fill_store
from trapmeter.frames.requests import read_requests
from trapmeter.frames.spec import Codec, StoreSpec
from trapmeter.frames.store import STORE_FILE, FrameStore
from trapmeter.progress import Announce
from trapmeter.training.distributed import ranks_from_environment
from trapmeter.training.run import check_folds, train
from trapmeter.training.settings import PseudolabelSettings

STEPS_FILE = "steps.json"


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """One step: its name, the file that shows that it is finished, and the work, which returns a line for the user."""

    name: str
    result: Path
    work: Callable[[], str]


def run_competition(configuration: CompetitionSettings | PathLike, announce: Announce, **options: Any) -> Path:
    """Does all steps that are not done yet, after announcing the plan; returns the path of the last submission.

    configuration: the settings, or the path of a file with them. options: settings by name that replace those of the file.

    Raises:
        InputError: the configuration is wrong, or the process is one of several that torchrun or srun started.
        RunError: the folder holds a run with other settings or tables, or another run is at work there.
    """
    if ranks_from_environment().world_size > 1:
        raise InputError(
            "trapmeter run starts its own processes for the training: start it once, without torchrun or srun, and give "
            "--nproc-per-node; to train on several hosts, train each round with trapmeter train and --out OUT/round-0, "
            "then start trapmeter run alone: it uses the networks that are already trained"
        )
    settings = (
        configuration
        if isinstance(configuration, CompetitionSettings)
        else read_competition_settings(configuration, **options)
    )
    with lock_folder(settings.out):
        return _run_steps(settings, announce)


def _run_steps(settings: CompetitionSettings, announce: Announce) -> Path:
    done = _read_done(settings)
    steps = _list_steps(settings, announce)
    for number, step in enumerate(steps, 1):
        state = "done" if step.name in done and step.result.exists() else "to do"
        announce(f"{number:2d}. {step.name}: {state}")
    if "training" not in done:
        # Before the frames, which take hours.
        check_devices(settings)
        check_folds(round_settings(settings, 0), settings.nproc_per_node)
    for number, step in enumerate(steps, 1):
        if step.name in done and step.result.exists():
            continue
        announce(f"== {number} of {len(steps)}: {step.name}")
        announce(step.work())
        done.append(step.name)
        _write_done(settings, done)
    return settings.out / f"submission-{settings.rounds}.csv"


def _list_steps(settings: CompetitionSettings, announce: Announce) -> list[PipelineStep]:
    out = settings.out
    steps = [PipelineStep("frames", out / FRAMES / STORE_FILE, partial(_fill_frames, settings))]
    for number in range(settings.rounds + 1):
        suffix = "" if number == 0 else f" with pseudolabels {number}"
        if number > 0:
            steps.append(
                PipelineStep(
                    f"pseudolabels {number}",
                    pseudolabels_path(out, number),
                    partial(_write_pseudolabels, settings, number, announce),
                )
            )
        last = out / f"round-{number}" / f"fold-{settings.folds - 1}" / "finished.json"
        steps.append(PipelineStep(f"training{suffix}", last, partial(_train, settings, number, announce)))
        steps.append(
            PipelineStep(
                f"submission{suffix}",
                out / f"submission-{number}.csv",
                partial(_write_submission, settings, number, announce),
            )
        )
        if settings.test_labels is not None:
            errors = out / f"evaluation-{number}" / "evaluation.json"
            steps.append(PipelineStep(f"evaluation{suffix}", errors, partial(_evaluate, settings, number)))
    return steps


def _fill_frames(settings: CompetitionSettings) -> str:
    spec = settings.changed_recipe().input
    store = FrameStore.create(settings.out / FRAMES, StoreSpec(spec.size_hw, spec.resize, _codec(settings)))
    wanted, missing = read_requests([settings.labels], settings.videos, spec.offsets_s)
    test_wanted, test_missing = read_requests([settings.test_format], settings.test_videos, spec.offsets_s)
    report = fill_store(store, [*wanted, *test_wanted], settings.jobs, missing=[*missing, *test_missing])
    return f"{report.n_videos} videos, {report.n_failed_videos} of them failed or missing"


def _codec(settings: CompetitionSettings) -> Codec:
    """The codec that is set or, without one, that of the store that exists, or the one that suits the recipe."""
    if settings.codec is not None:
        return settings.codec
    folder = settings.out / FRAMES
    if (folder / STORE_FILE).exists():
        return FrameStore.open(folder).spec.codec
    return Codec.PNG if settings.recipe in EXACT_RECIPES else Codec.JPEG


def _train(settings: CompetitionSettings, round_: int, announce: Announce) -> str:
    if settings.nproc_per_node > 1:
        train_in_processes(settings, round_)
    else:
        train(round_settings(settings, round_), announce)
    return f"{settings.folds} networks"


def _ensemble(settings: CompetitionSettings, round_: int) -> InferenceSettings:
    """The networks of a round."""
    return InferenceSettings(
        store=settings.out / FRAMES,
        models=tuple(settings.out / f"round-{round_}" / f"fold-{fold}" / "bundle" for fold in range(settings.folds)),
        metadata=settings.test_metadata or settings.metadata,
        flip=settings.flip,
        runtime=settings.runtime,
        threads=settings.jobs,
    )


def _write_submission(settings: CompetitionSettings, round_: int, announce: Announce) -> str:
    path = settings.out / f"submission-{round_}.csv"
    counts = write_submission_for(
        settings.test_format,
        _ensemble(settings, round_),
        path,
        announce,
        round_to_m=settings.round_to or None,
        journal=_journal_path(settings.out, round_),
    )
    return f"{counts.n_rows} rows in {path}; {counts.n_without_frames} of them have no frames and got the median"


def _write_pseudolabels(settings: CompetitionSettings, round_: int, announce: Announce) -> str:
    counts = write_pseudolabels_for(
        settings.test_format,
        _ensemble(settings, round_ - 1),
        pseudolabels_path(settings.out, round_),
        announce,
        pseudolabels=PseudolabelSettings(settings.max_spread or None),
        journal=_journal_path(settings.out, round_ - 1),
    )
    return f"{counts.n_kept} pseudolabels, {counts.n_left_out} left out"


def _evaluate(settings: CompetitionSettings, round_: int) -> str:
    assert settings.test_labels is not None
    errors = evaluate_table(
        settings.out / f"submission-{round_}.csv",
        settings.test_labels,
        settings.out / f"evaluation-{round_}",
        metadata=settings.test_metadata or settings.metadata,
        store=settings.out / FRAMES,
    )
    return format_errors(errors)


def _journal_path(out: Path, round_: int) -> Path:
    """The predictions of a round for the test videos, which its submission and the next round's pseudolabels share."""
    return out / f"answers-{round_}.jsonl"


def _fingerprint(settings: CompetitionSettings) -> dict[str, str]:
    """What the results depend on: the settings, except for the rounds and workers, and the content of the tables.

    The runtime is left out because the journals of predictions record it.
    """
    left_out = ("rounds", "jobs", "out", "runtime", "nproc_per_node", "changes")
    names = [field.name for field in fields(settings) if field.name not in left_out]
    values = {name: str(getattr(settings, name)) for name in names} | {"codec": str(_codec(settings))}
    # Two changes that were settings of their own in earlier versions keep their names.
    changes = {name: value for name, value in settings.changes.items() if name != "workers"}
    values |= {name: str(changes.pop(name, without)) for name, without in (("epochs", 0), ("weights", ""))}
    values["changes"] = json.dumps(changes, sort_keys=True)
    tables = (settings.labels, settings.metadata, settings.test_format, settings.test_metadata, settings.animals)
    return values | {f"sha256 of {path.name}": sha256_of(path) for path in tables if path is not None}


def _read_done(settings: CompetitionSettings) -> list[str]:
    path = settings.out / STEPS_FILE
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    now = _fingerprint(settings)
    before = {"codec": str(Codec.JPEG), "changes": "{}"} | content["settings"]
    differing = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if differing:
        texts = [f"{name} (it has {before.get(name)!r}, not {now.get(name)!r})" for name in differing[:3]]
        raise RunError(f"{settings.out}: holds a run with another {', another '.join(texts)}; choose another out")
    return list(content["done"])


def _write_done(settings: CompetitionSettings, done: Sequence[str]) -> None:
    with atomic_file(settings.out / STEPS_FILE) as file:
        json.dump({"settings": _fingerprint(settings), "done": done}, file, indent=1)
