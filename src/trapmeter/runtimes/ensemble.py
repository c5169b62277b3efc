"""Several networks as one, with mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.models.inputs import mirrored
from trapmeter.runtimes.choice import Runtime
from trapmeter.runtimes.network import Network, open_network


class Ensemble:
    """The plain mean of several networks, each on the window and, with flip, on its mirror image."""

    def __init__(self, networks: Sequence[Network], *, flip: bool) -> None:
        """All networks must take the same input.

        Raises:
            ModelError: they don't, or there are none.
        """
        specs = {network.bundle.spec for network in networks}
        if len(specs) != 1:
            raise ModelError(f"an ensemble's networks take one and the same input, got {len(specs)} kinds of it")
        self.spec = specs.pop()
        self._networks = tuple(networks)
        self._flip = flip

    @classmethod
    def load(
        cls, folders: Sequence[Path], *, flip: bool, threads: int = 1, runtime: Runtime = Runtime.ONNXRUNTIME
    ) -> Ensemble:
        """Reads and opens the bundles in the given folders."""
        return cls([open_network(read_bundle(folder), runtime, threads) for folder in folders], flip=flip)

    @property
    def members(self) -> tuple[Bundle, ...]:
        """The bundles, in the order given."""
        return tuple(network.bundle for network in self._networks)

    def answers(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Every member's answer in metres: (members, or twice as many with flip; windows)."""
        views = [windows, mirrored(windows)] if self._flip else [windows]
        return np.stack([network.metres(view) for network in self._networks for view in views])

    def metres(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The mean answer in metres for windows (n, channels, height, width)."""
        return np.asarray(self.answers(windows).mean(axis=0))
