"""Measures the cost of a window in each runtime, compared to the 2nd place's: TorchScript in float32, batches of eight.

All runtimes use the same weights, windows and number of threads, each in its own process. Weights are random unless you pass
a TorchScript file with the bundle that `trapmeter models import` made of it, or a trained bundle with the one that
`trapmeter models quantise` made of it. A window's CPU time is that of all threads of the process, the least of several
rounds, since other work on the machine can only add to it. Predictions of random weights have no scale, so differences are
given as a share of the largest prediction. With --store and --labels, windows are real and differences are in metres.

    python benchmarks/inference.py [--backbone tf_efficientnetv2_l.in21k] [--torchscript FILE --bundle DIR] [--rounds 3]
    python benchmarks/inference.py --bundle DIR --int8 DIR --store DIR --labels FILE --metadata FILE
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trapmeter.models.input_spec import SECOND_PLACE_INPUT, InputSpec

BATCH = 8
TORCHSCRIPT = "TorchScript float32"
RUNTIMES = ("onnxruntime float32", "torch float32", "OpenVINO float32", "OpenVINO bf16")
INT8_RUNTIMES = ("onnxruntime int8", "OpenVINO int8")


@dataclass(frozen=True)
class Paths:
    """The same network as TorchScript, as a bundle and in 8 bits, and a file of real windows, if any."""

    torchscript: Path | None
    bundle: Path
    int8: Path | None
    windows: Path | None


def real_windows(bundle: Path, store: Path, labels: Path, metadata: Path | None, n: int) -> np.ndarray:
    """The windows of n labels, evenly spaced among all."""
    from trapmeter.frames.store import FrameStore
    from trapmeter.models.bundle import read_bundle
    from trapmeter.models.network_input import network_input
    from trapmeter.tables.drivendata import best_box_rows, read_labels

    spec, frames, rows = read_bundle(bundle).spec, FrameStore.open(store), best_box_rows(metadata)
    labelled = read_labels(labels)
    chosen = [labelled[i] for i in np.linspace(0, len(labelled) - 1, n).astype(int)]
    boxes = [rows[row.video_id, row.time_s].box if (row.video_id, row.time_s) in rows else None for row in chosen]
    windows = [frames.window(row.video_id, row.time_s, spec.offsets_s, spec.edge) for row in chosen]
    return np.stack([network_input(window, box, spec) for window, box in zip(windows, boxes, strict=True)])


def random_windows(spec: InputSpec, n: int) -> np.ndarray:
    """Light and dark patches with a little noise: uint8 (n, channels, height, width)."""
    rng = np.random.default_rng(0)
    height, width = spec.size_hw
    coarse = rng.integers(0, 230, (n, spec.n_channels, 9, 16), np.uint8)
    rows, columns = np.arange(height) * 9 // height, np.arange(width) * 16 // width
    return coarse[:, :, rows[:, None], columns] + rng.integers(0, 25, (n, spec.n_channels, height, width), np.uint8)


def make_network(backbone: str, folder: Path) -> tuple[Path, Path]:
    """A TorchScript file of a timm network with random weights, and its bundle."""
    file = make_torchscript(backbone, SECOND_PLACE_INPUT, folder)
    difference_m = convert_torchscript(file, backbone, SECOND_PLACE_INPUT)
    print(f"converted; differs by {difference_m:.1g} m from the TorchScript file", flush=True)
    return file, folder


def convert_torchscript(file: Path, backbone: str, spec: InputSpec) -> float:
    """Makes a bundle of the TorchScript file in its folder; the largest difference of their predictions in metres."""
    from trapmeter.training.torchscript import ConversionJob, convert

    return convert(ConversionJob(file, file.parent, backbone, spec, "random weights", {}))


def make_torchscript(backbone: str, spec: InputSpec, folder: Path) -> Path:
    """A TorchScript file of a timm network with random weights, in evaluation mode."""
    import timm
    import torch

    torch.manual_seed(0)
    network = timm.create_model(backbone, pretrained=False, in_chans=spec.n_channels, num_classes=1)
    # Without the statistics of one batch, random weights predict huge numbers.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network(torch.from_numpy(random_windows(spec, 2)) / 255.0)
        torch.nn.init.constant_(network.get_classifier().bias, 6.0)
    file = folder / "network.pt"
    torch.jit.save(torch.jit.script(network.eval()), str(file))
    return file


def load(runtime: str, paths: Paths, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function that predicts metres for a batch of windows."""
    from trapmeter.models.bundle import read_bundle

    if runtime == TORCHSCRIPT:
        import torch

        torch.set_num_threads(threads)
        network = torch.jit.load(str(paths.torchscript)).eval()

        def predict(batch: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return np.maximum(network(torch.from_numpy(batch).float() / 255.0).numpy()[:, 0], 0.0)

        return predict
    bundle = read_bundle(paths.int8 if runtime in INT8_RUNTIMES and paths.int8 else paths.bundle)
    if runtime.startswith("torch"):
        from trapmeter.models.runtimes.torch_runtime import TorchNetwork

        return TorchNetwork(bundle, threads, "cpu").metres
    if runtime.startswith("onnxruntime"):
        from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork

        return OnnxNetwork(bundle, threads).metres
    from trapmeter.models.runtimes.openvino_runtime import OpenvinoNetwork

    return OpenvinoNetwork(bundle, threads, "bf16" if runtime.endswith("bf16") else "f32").metres


def measure(queue: Any, runtime: str, batch: int, paths: Paths, threads: int, rounds: int) -> None:
    """Puts CPU and wall seconds per window, peak memory in MB and the predictions into the queue."""
    from trapmeter.models.bundle import read_bundle

    predict = load(runtime, paths, threads)
    inputs = random_windows(read_bundle(paths.bundle).spec, BATCH) if paths.windows is None else np.load(paths.windows)
    batches = [inputs[start : start + batch] for start in range(0, BATCH, batch)]
    predict(batches[0])
    cpu, wall, predictions = [], [], []
    for _ in range(rounds):
        started = time.process_time(), time.perf_counter()
        predictions = [predict(windows) for windows in batches]
        cpu.append((time.process_time() - started[0]) / BATCH)
        wall.append((time.perf_counter() - started[1]) / BATCH)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    predictions += [predict(inputs[start : start + batch]) for start in range(BATCH, len(inputs), batch)]
    queue.put((min(cpu), min(wall), memory_mb, np.concatenate(predictions)))


def measure_in_process(context: Any, *task: Any) -> tuple[float, float, float, np.ndarray] | None:
    """What `measure` puts into the queue; None if the runtime can't run here."""
    queue = context.Queue()
    process = context.Process(target=measure, args=(queue, *task))
    process.start()
    found = None
    while found is None:
        try:
            found = queue.get(timeout=1)
        except Exception:  # queue.Empty while it works
            if not process.is_alive():
                break
    process.join()
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="tf_efficientnetv2_l.in21k")
    parser.add_argument("--torchscript", type=Path)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--int8", type=Path, help="the bundle in 8 bits")
    parser.add_argument("--store", type=Path, help="frame store with real windows")
    parser.add_argument("--labels", type=Path, help="labels of the real windows")
    parser.add_argument("--metadata", type=Path, help="boxes of the real windows")
    parser.add_argument("--windows", type=int, default=120, help="number of real windows")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[BATCH, 1])
    arguments = parser.parse_args()
    from trapmeter.models.runtimes.choice import FAST_BF16, read_cpu_flags

    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        torchscript, bundle = arguments.torchscript, arguments.bundle
        if bundle is None:
            torchscript, bundle = make_network(arguments.backbone, Path(folder))
        windows = None
        if arguments.store is not None:
            windows = Path(folder) / "windows.npy"
            real = real_windows(bundle, arguments.store, arguments.labels, arguments.metadata, arguments.windows)
            np.save(windows, real)
        paths = Paths(torchscript, bundle, arguments.int8, windows)
        runtimes = [*([TORCHSCRIPT] if torchscript else []), *RUNTIMES, *(INT8_RUNTIMES if arguments.int8 else ())]
        bf16 = sorted(read_cpu_flags() & FAST_BF16) or "no bf16"
        print(f"{platform.machine()}, {bf16}, {arguments.threads} threads; CPU and wall in ms per window")
        unit = "share" if windows is None else "m"
        print(f"| runtime | batch | CPU | wall | times less CPU | MB | differs by (median), {unit} | at most |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        reference: tuple[float, np.ndarray] | None = None
        for runtime in runtimes:
            for batch in arguments.batches if runtime != TORCHSCRIPT else [BATCH]:
                measured = measure_in_process(context, runtime, batch, paths, arguments.threads, arguments.rounds)
                if measured is None:
                    print(f"| {runtime} | {batch} | can't run here | | | | | |", flush=True)
                    continue
                cpu, wall, memory_mb, predictions = measured
                reference = reference or (cpu, predictions)
                scale = np.abs(reference[1]).max() if windows is None else 1.0
                difference = np.abs(predictions - reference[1]) / scale
                print(
                    f"| {runtime} | {batch} | {cpu * 1e3:.1f} | {wall * 1e3:.1f} | {reference[0] / cpu:.2f} | "
                    f"{memory_mb:.0f} | {np.median(difference):.2g} | {difference.max():.2g} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
