"""A GPU's speed and memory: training steps, the loader that feeds them, and inference, in one table.

It measures the network of a recipe with random weights and random windows, so it needs no data:

- train: complete steps as `trapmeter train` makes them (copy to the device, forward, loss, backward, clipping, AdamW), for
  each precision with channels first and last, compiled or not, and with cuDNN trying its algorithms. The baseline is the
  first precision with channels first: fp16, as the 2nd-place system trained. If a batch doesn't fit into the memory, the
  largest one that does is measured.
- loader: windows from a frame store of the demo's clips with the recipe's augmentation, on the CPU, compared with the
  training steps in the recipe's own precision: 1 or more keeps up.
- inference: from bytes in the computer's memory to distances there. The baseline is TorchScript in fp32 with the same
  batch, the way of the 2nd-place system.
- train with --devices: several devices with DistributedDataParallel, over nccl between GPUs and gloo on a CPU, compared
  with one device. "A batch on each device" has as many windows on each as one device alone, "devices share a batch" divides
  them.

Each row is measured in processes of its own; its figure is the median of the repeats, after one repeat to warm up, with the
device's work done before the clock stops. A variant that fails becomes a row with the reason. The table is printed, and
written after each row as OUT.csv and OUT.json with the device and the versions of torch, CUDA and the driver.

Examples:
    python benchmarks/gpu.py                                  everything; compiling takes most of the time
    python benchmarks/gpu.py --no-compile --steps 5           a first look
    python benchmarks/gpu.py --parts train --devices 4        training, on one GPU and on four
    python benchmarks/gpu.py --recipe default --batch 64      another recipe and batch
    python benchmarks/gpu.py --backbone tf_efficientnet_lite0 --size 64 96 --batch 2 --steps 1 --no-compile
                                                              a trial on a CPU, in minutes
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.connection
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gpu_inference import Inference, Predict, TorchScript
from gpu_measure import CannotMeasureError, Workload, describe_machine
from gpu_table import HEADER, Figures, Row, make_row, row_text, write_table
from gpu_training import Loading, Training
from network import free_port
from trapmeter.errors import InputError, TrapmeterError
from trapmeter.training.recipes import NO_WEIGHTS, RECIPES, Precision, Recipe, find_recipe

PARTS = ("train", "loader", "inference")
Variant = Training | Loading | Inference


def plan(arguments: argparse.Namespace, recipe: Recipe) -> Iterator[tuple[Variant, Variant | None]]:
    """Each variant and its baseline, which comes first."""
    precisions: list[Precision] = arguments.precisions
    compiling = (False,) if arguments.no_compile else (False, True)
    first = Training(precisions[0], is_channels_last=False, is_compiled=False, batch=arguments.batch)
    precision = recipe.precision if recipe.precision in precisions else precisions[0]
    # As `trapmeter train` does.
    own = replace(first, precision=precision, is_channels_last=True)
    if "train" in arguments.parts:
        for precision in precisions:
            for is_compiled in compiling:
                for is_last in (False, True):
                    variant = replace(first, precision=precision, is_channels_last=is_last, is_compiled=is_compiled)
                    yield variant, None if variant == first else first
            yield replace(first, precision=precision, is_channels_last=True, is_autotuned=True), first
        if arguments.devices > 1:
            yield replace(own, devices=arguments.devices, accumulate=arguments.devices), own
            yield replace(own, devices=arguments.devices), own
    if "loader" in arguments.parts:
        for workers in arguments.workers or sorted({1, recipe.workers, os.cpu_count() or 1}):
            yield Loading(workers, arguments.batch), own if "train" in arguments.parts else None
    if "inference" in arguments.parts:
        for batch in arguments.inference_batches:
            fp32 = (Precision.FP32, False, False, batch)
            baseline = TorchScript(*fp32)
            yield baseline, None
            yield Predict(*fp32), baseline
            for precision in precisions:
                yield Inference(precision, False, False, batch), baseline
                for is_compiled in compiling:
                    yield Inference(precision, True, is_compiled, batch), baseline


def in_processes(work: Callable[[Any], Any], n: int, limit_s: float) -> Any:
    """What work(ranks) returns in n new processes, as a list; or, as text, why one of them failed."""
    context = multiprocessing.get_context("spawn")
    processes: dict[Any, Any] = {}
    port = free_port()
    for rank in range(n):
        receiving, sending = context.Pipe(duplex=False)
        processes[receiving] = context.Process(target=_run, args=(sending, work, rank, n, port))
        processes[receiving].start()
        sending.close()
    outcomes: dict[Any, Any] = {}
    ends_at = time.monotonic() + limit_s
    try:
        while len(outcomes) < n:
            waiting = [end for end in processes if end not in outcomes]
            ready = multiprocessing.connection.wait(waiting, max(0.0, ends_at - time.monotonic()))
            if not ready:
                return f"not done after {limit_s / 60:g} minutes"
            for end in ready:
                try:
                    outcomes[end] = end.recv()
                except EOFError:
                    processes[end].join()
                    return f"its process ended with status {processes[end].exitcode}"
                if isinstance(outcomes[end], str):
                    return outcomes[end]
        for process in processes.values():
            process.join(timeout=60)
        return [outcomes[end] for end in processes]
    finally:
        for process in processes.values():
            process.kill()
            process.join()


def _run(sending: Any, work: Callable[[Any], Any], rank: int, n: int, port: int) -> None:
    from trapmeter.training.distributed import Ranks

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    # You can do nothing about TorchScript being deprecated.
    warnings.simplefilter("ignore", FutureWarning)
    sending.send(attempt(work, Ranks(rank, n, rank)))


def attempt(work: Callable[[Any], Any], ranks: Any) -> Any:
    """What work(ranks) returns; or, as text, why it failed."""
    import torch

    try:
        if ranks.device.type == "cpu":
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // ranks.world_size))
        elif ranks.world_size > torch.cuda.device_count():
            raise CannotMeasureError(f"{torch.cuda.device_count()} GPUs here, not {ranks.world_size}")
        return work(ranks)
    except Exception as error:  # whatever a variant fails with is its row
        return reason(error)


def reason(error: Exception) -> str:
    """Why a variant has no figures, in one line."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return "out of memory"
    text = next(iter(str(error).strip().splitlines()), "")
    is_plain = isinstance(error, (CannotMeasureError, TrapmeterError)) and text
    return text if is_plain else f"{type(error).__name__}: {text}"


def measure(variant: Variant, workload: Workload, limit_s: float) -> Figures | str:
    """A variant's figures, with the memory of its fullest device; or why there are none."""
    outcomes = in_processes(partial(type(variant).measure, variant, workload), variant.devices, limit_s)
    if isinstance(outcomes, str):
        return outcomes
    peaks = {name: [getattr(outcome, name) for outcome in outcomes] for name in ("allocated_gb", "reserved_gb")}
    return replace(outcomes[0], **{name: None if None in gb else max(gb) for name, gb in peaks.items()})


def positive(text: str) -> int:
    """A number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def parse(words: list[str] | None) -> tuple[argparse.Namespace, Recipe]:
    """The command line, and the recipe with the network and size that it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--recipe", choices=RECIPES, default="second_place")
    parser.add_argument("--backbone", help="another network of timm")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="another size of the frames")
    parser.add_argument("--batch", type=positive, default=32, help="windows in a training batch")
    parser.add_argument("--inference-batches", type=positive, nargs="+", default=[1, 8, 32])
    precisions = [precision for precision in Precision if precision is not Precision.FP64]
    parser.add_argument(
        "--precisions", type=Precision, nargs="+", choices=precisions, help="fp16 bf16 by default; fp32 bf16 on a CPU"
    )
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--devices", type=positive, default=1, help="also train on this many GPUs (or CPU processes)")
    parser.add_argument(
        "--workers",
        type=positive,
        nargs="+",
        help="loader processes; by default 1, the recipe's, and one for each core",
    )
    parser.add_argument("--steps", type=positive, default=10, help="batches in a repeat")
    parser.add_argument("--repeats", type=positive, default=5)
    parser.add_argument("--minutes", type=float, default=30.0, help="the longest that a row may take")
    parser.add_argument("--out", type=Path, default=Path("gpu-benchmark"), help="writes OUT.csv and OUT.json")
    arguments = parser.parse_args(words)
    if not arguments.out.parent.is_dir():
        parser.error(f"--out: there is no folder {arguments.out.parent}")
    recipe = replace(find_recipe(arguments.recipe), weights=NO_WEIGHTS)
    size_hw = tuple(arguments.size or recipe.input.size_hw)
    try:
        spec = replace(recipe.input, size_hw=size_hw)
    except InputError as error:
        parser.error(f"--size: {error}")
    return arguments, replace(recipe, backbone=arguments.backbone or recipe.backbone, input=spec)


def main(words: list[str] | None = None) -> None:
    """Prints and writes the table."""
    arguments, recipe = parse(words)
    described = in_processes(describe_machine, 1, 600.0)
    if isinstance(described, str):
        sys.exit(f"torch doesn't start here: {described}")
    machine: dict[str, Any] = described[0]
    if arguments.precisions is None:
        arguments.precisions = [Precision.FP16 if machine["gpus"] else Precision.FP32, Precision.BF16]
    settings = {
        "recipe": arguments.recipe,
        "backbone": recipe.backbone,
        "channels": recipe.input.n_channels,
        "size_hw": recipe.input.size_hw,
        "steps": arguments.steps,
        "repeats": arguments.repeats,
    }
    facts = {**machine, **settings}
    print(", ".join(f"{name} {value}" for name, value in facts.items() if value is not None), end="\n\n")
    print(HEADER, flush=True)
    rows: dict[Variant, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(recipe, arguments.steps, arguments.repeats, Path(folder))
        for variant, baseline in plan(arguments, recipe):
            outcome = measure(variant, workload, arguments.minutes * 60)
            compared = None if baseline is None else rows[baseline]
            facts_of_row = variant.part, variant.name, variant.batch, variant.devices
            rows[variant] = make_row(*facts_of_row, outcome, compared)
            print(row_text(rows[variant]), flush=True)
            write_table(arguments.out, machine, settings, list(rows.values()))
    print(f"\nwritten: {arguments.out}.csv, {arguments.out}.json")


if __name__ == "__main__":
    main()
