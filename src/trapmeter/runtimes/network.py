"""The seam between trapmeter and what runs its networks."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trapmeter.models.bundle import Bundle
from trapmeter.runtimes.choice import Runtime


class Network(Protocol):
    """An opened bundle. The seam between trapmeter and runtimes; a test's fake is another."""

    @property
    def bundle(self) -> Bundle:
        """What it was opened from."""
        ...

    def metres(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Distances in metres, at least 0, of windows (n, channels, height, width)."""
        ...


def open_network(bundle: Bundle, runtime: Runtime, threads: int = 1) -> Network:
    """A bundle, ready to run in the runtime that `choose` gave.

    Raises:
        ModelError: it isn't what its card says.
    """
    if runtime is Runtime.OPENVINO:
        from trapmeter.runtimes.openvino import OpenvinoNetwork

        return OpenvinoNetwork(bundle, threads)
    if runtime is Runtime.TORCH:
        from trapmeter.runtimes.torch import TorchNetwork

        return TorchNetwork(bundle, threads)
    from trapmeter.runtimes.onnx import OnnxNetwork

    return OnnxNetwork(bundle, threads)
