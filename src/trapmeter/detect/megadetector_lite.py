"""MegadetectorLite: a small, fast animal detector that comes with the package.

It is a YOLOX-tiny network that DrivenData trained on MegaDetector's boxes. tools/convert_megadetector_lite.py makes its
ONNX file and tools/quantise_megadetector_lite.py the 8-bit one; the JSON beside each states what the file is, its source
and its input. The network has one class: it doesn't distinguish people and vehicles from animals or from the ground.
In pictures below about 106 x 60 pixels it detects nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.detect.letterbox import FittedPicture, letterbox
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.detect.session import Session, open_session
from trapmeter.errors import InputError, ModelError, error_text
from trapmeter.files import sha256_of
from trapmeter.geometry import nms
from trapmeter.records import Box, ModelIdentity, Pixels

_FOLDER = Path(__file__).parent / "embedded"
EMBEDDED = {
    DetectorPrecision.INT8: _FOLDER / "megadetector_lite_int8.onnx",
    DetectorPrecision.FLOAT32: _FOLDER / "megadetector_lite.onnx",
}
DEFAULT_MIN_SCORE = 0.25
"""zamba's setting. `benchmarks/detect.py` compares others: from 0.15 to 0.3, hits and false alarms hardly change."""
NMS_IOU = 0.45
"""Overlap above which two boxes show one animal: YOLOX's and zamba's setting."""


@dataclass(frozen=True)
class MegadetectorLite:
    """The detector, ready to run. Create it with `load`.

    session: takes "pictures" (uint8, 1 x height x width x 3, RGB), returns 1 x cells x 6:
        cx, cy, w, h in input pixels, objectness, probability of an animal.
    size: largest height and width of the network's input, pixels.
    step: height and width are multiples of this.
    min_score: boxes below this are dropped; a score is objectness times probability, 0..1.
    """

    session: Session
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
        path: str | Path = EMBEDDED[DetectorPrecision.INT8],
        *,
        min_score: float = DEFAULT_MIN_SCORE,
        threads: int = 1,
    ) -> MegadetectorLite:
        """Checks and opens the detector.

        Args:
            path: an ONNX file with its JSON beside it, such as one of EMBEDDED.
            min_score: boxes below this score (0..1) are dropped.
            threads: the number of CPU threads.

        Raises:
            ModelError: a file is missing, damaged, or not the one that its JSON describes.
            InputError: min_score lies outside 0..1, or threads is less than 1.
        """
        if threads < 1:
            raise InputError(f"the detector needs at least 1 thread, got {threads}")
        path = Path(path)
        card = _read_card(path.with_suffix(".json"))
        _check_sha256(path, card["sha256"])
        identity = ModelIdentity(card["model_id"], card["sha256"])
        session = open_session(path, threads, "convert the model again")
        return cls(session, identity, card["input_size"], card["input_step"], min_score)

    def for_size(self, size: int) -> MegadetectorLite:
        """The same detector for pictures scaled to fit within size x size. It shares the network.

        The published network has a fixed input, so there the rest is black and takes as long.
        """
        return replace(self, size=size)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the network's input, pixels."""
        return (self.size, self.size)

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        """Boxes of each picture (uint8, height x width x 3, RGB), best score first. Pictures may differ in size."""
        # One by one: batches save no time on a CPU and take more memory.
        boxes = []
        for picture in pictures:
            fitted = letterbox(picture, (self.size, self.size), (self.step, self.step))
            (cells,) = self.session.run(None, {"pictures": fitted.canvas[None]})
            boxes.append(_decode_boxes(cells[0], fitted, self.min_score))
        return boxes


def _decode_boxes(cells: NDArray[np.float32], fitted: FittedPicture, min_score: float) -> list[Box]:
    """The boxes in the network's output (cells x 6) for one picture."""
    scores = cells[:, 4] * cells[:, 5]
    likely = scores >= min_score
    centre, half, scores = cells[likely, :2], cells[likely, 2:4] / 2, scores[likely]
    xyxy = np.concatenate([centre - half, centre + half], axis=1)
    kept = nms(xyxy, scores, NMS_IOU)
    return fitted.to_boxes(xyxy[kept], scores[kept])


def _read_card(path: Path) -> dict[str, Any]:
    """The JSON beside a model: model_id, sha256, input_size, input_step, and facts for readers."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        has_texts = isinstance(card["model_id"], str) and isinstance(card["sha256"], str)
        if not (has_texts and isinstance(card["input_size"], int) and isinstance(card["input_step"], int)):
            raise TypeError("model_id and sha256 must be text, input_size and input_step whole numbers")
    except OSError as error:
        raise ModelError(
            f"{path}: a detector needs this file beside its ONNX file ({error.strerror}); "
            "put it there, or reinstall trapmeter if it belongs to the built-in detector"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: expected JSON with model_id, sha256, input_size and input_step: {error_text(error)}; "
            "convert the model again, or reinstall trapmeter if it belongs to the built-in detector"
        ) from error
    return dict(card)


def _check_sha256(path: Path, sha256: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot read the detector's ONNX file ({error.strerror}); "
            "put it there, or reinstall trapmeter if it is the built-in one"
        ) from error
    if found != sha256:
        raise ModelError(
            f"{path}: this file is damaged, or another model than its JSON describes: expected sha256 {sha256}, got {found}; "
            "convert the model again, or reinstall trapmeter if it is the built-in one"
        )
