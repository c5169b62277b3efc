"""Opens a detector's ONNX file in onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from trapmeter.errors import ModelError


class Session(Protocol):
    """The method of onnxruntime.InferenceSession that detectors run; tests have a fake."""

    def run(self, output_names: list[str] | None, feed: dict[str, Any]) -> list[Any]:
        """The outputs, in the order of output_names; all of them for None."""
        ...


def open_session(path: Path, threads: int, remedy: str) -> Any:
    """An onnxruntime.InferenceSession on the CPU.

    threads: the number of CPU threads. remedy: what to do if the file can't be opened.

    Raises:
        ModelError: onnxruntime can't open the file.
    """
    import onnxruntime as ort

    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    # Waiting threads sleep: spinning took 255 instead of 172 ms of CPU time on a busy machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # From the path, because from bytes onnxruntime keeps a second copy of the file in memory.
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no other base class
        raise ModelError(
            f"{path}: expected an ONNX model, but onnxruntime cannot open it ({error}); {remedy}"
        ) from error
