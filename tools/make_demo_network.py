"""Makes the demo's network small enough to be part of trapmeter: weights stored in half, computed in single precision.

    python tools/make_demo_network.py training/fold-0/bundle src/trapmeter/demo/network

The bundle must not have been trained on the demo's sites. Needs the extra 'train'. Prints the size before and after, and the
largest difference of predictions for noise; a difference of more than 5 cm is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trapmeter.models.bundle import read_bundle, write_bundle
from trapmeter.models.runtimes.onnx_runtime import OnnxNetwork

LEAST_VALUES = 256
"""Smaller tensors are not changed: they take hardly any space, and some are sizes and limits."""
TOLERANCE_M = 0.05
LICENCE = (
    "CC BY-SA 3.0, as the rendered videos that it learned from (art of 0 A.D., (C) Wildfire Games and contributors); started "
    "from ImageNet weights of tf_efficientnet_lite0 (Apache-2.0)"
)


def store_in_half_precision(network: bytes) -> bytes:
    """The same network with its large tensors stored in float16 and cast back when it is opened."""
    model = onnx.load_from_string(network)
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LEAST_VALUES:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def main() -> None:
    """Writes the small bundle."""
    source, target = map(Path, sys.argv[1:])
    bundle = read_bundle(source)
    before = bundle.network.read_bytes()
    after = store_in_half_precision(before)
    facts = {**bundle.provenance, "stored_in": "float16"}
    small = write_bundle(target, after, "demo-network-2", bundle.spec, LICENCE, facts, bundle.uncertainty)
    windows = np.random.default_rng(0).integers(0, 256, (8, bundle.spec.n_channels, *bundle.spec.size_hw), np.uint8)
    difference_m = float(np.abs(OnnxNetwork(bundle).metres(windows) - OnnxNetwork(small).metres(windows)).max())
    print(f"{len(before) / 1e6:.1f} MB -> {len(after) / 1e6:.1f} MB, at most {difference_m:.4f} m apart on noise")
    if difference_m > TOLERANCE_M:
        raise SystemExit(f"predictions differ by more than {TOLERANCE_M} m; do not use this network")


if __name__ == "__main__":
    main()
