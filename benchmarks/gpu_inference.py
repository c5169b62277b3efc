"""Variants of benchmarks/gpu.py: predictions of a network in torch, of a TorchScript file, and of a bundle."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpu_measure import Workload, network_text, peak_gb, windows_per_second
from gpu_table import Figures
from inference import convert_torchscript, make_torchscript, random_windows
from trapmeter.training.recipes import Precision

if TYPE_CHECKING:
    import torch

    from trapmeter.training.distributed import Ranks


@dataclass(frozen=True)
class Inference:
    """Predictions for windows in the computer's memory, with the copies to the device and back."""

    precision: Precision
    is_channels_last: bool
    is_compiled: bool
    batch: int
    devices: ClassVar[int] = 1
    part: ClassVar[str] = "inference"

    @property
    def name(self) -> str:
        """As in the table."""
        return network_text(self.precision, self.is_channels_last, self.is_compiled)

    def measure(self, workload: Workload, ranks: Ranks) -> Figures:
        """Windows per second."""
        import torch

        windows = random_windows(workload.recipe.input, self.batch)
        with torch.inference_mode():
            predict = self.load(workload, ranks.device)

            def calls() -> None:
                for _ in range(workload.steps):
                    predict(windows)

            rate, first_s = windows_per_second(calls, workload.steps * self.batch, workload.repeats, ranks.device)
        note = f"first repeat, with compiling: {first_s:.0f} s" if self.is_compiled else ""
        return Figures(rate, self.batch, *peak_gb(ranks.device), note)

    def load(self, workload: Workload, device: torch.device) -> Callable[[np.ndarray], object]:
        """A function that predicts for bytes (n, channels, height, width)."""
        import torch

        from trapmeter.training.network import make_network

        recipe = workload.recipe
        dtype = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}.get(self.precision, torch.float32)
        network: Any = make_network(recipe.backbone, recipe.input, recipe.weights, recipe.head).eval()
        layout = torch.channels_last if self.is_channels_last else torch.contiguous_format
        network = network.to(device, dtype).to(memory_format=layout)
        if self.is_compiled:
            network = torch.compile(network)
        return lambda windows: network(torch.from_numpy(windows).to(device)).raw.float().cpu().numpy()


@dataclass(frozen=True)
class TorchScript(Inference):
    """The way of the 2nd-place system: a TorchScript file in fp32."""

    @property
    def name(self) -> str:
        """As in the table."""
        return "TorchScript fp32"

    def load(self, workload: Workload, device: torch.device) -> Callable[[np.ndarray], object]:
        """As for all inference."""
        import torch

        network = torch.jit.load(str(_torchscript_file(workload)), map_location=device).eval()
        return lambda windows: network(torch.from_numpy(windows).to(device).float() / 255.0).cpu().numpy()


@dataclass(frozen=True)
class Predict(Inference):
    """The way of `trapmeter predict --runtime torch`: a bundle in fp32."""

    @property
    def name(self) -> str:
        """As in the table."""
        return "predict --runtime torch"

    def load(self, workload: Workload, device: torch.device) -> Callable[[np.ndarray], object]:
        """As for all inference."""
        from trapmeter.models.bundle import read_bundle
        from trapmeter.models.runtimes.torch_runtime import TorchNetwork

        file = _torchscript_file(workload)
        if not list(file.parent.glob("*.onnx")):
            convert_torchscript(file, workload.recipe.backbone, workload.recipe.input)
        return TorchNetwork(read_bundle(file.parent), os.cpu_count() or 1, str(device)).metres


def _torchscript_file(workload: Workload) -> Path:
    """The network as TorchScript with its backbone's own head, made by the first variant that needs it."""
    folder = workload.folder / "torchscript"
    folder.mkdir(exist_ok=True)
    file = folder / "network.pt"
    if not file.exists():
        print("making the TorchScript file", file=sys.stderr, flush=True)
        make_torchscript(workload.recipe.backbone, workload.recipe.input, folder)
    return file
