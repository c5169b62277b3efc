"""Exports a trained network as an ONNX bundle and checks it against torch."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trapmeter.models.bundle import Bundle, write_bundle
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.runtimes.agreement import example_facts, example_windows, largest_difference
from trapmeter.models.runtimes.network import FACTS, WINDOWS
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork
from trapmeter.training.network import DistanceNetwork
from trapmeter.uncertainty import Uncertainty

N_TRACED = 2
"""Windows used for tracing: fewer than are compared, so that the check finds a batch size fixed in the graph."""


class _MetresNetwork(nn.Module):
    """Bytes and facts, if any, in, metres out: the network as the bundle holds it."""

    def __init__(self, network: DistanceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: Tensor, facts: Tensor | None = None) -> Tensor:
        return self.network.metres(self.network(windows, facts).raw)


def export_network(
    network: DistanceNetwork,
    spec: InputSpec,
    folder: Path,
    model_id: str,
    licence: str,
    provenance: dict[str, Any],
    uncertainty: Uncertainty | None = None,
    uncertainty_told: Uncertainty | None = None,
) -> Bundle:
    """Writes a network as a bundle in float32, after a check that onnxruntime's predictions equal torch's.

    Raises:
        ModelError: the predictions differ on example windows; folder was not changed.
    """
    module = _MetresNetwork(network).float().cpu().eval()
    inputs: dict[str, NDArray[Any]] = {WINDOWS: example_windows(spec)}
    if spec.facts:
        inputs[FACTS] = example_facts(spec)
    onnx = _to_onnx(module, {name: torch.from_numpy(values[:N_TRACED]) for name, values in inputs.items()})
    expected, exact = _metres(module, inputs), _metres(deepcopy(module).double(), inputs)
    with tempfile.TemporaryDirectory() as trial:
        bundle = write_bundle(Path(trial), onnx, model_id, spec, licence, provenance)
        found = OnnxNetwork(bundle).metres(*inputs.values())
    largest_difference(found, expected, exact, "the exported network isn't the trained one")
    return write_bundle(folder, onnx, model_id, spec, licence, provenance, uncertainty, uncertainty_told)


def _metres(module: nn.Module, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    with torch.no_grad():
        metres: NDArray[np.float64] = module(*map(torch.from_numpy, inputs.values())).double().numpy()
    return np.maximum(metres, 0.0)


def _to_onnx(module: nn.Module, inputs: Mapping[str, Tensor]) -> bytes:
    n_windows = torch.export.Dim("n", min=1, max=4096)
    program = torch.onnx.export(
        module,
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=["metres"],
        dynamic_shapes={name: {0: n_windows} for name in inputs},
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    network: bytes = program.model_proto.SerializeToString()
    return network
