"""What a window costs in each runtime, beside the 2nd place's way: TorchScript in float32, eight windows at a time.

All run the same weights on the same windows, each in a process of its own on the same number of threads. Weights are random
unless a TorchScript file and the bundle that `trapmeter models import` made of it are given. A window's CPU time is that of
all threads of the process, the least of several rounds: other work on the machine only ever adds. Answers of random weights
may be of any size, so that differences are told as a share of the largest one.

    python benchmarks/inference.py [--backbone tf_efficientnetv2_l.in21k] [--torchscript FILE --bundle DIR] [--rounds 3]
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trapmeter.models.spec import SECOND_PLACE_INPUT, InputSpec

BATCH = 8
WAYS = ("TorchScript float32", "onnxruntime float32", "OpenVINO float32", "OpenVINO bf16")


def windows(spec: InputSpec, n: int) -> np.ndarray:
    """Patches of light and dark with a little noise: uint8 (n, channels, height, width)."""
    rng = np.random.default_rng(0)
    height, width = spec.size_hw
    coarse = rng.integers(0, 230, (n, spec.n_channels, 9, 16), np.uint8)
    rows, columns = np.arange(height) * 9 // height, np.arange(width) * 16 // width
    return coarse[:, :, rows[:, None], columns] + rng.integers(0, 25, (n, spec.n_channels, height, width), np.uint8)


def make(backbone: str, folder: Path) -> tuple[Path, Path]:
    """A TorchScript file of a timm network with random weights, and its bundle."""
    import timm
    import torch

    from trapmeter.training.torchscript import Job, convert

    torch.manual_seed(0)
    spec = SECOND_PLACE_INPUT
    network = timm.create_model(backbone, pretrained=False, in_chans=spec.n_channels, num_classes=1)
    # Statistics of one batch, without which random weights answer with huge numbers.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network(torch.from_numpy(windows(spec, 2)) / 255.0)
        torch.nn.init.constant_(network.get_classifier().bias, 6.0)
    file = folder / "network.pt"
    torch.jit.save(torch.jit.script(network.eval()), str(file))
    difference_m = convert(Job(file, folder, backbone, spec, "random weights", {}))
    print(f"converted; differs by {difference_m:.1g} m from the TorchScript file", flush=True)
    return file, folder


def runner(way: str, torchscript: Path, bundle: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """What answers for a batch of windows."""
    if way.startswith("TorchScript"):
        import torch

        torch.set_num_threads(threads)
        network = torch.jit.load(str(torchscript)).eval()

        def ask(batch: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return np.maximum(network(torch.from_numpy(batch).float() / 255.0).numpy()[:, 0], 0.0)

        return ask
    from trapmeter.models.bundle import read_bundle

    if way.startswith("onnxruntime"):
        from trapmeter.runtimes.onnx import OnnxNetwork

        return OnnxNetwork(read_bundle(bundle), threads).metres
    from trapmeter.runtimes.openvino import OpenvinoNetwork

    return OpenvinoNetwork(read_bundle(bundle), threads, "bf16" if way.endswith("bf16") else "f32").metres


def measure(queue: Any, way: str, batch: int, paths: tuple[Path, Path], threads: int, rounds: int) -> None:
    """CPU and wall seconds a window, peak memory in MB and the answers, into the queue."""
    from trapmeter.models.bundle import read_bundle

    ask = runner(way, *paths, threads)
    inputs = windows(read_bundle(paths[1]).spec, BATCH)
    batches = [inputs[start : start + batch] for start in range(0, BATCH, batch)]
    ask(batches[0])
    cpu, wall, answers = [], [], []
    for _ in range(rounds):
        started = time.process_time(), time.perf_counter()
        answers = [ask(part) for part in batches]
        cpu.append((time.process_time() - started[0]) / BATCH)
        wall.append((time.perf_counter() - started[1]) / BATCH)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    queue.put((min(cpu), min(wall), memory_mb, np.concatenate(answers)))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="tf_efficientnetv2_l.in21k")
    parser.add_argument("--torchscript", type=Path)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[BATCH, 1])
    arguments = parser.parse_args()
    from trapmeter.runtimes.choice import FAST_BF16, read_cpu_flags

    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        given = arguments.torchscript, arguments.bundle
        paths = given if all(given) else make(arguments.backbone, Path(folder))
        bf16 = sorted(read_cpu_flags() & FAST_BF16) or "no bf16"
        print(f"{platform.machine()}, {bf16}, {arguments.threads} threads; CPU and wall in ms a window")
        print("| runtime | batch | CPU | wall | times less CPU | MB | differs by, share |")
        print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
        reference: tuple[float, np.ndarray] | None = None
        for way in WAYS:
            for batch in arguments.batches if way != WAYS[0] else [BATCH]:
                queue = context.Queue()
                rest = (way, batch, paths, arguments.threads, arguments.rounds)
                process = context.Process(target=measure, args=(queue, *rest))
                process.start()
                while True:
                    try:
                        cpu, wall, memory_mb, answers = queue.get(timeout=1)
                        break
                    except Exception:  # queue.Empty while it works
                        if not process.is_alive():
                            break
                process.join()
                if process.exitcode:
                    print(f"| {way} | {batch} | can't run here | | | | |", flush=True)
                    continue
                reference = reference or (cpu, answers)
                print(
                    f"| {way} | {batch} | {cpu * 1e3:.0f} | {wall * 1e3:.0f} | {reference[0] / cpu:.2f} | {memory_mb:.0f} | "
                    f"{np.abs(answers - reference[1]).max() / np.abs(reference[1]).max():.2g} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
