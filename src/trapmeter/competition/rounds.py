"""The training of one round: its settings, and several processes for it.

A process of its own (`python -m trapmeter.competition.rounds`) starts them as torchrun does. It reads the settings of the run
from a file in the run's folder, so that a recipe's changes need no options.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from trapmeter.competition.settings import CompetitionSettings
from trapmeter.errors import InputError, RunError, TrapmeterError
from trapmeter.files import atomic_file
from trapmeter.settings import from_values, to_values
from trapmeter.training.settings import TrainSettings

FRAMES = "frames"
"""Folder of the frame store in that of the run."""
JOB_FILE = "training-job.json"
MODULE = "trapmeter.competition.rounds"
AGENT, WORKER = "agent", "worker"


def pseudolabels_path(out: Path, round_: int) -> Path:
    """The pseudolabels that a round after the first trains on."""
    return out / f"pseudolabels-{round_}.csv"


def round_settings(settings: CompetitionSettings, round_: int) -> TrainSettings:
    """The training of a round, counted from 0."""
    return TrainSettings(
        labels=settings.labels,
        metadata=settings.metadata,
        store=settings.out / FRAMES,
        out=settings.out / f"round-{round_}",
        recipe=settings.changed_recipe(),
        folds_by=settings.folds_by,
        n_folds=settings.folds,
        extra=pseudolabels_path(settings.out, round_) if round_ else None,
        extra_metadata=settings.test_metadata if round_ else None,
        animals=settings.animals,
    )


def train_in_processes(settings: CompetitionSettings, round_: int) -> None:
    """Trains a round in `nproc_per_node` processes of this machine, which end with this one.

    Raises:
        RunError: the training failed; its processes have printed why.
    """
    path = settings.out / JOB_FILE
    with atomic_file(path) as file:
        json.dump({"settings": to_values(settings), "round": round_}, file, indent=1)
    _free_device_memory()
    command = [sys.executable, "-m", MODULE, AGENT, str(path.resolve()), str(settings.nproc_per_node)]
    status = subprocess.run(command, check=False).returncode
    if status:
        raise RunError(
            f"the training in {settings.nproc_per_node} processes ended with status {status}; their messages above say why. "
            "The same command resumes it after its last complete epoch"
        )


def check_devices(settings: CompetitionSettings) -> None:
    """Checks that no two processes would share a GPU.

    Raises:
        InputError: there are GPUs, and fewer than processes.
    """
    import torch

    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else settings.nproc_per_node
    if settings.nproc_per_node > n_devices:
        raise InputError(
            f"--nproc-per-node: expected at most {n_devices}, the number of GPUs, got {settings.nproc_per_node}"
        )


def _free_device_memory() -> None:
    """Gives back what earlier predictions of this process left on a GPU."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def _run_agent(job: str, n_processes: str) -> None:
    """Starts the processes as torchrun does, and ends with the process that started this one."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    from trapmeter.training.distributed import exit_with_parent

    exit_with_parent()
    try:
        main(["--standalone", "--nproc-per-node", n_processes, "-m", MODULE, WORKER, job])
    except ChildFailedError:  # the process itself has printed why
        sys.exit(1)


def _run_worker(job: str) -> None:
    """Trains in one of the processes."""
    from trapmeter.training.run import train

    content = json.loads(Path(job).read_text(encoding="utf-8"))
    settings = from_values(CompetitionSettings, content["settings"])
    try:
        train(round_settings(settings, content["round"]), _announce)
    except TrapmeterError as error:
        _announce(f"trapmeter: {error}")
        sys.exit(1)


def _announce(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    (_run_agent if role == AGENT else _run_worker)(*arguments)
