"""Runs bundles in OpenVINO, in bf16 where the processor supports it.

The openvino package depends on one that sends usage statistics. Only OpenVINO's conversion tools use it, and trapmeter
doesn't use them; to be safe, that package is kept from loading.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle
from trapmeter.models.runtimes.network import FACTS, WINDOWS, RuntimeNetwork

TELEMETRY = "openvino_telemetry"


class OpenvinoNetwork(RuntimeNetwork):
    """A bundle opened in OpenVINO."""

    def __init__(self, bundle: Bundle, threads: int = 1, precision: str | None = None) -> None:
        """Opens the network. precision: "f32" or "bf16"; None lets OpenVINO choose the processor's fastest.

        Raises:
            ModelError: the network doesn't match its card.
        """
        super().__init__(bundle)
        openvino = load_openvino()
        # One stream, so that all threads work on the one batch that a worker runs at a time.
        properties: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if precision is not None:
            properties["INFERENCE_PRECISION_HINT"] = precision
        try:
            core = openvino.Core()
            model = core.read_model(str(bundle.network))
            height, width = bundle.spec.size_hw
            expected = [(WINDOWS, "<Type: 'uint8_t'>", f"[?,{bundle.spec.n_channels},{height},{width}]")]
            if bundle.spec.facts:
                expected.append((FACTS, "<Type: 'float32'>", f"[?,{len(bundle.spec.facts)}]"))
            found = [(port.get_any_name(), str(port.element_type), str(port.partial_shape)) for port in model.inputs]
            if found != expected or len(model.outputs) != 1:
                raise ModelError(
                    f"{bundle.network}: expected the input {expected} and one output, got {found} and "
                    f"{len(model.outputs)} outputs; export the bundle again"
                )
            self._request = core.compile_model(model, "CPU", properties).create_infer_request()
        except RuntimeError as error:
            raise ModelError(f"{bundle.network}: OpenVINO can't open it: {error}") from error

    def _run(self, inputs: Mapping[str, NDArray[Any]]) -> object:
        try:
            return self._request.infer([np.ascontiguousarray(values) for values in inputs.values()])[0]
        except RuntimeError as error:
            raise ModelError(f"{self._bundle.network}: OpenVINO can't run it: {error}") from error


def load_openvino() -> Any:
    """The module openvino, without its telemetry."""
    # None in sys.modules makes every import of that name fail; OpenVINO then uses an empty replacement of its own.
    sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]
    import openvino

    return openvino
