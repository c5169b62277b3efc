"""Exports a trained network as an ONNX bundle and checks it against torch."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trapmeter.models.bundle import Bundle, write_bundle
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.runtimes.agreement import example_windows, largest_difference
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork
from trapmeter.training.network import DistanceNetwork
from trapmeter.uncertainty import Uncertainty

N_TRACED = 2
"""Windows used for tracing: fewer than are compared, so that the check finds a batch size fixed in the graph."""


class _MetresNetwork(nn.Module):
    """Bytes in, metres out: the network as the bundle holds it."""

    def __init__(self, network: DistanceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: Tensor) -> Tensor:
        return self.network.metres(self.network(windows).raw)


def export_network(
    network: DistanceNetwork,
    spec: InputSpec,
    folder: Path,
    model_id: str,
    licence: str,
    provenance: dict[str, Any],
    uncertainty: Uncertainty | None = None,
) -> Bundle:
    """Writes a network as a bundle in float32, after a check that onnxruntime's predictions equal torch's.

    Raises:
        ModelError: the predictions differ on example windows; folder was not changed.
    """
    module = _MetresNetwork(network).float().cpu().eval()
    windows = example_windows(spec)
    onnx = _to_onnx(module, torch.from_numpy(windows[:N_TRACED]))
    expected, exact = _metres(module, windows), _metres(deepcopy(module).double(), windows)
    with tempfile.TemporaryDirectory() as trial:
        found = OnnxNetwork(write_bundle(Path(trial), onnx, model_id, spec, licence, provenance)).metres(windows)
    largest_difference(found, expected, exact, "the exported network isn't the trained one")
    return write_bundle(folder, onnx, model_id, spec, licence, provenance, uncertainty)


def _metres(module: nn.Module, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
    with torch.no_grad():
        metres: NDArray[np.float64] = module(torch.from_numpy(windows)).double().numpy()
    return np.maximum(metres, 0.0)


def _to_onnx(module: nn.Module, windows: Tensor) -> bytes:
    program = torch.onnx.export(
        module,
        (windows,),
        input_names=["windows"],
        output_names=["metres"],
        dynamic_shapes={"windows": {0: torch.export.Dim("n", min=1, max=4096)}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    network: bytes = program.model_proto.SerializeToString()
    return network
