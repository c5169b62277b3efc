"""Runs bundles in onnxruntime, alone or as an ensemble with mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.models.inputs import mirrored


class OnnxNetwork:
    """A bundle, ready to run."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Opens the network.

        Raises:
            ModelError: it isn't what its card says.
        """
        import onnxruntime as ort

        ort.disable_telemetry_events()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(bundle.network), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions share no base but this
            raise ModelError(f"{bundle.network}: onnxruntime can't open it: {error}") from error
        found = [(node.name, node.type, node.shape[1:]) for node in self._session.get_inputs()]
        expected = [("windows", "tensor(uint8)", [bundle.spec.n_channels, *bundle.spec.size_hw])]
        if found != expected:
            raise ModelError(f"{bundle.network}: expected the input {expected}, got {found}; export the bundle anew")
        gives = [(node.name, node.type) for node in self._session.get_outputs()]
        if gives != [("metres", "tensor(float)")]:
            raise ModelError(
                f"{bundle.network}: expected the output metres, tensor(float), got {gives}; export the bundle anew"
            )
        self.bundle = bundle

    def metres(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Distances in metres, at least 0, of windows (n, channels, height, width).

        Raises:
            ModelError: the network breaks off, or answers anything but a number for each window.
        """
        try:
            (answer,) = self._session.run(["metres"], {"windows": windows})
        except Exception as error:  # onnxruntime's own exceptions share no base but this
            raise ModelError(f"{self.bundle.network}: onnxruntime can't run it: {error}") from error
        return checked_answer(self.bundle, answer, len(windows))


def checked_answer(bundle: Bundle, answer: object, n: int) -> NDArray[np.float64]:
    """A network's answer for n windows as metres of at least 0.

    Raises:
        ModelError: it is not a number for each window.
    """
    metres = np.asarray(answer, dtype=np.float64)
    if metres.size != n or not np.isfinite(metres).all():
        raise ModelError(
            f"{bundle.network}: expected a number for each of {n} windows, got {metres.size}, "
            f"{int(np.isfinite(metres).sum())} of them finite; not to be used"
        )
    return np.maximum(metres.reshape(n), 0.0)


class Ensemble:
    """The plain mean of several networks, each on the window and, with flip, on its mirror image."""

    def __init__(self, networks: Sequence[OnnxNetwork], *, flip: bool) -> None:
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
    def load(cls, folders: Sequence[Path], *, flip: bool, threads: int = 1) -> Ensemble:
        """Reads and opens the bundles in the given folders."""
        return cls([OnnxNetwork(read_bundle(folder), threads) for folder in folders], flip=flip)

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
