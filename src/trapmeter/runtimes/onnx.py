"""Runs bundles in onnxruntime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle
from trapmeter.runtimes.memory import give_back_memory


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
        # It has laid the weights out anew and freed the copy that it read.
        give_back_memory()
        found = [(node.name, node.type, node.shape[1:]) for node in self._session.get_inputs()]
        expected = [("windows", "tensor(uint8)", [bundle.spec.n_channels, *bundle.spec.size_hw])]
        if found != expected:
            raise ModelError(f"{bundle.network}: expected the input {expected}, got {found}; export the bundle anew")
        gives = [(node.name, node.type) for node in self._session.get_outputs()]
        if gives != [("metres", "tensor(float)")]:
            raise ModelError(
                f"{bundle.network}: expected the output metres, tensor(float), got {gives}; export the bundle anew"
            )
        self._bundle = bundle

    @property
    def bundle(self) -> Bundle:
        """What it was opened from."""
        return self._bundle

    def metres(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Distances in metres, at least 0, of windows (n, channels, height, width).

        Raises:
            ModelError: the network breaks off, or answers anything but a number for each window.
        """
        try:
            (answer,) = self._session.run(["metres"], {"windows": windows})
        except Exception as error:  # onnxruntime's own exceptions share no base but this
            raise ModelError(f"{self._bundle.network}: onnxruntime can't run it: {error}") from error
        return checked_answer(self._bundle, answer, len(windows))


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
