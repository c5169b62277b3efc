"""Runs a detector that the user brings as an ONNX file, such as an export of MegaDetector, in place of the embedded one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trapmeter.detect.letterbox import FittedPicture, letterbox, stretch
from trapmeter.detect.onnx_heads import FoundBoxes, Head, find_head
from trapmeter.detect.onnx_input import NetworkInput, read_input
from trapmeter.detect.onnx_metadata import read_metadata
from trapmeter.detect.session import Session, open_session
from trapmeter.errors import ModelError
from trapmeter.files import sha256_of
from trapmeter.geometry import nms
from trapmeter.models.bundle import MAX_NETWORK_BYTES
from trapmeter.models.onnx_check import check_onnx
from trapmeter.models.runtimes.onnx_runtime import release_memory
from trapmeter.records import Box, ModelIdentity, Pixels

ANIMAL = "animal"
MARGIN = 114
"""Grey level of the margins in the pictures that YOLO's networks are trained on."""
NMS_IOU = 0.45
"""Overlap above which two boxes of a raw head show one animal: YOLOv5's setting, which MegaDetector's authors keep."""
SAME_BOX_IOU = 0.95
"""Overlap above which two boxes of a head that selects them itself are one box, listed once for each of its classes."""
MAX_CANDIDATES = 1000
"""The most boxes of a picture that are compared, best first: a low min_score lets tens of thousands of cells pass."""
MAX_NAME_LENGTH = 200


@dataclass(frozen=True)
class OnnxDetector:
    """A detector from an ONNX file, ready to run. Create it with `load`.

    Only boxes whose best class is `animal` count. classes: all of its classes. min_score: boxes below this are dropped.
    picture_s: how long it took for a picture when it was opened, seconds.
    """

    path: Path
    session: Session
    identity: ModelIdentity
    network_input: NetworkInput
    head: Head
    classes: tuple[str, ...]
    min_score: float
    picture_s: float

    @classmethod
    def load(cls, path: Path, *, min_score: float, threads: int = 1) -> OnnxDetector:
        """Checks and opens a detector, and runs it once to see how it writes its boxes.

        Args:
            path: an ONNX file.
            min_score: boxes below this score (0..1) are dropped.
            threads: the number of CPU threads.

        Raises:
            ModelError: the file is missing, damaged, not safe to open, or none of the detectors that trapmeter knows.
        """
        _check_file(path)
        identity = ModelIdentity(_printable_name(path), sha256_of(path))
        session = open_session(path, threads, "export it again")
        release_memory()
        metadata = read_metadata(path, session.get_modelmeta().custom_metadata_map)
        if ANIMAL not in map(_normalised, metadata.classes):
            raise ModelError(
                f"{path}: expected a detector with a class named {ANIMAL}, got {', '.join(metadata.classes)[:200]}; use "
                "another detector, or rename the class in the file's metadata"
            )
        network_input = read_input(path, session.get_inputs(), metadata)
        grey = np.full((*network_input.size_hw, 3), MARGIN, np.uint8)
        started = time.perf_counter()
        outputs = _run(path, session, network_input, grey)
        picture_s = time.perf_counter() - started
        head = find_head(path, [node.name for node in session.get_outputs()], outputs, metadata.classes)
        head.read(path, outputs, network_input.size_hw)
        return cls(path, session, identity, network_input, head, metadata.classes, min_score, picture_s)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width to which pictures may be scaled down before detection, pixels.

        Twice the network's for a stretched one: a wide picture that fits into the network's input would lack half the rows.
        """
        height, width = self.network_input.size_hw
        return (2 * height, 2 * width) if self.head.is_stretched else (height, width)

    @property
    def other_classes(self) -> tuple[str, ...]:
        """The classes whose boxes are left out, such as person and vehicle."""
        return tuple(name for name in self.classes if _normalised(name) != ANIMAL)

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        """Animals' boxes of each picture (uint8, height x width x 3, RGB), best score first. Pictures may differ in size.

        Raises:
            ModelError: the network fails, or its output is not what it was when it was opened.
        """
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Pixels) -> list[Box]:
        fitted = self._fit(picture)
        outputs = _run(self.path, self.session, self.network_input, fitted.canvas)
        found = self.head.read(self.path, outputs, fitted.canvas.shape[:2])
        likely = found.scores >= self.min_score
        found = FoundBoxes(found.xyxy[likely], found.scores[likely], found.classes[likely])
        if found.classes.size and found.classes.max() >= len(self.classes):
            raise ModelError(
                f"{self.path}: expected the numbers of {len(self.classes)} classes, got {found.classes.max()}; export it "
                "again with its class names"
            )
        kept = self._select(found)
        return fitted.to_boxes(found.xyxy[kept], found.scores[kept])

    def _fit(self, picture: Pixels) -> FittedPicture:
        size_hw, step_hw = self.network_input.size_hw, self.network_input.step_hw
        if self.head.is_stretched:
            return stretch(picture, size_hw)
        return letterbox(picture, size_hw, step_hw, margin=MARGIN, is_centred=True)

    def _select(self, found: FoundBoxes) -> NDArray[np.intp]:
        """Positions of the animals' boxes, best first, each animal once."""
        animals = [number for number, name in enumerate(self.classes) if _normalised(name) == ANIMAL]
        is_animal = np.isin(found.classes, animals)
        order = np.argsort(-found.scores, kind="stable")
        if self.head.is_raw:
            order = order[is_animal[order]]
        order = order[:MAX_CANDIDATES]
        # Where a box is listed once for each class, the best one decides whether it is an animal.
        kept = order[nms(found.xyxy[order], found.scores[order], NMS_IOU if self.head.is_raw else SAME_BOX_IOU)]
        return kept[is_animal[kept]]


def _check_file(path: Path) -> None:
    try:
        if not path.is_file():
            raise ModelError(
                f"{path}: expected the ONNX file of a detector, but there is no such file; correct the path"
            )
        size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror}); correct the path or its permissions") from error
    if size > MAX_NETWORK_BYTES:
        raise ModelError(
            f"{path}: too large: expected at most {MAX_NETWORK_BYTES:,} bytes, got {size:,}; use a smaller detector"
        )
    check_onnx(path)


def _run(path: Path, session: Session, network_input: NetworkInput, canvas: Pixels) -> list[NDArray[Any]]:
    try:
        return [np.asarray(output) for output in session.run(None, network_input.feed(canvas))]
    except Exception as error:  # onnxruntime's exceptions share no other base class
        raise ModelError(f"{path}: onnxruntime can't run the detector ({error}); export it again") from error


def _normalised(name: str) -> str:
    return name.strip().casefold()


def _printable_name(path: Path) -> str:
    """The file's name, safe in tables, reports and terminals."""
    return "".join(mark if mark.isprintable() else "?" for mark in path.name)[-MAX_NAME_LENGTH:]
