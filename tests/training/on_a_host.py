"""What torchrun starts in test_hosts.py: `trapmeter train` of a network without batch norm, which waits where the test wants.

    on_a_host.py SIGNS ARGUMENTS...

SIGNS is a folder. After epoch N the first process writes reached-N there and waits for go-N; a lone process doesn't begin
before there is alone. Which windows a process reads it writes to reads-PROCESSES-RANK-PID.
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

import trapmeter.cli.training as verbs
from trapmeter.cli import main
from trapmeter.cli.options import print_progress
from trapmeter.frames.store import FrameStore
from trapmeter.training import export, recipes
from trapmeter.training import job as single
from trapmeter.training.recipes import Recipe

EPOCHS = 3
SIGNS_WITHIN_S = 6000


def plain_recipe() -> Recipe:
    """Three epochs of batches that neither two nor three processes divide evenly, without a running mean."""
    from training_world import tiny_recipe

    return tiny_recipe(epochs=EPOCHS, batch_size=5)


def linear(_: str, spec: Any, *__: Any) -> Any:
    """A network without batch norm: its answer for a window doesn't hang on the others beside it."""
    from torch import nn

    from trapmeter.training.network import DistanceNetwork, PooledNetwork

    torch.manual_seed(0)
    backbone = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * spec.n_channels, 1))
    return DistanceNetwork(PooledNetwork(backbone), spec.target)


def wait_for(sign: Path) -> None:
    give_up = time.monotonic() + SIGNS_WITHIN_S
    while not sign.exists():
        if time.monotonic() > give_up:
            raise TimeoutError(sign)
        time.sleep(0.05)


def run(signs: Path, argv: list[str]) -> None:
    torch.set_num_threads(1)
    if os.environ["WORLD_SIZE"] == "1":
        wait_for(signs / "alone")
    recipes.find_recipe = lambda _: plain_recipe()
    single.make_network = linear
    # Translating a network takes longer than training the tiny one.
    export.export_network = lambda *_: None
    window = FrameStore.window
    reads = signs / f"reads-{os.environ['WORLD_SIZE']}-{os.environ['RANK']}-{os.getpid()}"

    def noted(self: FrameStore, video_id: str, time_s: float, *rest: Any) -> np.ndarray:
        with reads.open("a") as file:
            file.write(f"{video_id} {time_s}\n")
        return window(self, video_id, time_s, *rest)

    def told(text: str) -> None:
        print_progress(text)
        for epoch in range(1, EPOCHS + 1):
            if f"epoch {epoch} of" in text and "goes on" not in text:
                (signs / f"reached-{epoch}").touch()
                wait_for(signs / f"go-{epoch}")

    FrameStore.window = noted
    verbs.tell = told
    sys.argv = ["trapmeter", *argv]
    main()


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
