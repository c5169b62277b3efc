"""The script that torchrun starts in test_hosts.py: trains a network without batch norm and waits for the test's signs.

    on_a_host.py SIGNS LABELS METADATA STORE OUT

SIGNS is a folder. After epoch N the first process writes reached-N there and waits for go-N; a single process waits for
alone before it starts. Each process lists the windows that it reads in reads-PROCESSES-RANK-PID.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from trapmeter.frames.store import FrameStore
from trapmeter.training import export, job
from trapmeter.training.recipes import Precision, Recipe
from trapmeter.training.run import train
from trapmeter.training.settings import TrainSettings

EPOCHS = 3
SIGN_TIMEOUT_S = 6000


def plain_recipe() -> Recipe:
    """Three epochs in double precision, in batches that neither two nor three processes divide evenly."""
    from training_world import tiny_recipe

    return tiny_recipe(epochs=EPOCHS, batch_size=5, precision=Precision.FP64)


def linear(_: str, spec: Any, *__: Any) -> Any:
    """A network without batch norm, whose prediction for a window doesn't depend on the rest of the batch."""
    from torch import nn

    from trapmeter.training.network import DistanceNetwork, PooledNetwork

    torch.manual_seed(0)
    backbone = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * spec.n_channels, 1))
    return DistanceNetwork(PooledNetwork(backbone), spec.target)


def wait_for(sign: Path) -> None:
    deadline = time.monotonic() + SIGN_TIMEOUT_S
    while not sign.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(sign)
        time.sleep(0.05)


def run(signs: Path, labels: Path, metadata: Path, store: Path, out: Path) -> None:
    torch.set_num_threads(1)
    if os.environ["WORLD_SIZE"] == "1":
        wait_for(signs / "alone")
    job.make_network = linear
    # The export takes longer than training the tiny network.
    export.export_network = lambda *_: None
    window = FrameStore.window
    reads = signs / f"reads-{os.environ['WORLD_SIZE']}-{os.environ['RANK']}-{os.getpid()}"

    def read_window(self: FrameStore, video_id: str, time_s: float, *rest: Any) -> np.ndarray:
        with reads.open("a") as file:
            file.write(f"{video_id} {time_s}\n")
        return window(self, video_id, time_s, *rest)

    def announce(text: str) -> None:
        print(text, flush=True)
        for epoch in range(1, EPOCHS + 1):
            if f"epoch {epoch} of" in text and "resumes" not in text:
                (signs / f"reached-{epoch}").touch()
                wait_for(signs / f"go-{epoch}")

    FrameStore.window = read_window
    settings = TrainSettings(
        labels=labels, metadata=metadata, store=store, out=out, recipe=plain_recipe(), n_folds=2, fold=0
    )
    train(settings, announce)


if __name__ == "__main__":
    run(*map(Path, sys.argv[1:]))
