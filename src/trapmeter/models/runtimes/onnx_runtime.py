"""Runs bundles in onnxruntime, checks that a bundle runs, and releases freed memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle, read_bundle
from trapmeter.models.runtimes.network import FACTS, WINDOWS, RuntimeNetwork


def release_memory() -> None:
    """Returns freed memory to the system: glibc keeps 0.5 GB after opening a network of 0.5 GB, 0.8 GB after closing."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)


class OnnxNetwork(RuntimeNetwork):
    """A bundle opened in onnxruntime."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Opens the network.

        Raises:
            ModelError: the network doesn't match its card.
        """
        import onnxruntime as ort

        super().__init__(bundle)
        ort.disable_telemetry_events()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(bundle.network), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no other common base class
            raise ModelError(f"{bundle.network}: onnxruntime can't open it: {error}") from error
        # onnxruntime has rearranged the weights and freed the copy that it read.
        release_memory()
        found = [(node.name, node.type, node.shape[1:]) for node in self._session.get_inputs()]
        expected = [(WINDOWS, "tensor(uint8)", [bundle.spec.n_channels, *bundle.spec.size_hw])]
        if bundle.spec.facts:
            expected.append((FACTS, "tensor(float)", [len(bundle.spec.facts)]))
        if found != expected:
            raise ModelError(f"{bundle.network}: expected the input {expected}, got {found}; export the bundle again")
        outputs = [(node.name, node.type) for node in self._session.get_outputs()]
        if outputs != [("metres", "tensor(float)")]:
            raise ModelError(
                f"{bundle.network}: expected the output metres, tensor(float), got {outputs}; export the bundle again"
            )

    def _run(self, inputs: Mapping[str, NDArray[Any]]) -> object:
        try:
            (output,) = self._session.run(["metres"], dict(inputs))
        except Exception as error:  # onnxruntime's exceptions have no other common base class
            raise ModelError(f"{self._bundle.network}: onnxruntime can't run it: {error}") from error
        return output


def check_bundle(folder: Path) -> Bundle:
    """Reads a bundle, opens its network and runs it on a window of noise.

    Raises:
        ModelError: any of this fails.
    """
    bundle = read_bundle(folder)
    shape = (1, bundle.spec.n_channels, *bundle.spec.size_hw)
    OnnxNetwork(bundle).metres(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    return bundle
