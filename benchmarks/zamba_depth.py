"""CPU seconds of zamba's own depth estimation over videos, for `benchmarks/pipeline.py --zamba PYTHON`.

Run by an interpreter of its own, since zamba asks for other versions than ours:

    python -m venv DIR && DIR/bin/pip install "zamba[video]==2.7.2"

The weights are any TorchScript file in place of the published one: their predictions don't change their cost. One
thread each for the networks; loading the detector and the network is measured apart and taken off.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import torch
from zamba.models.depth_estimation import depth_manager


def cpu_s() -> float:
    """CPU seconds of this process and its finished children so far."""
    return sum(os.times()[:4])


def main() -> None:
    """Writes a JSON file: CPU and wall seconds, seconds of video, and windows that the network was asked about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help="folder with a TorchScript file under zamba's name")
    parser.add_argument("results", type=Path)
    parser.add_argument("videos", type=Path, nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    asked = 0

    class Counted(depth_manager.DepthDataset):  # type: ignore[misc]
        """zamba's own, which also tells how many windows there are."""

        def __init__(self, videos: list[str]) -> None:
            nonlocal asked
            super().__init__(videos)
            asked = len(self)

    depth_manager.DepthDataset = Counted
    manager = depth_manager.DepthEstimationManager(arguments.weights, gpus=0, num_workers=1)
    started = cpu_s()
    torch.jit.load(str(manager.model_weights))
    Counted([])
    loading_s = cpu_s() - started

    started, wall = cpu_s(), time.perf_counter()
    rows = manager.predict([str(video) for video in arguments.videos])
    results = {"cpu_s": cpu_s() - started - loading_s, "wall_s": time.perf_counter() - wall, "n_animals": asked}
    n_seconds = len(rows.drop_duplicates(["filepath", "time"]))
    arguments.results.write_text(json.dumps({**results, "n_seconds": n_seconds}))


if __name__ == "__main__":
    main()
