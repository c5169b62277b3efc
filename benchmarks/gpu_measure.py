"""What the variants of benchmarks/gpu.py share: their workload, the clock, peaks of memory, and facts of the machine."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapmeter.training.recipes import Precision, Recipe

if TYPE_CHECKING:
    import torch

    from trapmeter.training.distributed import Ranks


class CannotMeasureError(Exception):
    """A variant that this machine can't run, with the reason."""


@dataclass(frozen=True)
class Workload:
    """What all variants share. folder: for files that several of them use; repeats: of `steps` batches, for the median."""

    recipe: Recipe
    steps: int
    repeats: int
    folder: Path


def largest_that_fits(fits: Callable[[int], bool], too_many: int) -> int:
    """The largest number below too_many that fits; 0 if not even one does. Fewer fit wherever more do."""
    low, high = 0, too_many
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def free_memory() -> None:
    """Gives back what a failed attempt left, and starts the peaks anew."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gb(device: torch.device) -> tuple[float | None, float | None]:
    """The largest memory that tensors filled on a GPU, and that torch reserved for them; None on a CPU."""
    import torch

    if device.type != "cuda":
        return None, None
    return torch.cuda.max_memory_allocated(device) / 1e9, torch.cuda.max_memory_reserved(device) / 1e9


def describe_machine(_: Ranks) -> dict[str, Any]:
    """The device, and the versions that its speed depends on."""
    import torch

    from trapmeter import __version__

    is_gpu = torch.cuda.is_available()
    properties = torch.cuda.get_device_properties(0) if is_gpu else None
    return {
        "device": properties.name if properties else f"CPU ({_cpu_name()})",
        "gpus": torch.cuda.device_count(),
        "gpu_gb": round(properties.total_memory / 1e9, 1) if properties else None,
        "cpu_cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if is_gpu else None,
        "cudnn": torch.backends.cudnn.version() if is_gpu else None,
        "driver": _driver_version() if is_gpu else None,
        "python": platform.python_version(),
        "trapmeter": __version__,
    }


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _driver_version() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


def network_text(precision: Precision, is_channels_last: bool, is_compiled: bool) -> str:
    """How a network runs, as in the table."""
    return f"{precision}, channels {'last' if is_channels_last else 'first'}{', compiled' if is_compiled else ''}"


def windows_per_second(
    work: Callable[[], None], n_windows: int, repeats: int, device: torch.device
) -> tuple[float, float]:
    """The median over repeats, and the seconds of the call before them, which warms up."""
    import torch

    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return n_windows / statistics.median(seconds[1:]), seconds[0]
