"""From trained weights to a bundle that needs no torch, checked against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle, write_bundle
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork
from trapmeter.training.network import DistanceNetwork
from trapmeter.uncertainty import Uncertainty

TOLERANCE_M = 1e-4


class _MetresNetwork(nn.Module):
    """Bytes in, metres out: what the bundle holds."""

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
    """Writes a network as a bundle in float32 and compares both on random windows.

    Raises:
        ModelError: onnxruntime's metres differ from torch's by more than TOLERANCE_M.
    """
    module = _MetresNetwork(network).float().cpu().eval()
    windows = np.random.default_rng(0).integers(0, 256, (2, spec.n_channels, *spec.size_hw), np.uint8)
    onnx = _to_onnx(module, torch.from_numpy(windows))
    bundle = write_bundle(folder, onnx, model_id, spec, licence, provenance, uncertainty)
    with torch.no_grad():
        wanted = np.maximum(module(torch.from_numpy(windows)).double().numpy(), 0.0)
    difference_m = float(np.abs(OnnxNetwork(bundle).metres(windows) - wanted).max())
    # Of untrained networks the output may be large: what counts is the difference as a share of it then.
    if not difference_m <= TOLERANCE_M * max(1.0, float(np.abs(wanted).max()) / 25.0):
        raise ModelError(f"{folder}: the exported network differs from torch's by {difference_m:.2g} m; not to be used")
    return bundle


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
