"""Runs bundles in OpenVINO, in bf16 where the processor supports it.

OpenVINO's package brings another one that sends statistics of use. It serves OpenVINO's conversion tools alone, which are not
used here; to be sure, it is kept from loading at all.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import ModelError
from trapmeter.models.bundle import Bundle
from trapmeter.models.runtimes.onnx_runtime import checked_metres

TELEMETRY = "openvino_telemetry"


class OpenvinoNetwork:
    """A bundle, ready to run."""

    def __init__(self, bundle: Bundle, threads: int = 1, precision: str | None = None) -> None:
        """Opens the network. precision: "f32" or "bf16"; None lets OpenVINO take the fastest that the processor has.

        Raises:
            ModelError: it isn't what its card says.
        """
        openvino = load_openvino()
        # One stream: a worker asks about one batch at a time, and its threads are to work on that.
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
            expected = f"[?,{bundle.spec.n_channels},{bundle.spec.size_hw[0]},{bundle.spec.size_hw[1]}]"
            found = [(port.get_any_name(), str(port.element_type), str(port.partial_shape)) for port in model.inputs]
            if [(name, kind, shape) for name, kind, shape in found] != [
                ("windows", "<Type: 'uint8_t'>", expected)
            ] or len(model.outputs) != 1:
                raise ModelError(
                    f"{bundle.network}: expected the input windows, uint8, {expected}, and one output, got {found} and "
                    f"{len(model.outputs)} outputs; export the bundle anew"
                )
            self._request = core.compile_model(model, "CPU", properties).create_infer_request()
        except RuntimeError as error:
            raise ModelError(f"{bundle.network}: OpenVINO can't open it: {error}") from error
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
            answer = self._request.infer([np.ascontiguousarray(windows)])[0]
        except RuntimeError as error:
            raise ModelError(f"{self._bundle.network}: OpenVINO can't run it: {error}") from error
        return checked_metres(self._bundle, answer, len(windows))


def load_openvino() -> Any:
    """The module openvino, without its telemetry."""
    # None in sys.modules makes every import of that name fail; OpenVINO then goes on with an empty stand-in of its own.
    sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]
    import openvino

    return openvino
