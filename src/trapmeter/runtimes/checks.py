"""Whether a bundle is what its card says, its answers included."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.runtimes.onnx import OnnxNetwork


def check_bundle(folder: Path) -> Bundle:
    """Reads a bundle, opens its network and asks it about a window of noise.

    Raises:
        ModelError: anything about it is wrong.
    """
    bundle = read_bundle(folder)
    shape = (1, bundle.spec.n_channels, *bundle.spec.size_hw)
    OnnxNetwork(bundle).metres(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    return bundle
