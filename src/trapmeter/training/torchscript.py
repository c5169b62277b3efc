"""Converts a TorchScript file into a bundle, in a process of its own (`python -m trapmeter.training.torchscript`).

A TorchScript file is a program. It can't run Python, but its operators may use up memory or touch files, so you must trust
a file that you load. It is therefore loaded only once, on request, in another process; `predict` only ever reads the bundle.

The process reads a job as JSON from standard input (trapmeter.models.install writes it) and writes its result into the file
that the job names, since torch prints to both output streams. Only the older exporter of torch (dynamo=False) takes such
programs; the newer one needs Python modules.
"""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trapmeter._version import __version__
from trapmeter.errors import ModelError, TrapmeterError
from trapmeter.models.bundle import NETWORK_FILE, write_bundle
from trapmeter.models.input_spec import MAX_LOG_METRES, InputSpec, Target
from trapmeter.models.runtimes.agreement import example_windows, largest_difference
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork

OPSET = 18
N_TRACED = 2
"""Windows used for tracing: fewer than are compared, so that the check finds a batch size fixed in the graph."""


@dataclass(frozen=True, slots=True)
class ConversionJob:
    """A TorchScript file, and the bundle to make of it."""

    file: Path
    folder: Path
    model_id: str
    spec: InputSpec
    licence: str
    provenance: dict[str, Any]


class _MetresNetwork(nn.Module):
    """Bytes in, metres out, around a network that takes 0..1."""

    def __init__(self, network: nn.Module, target: Target, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network = network
        self.target = target
        self.dtype = dtype

    def forward(self, windows: Tensor) -> Tensor:
        raw = self.network(windows.to(self.dtype) / 255.0).reshape(-1)
        # The older exporter has no expm1.
        return torch.exp(raw.clamp(max=MAX_LOG_METRES)) - 1.0 if self.target is Target.LOG1P else raw


def convert(job: ConversionJob) -> float:
    """Writes the bundle; returns the largest difference in metres between its predictions and the TorchScript file's.

    Raises:
        ModelError: the file is not TorchScript, its input or output differs from the spec, it can't be converted, or the
            bundle's predictions differ.
    """
    windows = example_windows(job.spec)
    with torch.no_grad(), warnings.catch_warnings():
        # The user can do nothing about TorchScript being deprecated.
        warnings.simplefilter("ignore")
        module = _MetresNetwork(_load(job.file), job.spec.target).eval()
        expected = _run_module(module, windows, job)
        onnx = _to_onnx(module, torch.from_numpy(windows[:N_TRACED]), job)
        exact = _exact(job, windows)
    bundle = write_bundle(job.folder, onnx, job.model_id, job.spec, job.licence, job.provenance)
    found = OnnxNetwork(bundle).metres(windows)
    difference_m = largest_difference(
        found, expected, exact, f"{job.file}: the converted network isn't that of the file"
    )
    conversion = {"torch": torch.__version__, "trapmeter": __version__, "difference_m": difference_m}
    write_bundle(job.folder, onnx, job.model_id, job.spec, job.licence, {**job.provenance, "converted": conversion})
    return difference_m


def _load(path: Path) -> nn.Module:
    try:
        module: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"{path}: not a TorchScript file that torch {torch.__version__} can load ({_last_line(error)}); a file of "
            "weights only (torch.save of a state_dict) can't be imported"
        ) from error
    return module.float().eval()


def _run_module(module: nn.Module, windows: NDArray[np.uint8], job: ConversionJob) -> NDArray[np.float64]:
    spec = job.spec
    try:
        metres: NDArray[np.float64] = module(torch.from_numpy(windows)).double().numpy()
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{job.file}: the network doesn't take windows of {spec.n_channels} channels, {spec.size_hw[0]} x "
            f"{spec.size_hw[1]} ({_last_line(error)}); state its input with --offsets, --size and --box-channel"
        ) from error
    if metres.shape != (len(windows),) or not np.isfinite(metres).all():
        raise ModelError(
            f"{job.file}: expected one number for each window, got {metres.size} for {len(windows)} windows: "
            f"{metres[:5].tolist()}; the network doesn't predict one distance"
        )
    return np.maximum(metres, 0.0)


def _exact(job: ConversionJob, windows: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Metres (n,) in 64-bit floats; None for a program that only works in 32 bits."""
    try:
        module = _MetresNetwork(_load(job.file).double(), job.spec.target, torch.float64).eval()
        metres: NDArray[np.float64] = module(torch.from_numpy(windows)).double().numpy()
    except RuntimeError:
        return None
    return np.maximum(metres, 0.0)


def _to_onnx(module: nn.Module, windows: Tensor, job: ConversionJob) -> bytes:
    file = job.folder / NETWORK_FILE
    try:
        # Only the code around the script is traced; the script keeps its own branches and loops.
        traced = torch.jit.trace(module, windows, check_trace=False)  # type: ignore[no-untyped-call]
        with warnings.catch_warnings():
            # torch recommends its newer exporter, which takes no scripts.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                traced,
                (windows,),
                str(file),
                input_names=["windows"],
                output_names=["metres"],
                dynamic_axes={"windows": {0: "n"}, "metres": {0: "n"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter's errors have no other common base class
        raise ModelError(
            f"{job.file}: torch "
            f"{torch.__version__} can't convert it into ONNX ({_last_line(error)}); ask its maker for an ONNX export"
        ) from error
    return file.read_bytes()


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def main() -> None:
    """Runs the job on standard input."""
    fields = json.load(sys.stdin)
    job = ConversionJob(
        Path(fields["file"]),
        Path(fields["folder"]),
        fields["model_id"],
        InputSpec.from_json(fields["spec"]),
        fields["licence"],
        fields["provenance"],
    )
    try:
        result: dict[str, Any] = {"difference_m": convert(job)}
    except TrapmeterError as error:
        result = {"error": str(error)}
    Path(fields["result"]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
