"""MegadetectorLite: a small, quick animal detector that comes with the package.

It is a YOLOX-tiny network that DrivenData trained on MegaDetector's boxes. tools/convert_megadetector_lite.py makes the
ONNX file of it, tools/quantise_megadetector_lite.py that in 8 bits; the JSON beside each says what the file is, where it
came from and what it expects.
People and vehicles are not told apart from animals or from the ground: the network has one class.
Pictures below about 106 x 60 pixels give it nothing to see.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trapmeter.detect.letterbox import Letterbox, letterbox
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.errors import InputError, ModelError, error_text
from trapmeter.geometry import nms
from trapmeter.records import Box, ModelIdentity, Pixels

_FOLDER = Path(__file__).parent / "embedded"
EMBEDDED = {
    DetectorPrecision.INT8: _FOLDER / "megadetector_lite_int8.onnx",
    DetectorPrecision.FLOAT32: _FOLDER / "megadetector_lite.onnx",
}
DEFAULT_MIN_SCORE = 0.25
"""zamba's setting; `benchmarks/detect.py` shows what others would find. From 0.15 to 0.3 the balance hardly changes."""
NMS_IOU = 0.45
"""Overlap above which two boxes are one animal: YOLOX's and zamba's setting."""


class _Session(Protocol):
    """What is used of onnxruntime.InferenceSession; a fake in tests needs no more."""

    def run(self, output_names: list[str] | None, feed: dict[str, Any]) -> list[Any]: ...


@dataclass(frozen=True)
class MegadetectorLite:
    """The detector, ready to look. Make it with load.

    session: takes "pictures" (uint8, 1 x height x width x 3, RGB), gives 1 x cells x 6:
        cx, cy, w, h in input pixels, objectness, probability of an animal.
    size: greatest height and width of the network's input, pixels.
    step: height and width are multiples of it.
    min_score: boxes below this are not reported; a score is objectness times probability, 0..1.
    """

    session: _Session
    identity: ModelIdentity
    size: int
    step: int
    min_score: float = DEFAULT_MIN_SCORE

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_score <= 1.0:
            raise InputError(f"the detector's min_score must lie in 0..1, got {self.min_score}")

    @classmethod
    def load(
        cls,
        path: Path = EMBEDDED[DetectorPrecision.INT8],
        *,
        min_score: float = DEFAULT_MIN_SCORE,
        threads: int = 1,
    ) -> MegadetectorLite:
        """Check and open the detector.

        Args:
            path: an ONNX file with its JSON beside it, such as one of EMBEDDED.
            min_score: see the class.
            threads: cores to compute on.

        Raises:
            ModelError: a file is missing, damaged, or not the one that its JSON describes.
            InputError: min_score lies outside 0..1, or threads below 1.
        """
        if threads < 1:
            raise InputError(f"the detector needs at least 1 thread, got {threads}")
        card = _read_card(path.with_suffix(".json"))
        _check_sha256(path, card["sha256"])
        identity = ModelIdentity(card["model_id"], card["sha256"])
        return cls(_open_session(path, threads), identity, card["input_size"], card["input_step"], min_score)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the network's input, pixels."""
        return (self.size, self.size)

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        """Boxes of each picture (uint8, height x width x 3, RGB), best score first. Pictures may differ in size."""
        # One by one: several at once save no time on a processor, and hold memory.
        found = []
        for picture in pictures:
            fitted = letterbox(picture, self.size, self.step)
            (cells,) = self.session.run(None, {"pictures": fitted.canvas[None]})
            found.append(_decode_boxes(cells[0], fitted, self.min_score))
        return found


def _decode_boxes(cells: NDArray[np.float32], fitted: Letterbox, min_score: float) -> list[Box]:
    """Boxes out of the network's answer (cells x 6) for one picture."""
    scores = cells[:, 4] * cells[:, 5]
    likely = scores >= min_score
    centre, half, scores = cells[likely, :2], cells[likely, 2:4] / 2, scores[likely]
    xyxy = np.concatenate([centre - half, centre + half], axis=1)
    kept = nms(xyxy, scores, NMS_IOU)
    boxes = zip(fitted.to_fractions(xyxy[kept]).tolist(), scores[kept].tolist(), strict=True)
    # What lay wholly in the black margin has no area once clipped to the picture.
    return [Box(x1, y1, x2, y2, score) for (x1, y1, x2, y2), score in boxes if x1 < x2 and y1 < y2]


def _read_card(path: Path) -> dict[str, Any]:
    """The JSON beside a model: model_id, sha256, input_size, input_step and what a reader may want to know."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        known = isinstance(card["model_id"], str) and isinstance(card["sha256"], str)
        if not (known and isinstance(card["input_size"], int) and isinstance(card["input_step"], int)):
            raise TypeError("model_id and sha256 must be texts, input_size and input_step whole numbers")
    except OSError as error:
        raise ModelError(
            f"{path}: a detector needs this file beside its ONNX file ({error.strerror}); "
            "put it there, or reinstall trapmeter if it is the embedded detector's"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: expected JSON with model_id, sha256, input_size and input_step: {error_text(error)}; "
            "convert the model again, or reinstall trapmeter if it is the embedded detector's"
        ) from error
    return dict(card)


def _check_sha256(path: Path, sha256: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"{path}: cannot read the detector's ONNX file ({error.strerror}); "
            "put it there, or reinstall trapmeter if it is the embedded one"
        ) from error
    if found != sha256:
        raise ModelError(
            f"{path}: the detector is damaged or another one: expected sha256 {sha256}, got {found}; "
            "convert the model again, or reinstall trapmeter if it is the embedded one"
        )


def _open_session(path: Path, threads: int) -> _Session:
    import onnxruntime as ort

    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    # Waiting threads sleep: spinning took half as much processor time again (255 against 172 ms) on a busy machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # From the path: given bytes, onnxruntime would keep a second copy of the file in memory.
        session: _Session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no other base class
        raise ModelError(
            f"{path}: expected an ONNX model, but onnxruntime cannot open it ({error}); convert the model again"
        ) from error
    return session
