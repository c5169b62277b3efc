"""Turns a TorchScript file into a bundle: `python -m trapmeter.training.torchscript`, in a process of its own.

A TorchScript file is a program. It can't run Python, but its operators may use up memory or touch files, so whoever loads one
trusts it. That is why this happens once, for a file that somebody asked for, away from the process that asked; `predict`
never sees more than the bundle.

Reads a job as JSON from standard input (trapmeter.models.install makes it) and writes what came of it into the file that the
job names: torch's own words go to both streams. The exporter that takes such programs is the older one of torch
(dynamo=False): the newer one wants Python modules.
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
from trapmeter.models.input_spec import InputSpec, Target
from trapmeter.models.runtimes.agreement import example_windows, largest_difference
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork

OPSET = 18
N_TRACED = 2
"""Fewer than are compared, so that a number of windows fixed in the graph would show."""


@dataclass(frozen=True, slots=True)
class ConversionJob:
    """What to convert into what."""

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
        # The older exporter knows no expm1.
        return torch.exp(raw.clamp(max=6.0)) - 1.0 if self.target is Target.LOG1P else raw


def convert(job: ConversionJob) -> float:
    """Writes the bundle; returns the largest difference in metres between its predictions and the TorchScript file's.

    Raises:
        ModelError: the file is no TorchScript, takes or gives something else than the spec says, can't be converted, or the
            bundle predicts something else.
    """
    windows = example_windows(job.spec)
    with torch.no_grad(), warnings.catch_warnings():
        # That all of TorchScript is deprecated is known, and no news to the one who has such a file.
        warnings.simplefilter("ignore")
        module = _MetresNetwork(_load(job.file), job.spec.target).eval()
        wanted = _run_module(module, windows, job)
        onnx = _to_onnx(module, torch.from_numpy(windows[:N_TRACED]), job)
        exact = _exact(job, windows)
    bundle = write_bundle(job.folder, onnx, job.model_id, job.spec, job.licence, job.provenance)
    found = OnnxNetwork(bundle).metres(windows)
    difference_m = largest_difference(found, wanted, exact, f"{job.file}: the converted network isn't that of the file")
    told = {"torch": torch.__version__, "trapmeter": __version__, "difference_m": difference_m}
    write_bundle(job.folder, onnx, job.model_id, job.spec, job.licence, {**job.provenance, "converted": told})
    return difference_m


def _load(path: Path) -> nn.Module:
    try:
        module: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"{path}: not a TorchScript file that torch {torch.__version__} can load ({_first_line(error)}); a file of "
            "weights alone (torch.save of a state_dict) can't be imported"
        ) from error
    return module.float().eval()


def _run_module(module: nn.Module, windows: NDArray[np.uint8], job: ConversionJob) -> NDArray[np.float64]:
    spec = job.spec
    try:
        answer: NDArray[np.float64] = module(torch.from_numpy(windows)).double().numpy()
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{job.file}: the network doesn't take windows of {spec.n_channels} channels, {spec.size_hw[0]} x "
            f"{spec.size_hw[1]} ({_first_line(error)}); tell what it takes with --offsets, --size and --box-channel"
        ) from error
    if answer.shape != (len(windows),) or not np.isfinite(answer).all():
        raise ModelError(
            f"{job.file}: expected one number for each window, got {answer.size} for {len(windows)} windows: "
            f"{answer[:5].tolist()}; not a network that tells one distance"
        )
    return np.maximum(answer, 0.0)


def _exact(job: ConversionJob, windows: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Metres (n,) in 64-bit floats; None for a program that works in 32 bits only."""
    try:
        module = _MetresNetwork(_load(job.file).double(), job.spec.target, torch.float64).eval()
        answer: NDArray[np.float64] = module(torch.from_numpy(windows)).double().numpy()
    except RuntimeError:
        return None
    return np.maximum(answer, 0.0)


def _to_onnx(module: nn.Module, windows: Tensor, job: ConversionJob) -> bytes:
    file = job.folder / NETWORK_FILE
    try:
        # Traced around the script, whose own branches and loops stay what they are.
        traced = torch.jit.trace(module, windows, check_trace=False)  # type: ignore[no-untyped-call]
        with warnings.catch_warnings():
            # The newer exporter takes no scripts.
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
    except Exception as error:  # the exporter's errors share no base but this
        raise ModelError(
            f"{job.file}: torch "
            f"{torch.__version__} can't turn it into ONNX ({_first_line(error)}); export it where it was made"
        ) from error
    return file.read_bytes()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def main() -> None:
    """Does the job on standard input."""
    told = json.load(sys.stdin)
    job = ConversionJob(
        Path(told["file"]),
        Path(told["folder"]),
        told["model_id"],
        InputSpec.from_json(told["spec"]),
        told["licence"],
        told["provenance"],
    )
    try:
        result: dict[str, Any] = {"difference_m": convert(job)}
    except TrapmeterError as error:
        result = {"error": str(error)}
    Path(told["result"]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
