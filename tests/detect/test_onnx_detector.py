"""Detectors that users bring: each head finds what is where, and files that are no such detectors are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from detector_networks import BLUE, HEADS, NAMES, RED, make_detector, onnx, paint
from trapmeter.detect.onnx_detector import OnnxDetector
from trapmeter.detect.onnx_heads import find_head
from trapmeter.detect.onnx_input import read_input
from trapmeter.detect.onnx_metadata import Metadata
from trapmeter.errors import ModelError
from trapmeter.files import sha256_of

PLACE = (0.5, 0.25, 0.75, 0.5)
ELSEWHERE = (0.1, 0.6, 0.3, 0.9)


def load(path: Path, **settings: Any) -> OnnxDetector:
    return OnnxDetector.load(path, **{"min_score": 0.2, **settings})


@pytest.mark.parametrize("picture_hw", [(720, 1280), (600, 800), (1280, 720), (90, 160)])
@pytest.mark.parametrize("head", HEADS)
def test_each_head_finds_an_animal_where_it_is(tmp_path: Path, head: str, picture_hw: tuple[int, int]) -> None:
    detector = load(make_detector(tmp_path / "a.onnx", head))
    (boxes,) = detector.detect([paint(*picture_hw, (PLACE, RED))])
    (box,) = boxes
    assert box.xyxy == pytest.approx(PLACE, abs=0.015)
    assert box.score == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("head", HEADS)
def test_a_person_is_no_animal(tmp_path: Path, head: str) -> None:
    detector = load(make_detector(tmp_path / "a.onnx", head))
    only_person, both, nothing = detector.detect(
        [
            paint(360, 640, (PLACE, BLUE)),
            paint(360, 640, (PLACE, BLUE), (ELSEWHERE, RED)),
            paint(360, 640),
        ]
    )
    assert only_person == nothing == []
    assert [box.xyxy for box in both] == [pytest.approx(ELSEWHERE, abs=0.015)]
    assert detector.other_classes == ("person", "vehicle")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("changes", [{"is_half": True}, {"is_channels_last": True}, {"size_hw": (320, 320)}])
def test_types_layouts_and_sizes(tmp_path: Path, head: str, changes: dict[str, Any]) -> None:
    detector = load(make_detector(tmp_path / "a.onnx", head, **changes))
    (boxes,) = detector.detect([paint(360, 640, (PLACE, RED))])
    assert [box.xyxy for box in boxes] == [pytest.approx(PLACE, abs=0.015)]


class Recorded:
    """A session that keeps the shape and range of what it gets."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.shapes: list[tuple[int, ...]] = []
        self.values: list[np.ndarray[Any, Any]] = []

    def run(self, names: list[str] | None, feed: dict[str, Any]) -> list[Any]:
        self.shapes.append(feed["images"].shape)
        self.values.append(feed["images"])
        return list(self.session.run(names, feed))


@pytest.mark.parametrize(
    ("metadata", "shape"),
    [
        ({}, (1, 3, 384, 640)),
        ({"stride": "64"}, (1, 3, 768, 1280)),
        ({"imgsz": "[320, 320]", "stride": "32"}, (1, 3, 192, 320)),
        ({"imgsz": "320"}, (1, 3, 192, 320)),
        ({"stride": "[8, 16, 64]", "imgsz": "(1280, 1280)"}, (1, 3, 768, 1280)),
    ],
)
def test_a_network_of_any_size_gets_that_of_its_metadata(
    tmp_path: Path, metadata: dict[str, str], shape: tuple[int, ...]
) -> None:
    path = make_detector(tmp_path / "a.onnx", size_hw=("height", "width"), metadata={**NAMES, **metadata}, batch="n")
    detector = load(path)
    session = Recorded(detector.session)
    watched = replace(detector, session=session)
    (boxes,) = watched.detect([paint(720, 1280, (PLACE, RED))])
    assert session.shapes == [shape]
    assert [box.xyxy for box in boxes] == [pytest.approx(PLACE, abs=0.015)]
    assert detector.input_hw == (max(shape), max(shape))


def test_the_picture_lies_between_grey_margins_in_values_from_0_to_1(tmp_path: Path) -> None:
    detector = load(make_detector(tmp_path / "a.onnx", size_hw=(320, 320)))
    session = Recorded(detector.session)
    replace(detector, session=session).detect([np.full((180, 320, 3), 255, np.uint8)])
    ((picture,),) = session.values
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture[:, :70], 114 / 255, rtol=1e-6)
    np.testing.assert_allclose(picture[:, 70:250], 1)
    np.testing.assert_allclose(picture[:, 250:], 114 / 255, rtol=1e-6)


def test_a_stretched_picture_may_come_twice_as_large(tmp_path: Path) -> None:
    assert load(make_detector(tmp_path / "a.onnx", "rtdetr", size_hw=(320, 320))).input_hw == (640, 640)


def test_neighbouring_boxes_of_one_animal_become_the_best(tmp_path: Path) -> None:
    for head in ("yolov5", "yolov8"):
        detector = load(make_detector(tmp_path / "a.onnx", head), min_score=0.0)
        (boxes,) = detector.detect([paint(360, 640, (PLACE, RED))])
        near = [box for box in boxes if box.score > 0.5]
        assert [box.xyxy for box in near] == [pytest.approx(PLACE, abs=0.015)]


def test_boxes_below_the_threshold_are_dropped(tmp_path: Path) -> None:
    path = make_detector(tmp_path / "a.onnx", score=0.5)
    picture = paint(360, 640, (PLACE, RED))
    assert [len(load(path, min_score=score).detect([picture])[0]) for score in (0.49, 0.51)] == [1, 0]


def test_its_identity_is_the_files(tmp_path: Path) -> None:
    path = make_detector(tmp_path / "md_v5a.0.0.onnx")
    identity = load(path).identity
    assert (identity.model_id, identity.sha256) == ("md_v5a.0.0.onnx", sha256_of(path))


def test_classes_come_from_the_metadata_in_any_order(tmp_path: Path) -> None:
    """A red thing is of class 0, which is a person here."""
    metadata = {"names": "{0: 'person', 1: ' Animal', 2: 'vehicle'}"}
    detector = load(make_detector(tmp_path / "a.onnx", metadata=metadata))
    red, blue = detector.detect([paint(360, 640, (PLACE, RED)), paint(360, 640, (PLACE, BLUE))])
    assert red == [] and len(blue) == 1
    assert detector.other_classes == ("person", "vehicle")


def test_without_names_classes_are_megadetectors(tmp_path: Path) -> None:
    detector = load(make_detector(tmp_path / "a.onnx", metadata={}))
    assert detector.classes == ("animal", "person", "vehicle")


def test_old_exports_of_yolov5_have_other_outputs_beside_the_boxes(tmp_path: Path) -> None:
    detector = load(make_detector(tmp_path / "a.onnx", extra_output=(1, 3, 24, 40, 8)))
    assert len(detector.detect([paint(360, 640, (PLACE, RED))])[0]) == 1


@pytest.mark.parametrize(
    ("n", "rows", "last", "expected"),
    [
        (1, (1, 300, 6), 0.0, "YOLOv10"),
        (1, (1, 25200, 6), 0.0, "YOLOv5"),
        (1, (1, 300, 5), 0.5, "RT-DETR"),
        (1, (1, 5, 8400), 0.5, "YOLOv8"),
        (2, (1, 300, 6), 1.0, "YOLOv10"),
        (2, (1, 300, 6), 0.25, "RT-DETR"),
        (2, (1, 6, 8400), 0.25, "YOLOv8"),
        (3, (1, 300, 7), 0.25, "RT-DETR"),
        (80, (1, 84, 8400), 0.25, "YOLOv8"),
        (80, (1, 25200, 85), 0.25, "YOLOv5"),
        (80, (1, 300, 6), 0.0, "YOLOv10"),
    ],
)
def test_heads_with_any_number_of_classes(n: int, rows: tuple[int, ...], last: float, expected: str) -> None:
    head = find_head(Path("a.onnx"), ["output0"], [np.full(rows, last, np.float32)], [f"class {i}" for i in range(n)])
    assert head.name == expected


@pytest.mark.parametrize("shape", [(1, 300, 9), (1, 25200, 7), (300, 6), (2, 300, 6), (1, 3, 24, 40, 8), ()])
def test_unknown_outputs_are_named_with_those_that_are_known(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx: no known head.*boxes \(.*YOLOv5 \(1, more than 1000, 8\).*animal"):
        find_head(Path("a.onnx"), ["boxes"], [np.zeros(shape)], ["animal", "person", "vehicle"])


def test_two_outputs_that_both_may_be_boxes_are_ambiguous(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"several heads.*output0 \(1, 7, 500\), extra \(1, 7, 300\)"):
        load(make_detector(tmp_path / "a.onnx", "yolov8", extra_output=(1, 7, 300)))


@pytest.mark.parametrize(
    "names",
    [
        "__import__('os').system('true')",
        "{0: 'animal', 2: 'person'}",
        "{0: 'animal', 'x': 'person'}",
        "{'0': 'animal'}",
        "{0: 1, 1: 2, 2: 3}",
        "{0: 'animal\\n', 1: 'person', 2: 'vehicle'}",
        "[" * 10_000,
        "-" * 10_000 + "1",
        "{0: 'animal'" + " " * 200_000 + "}",
        "[]",
        "animal, person",
        "",
        "['animal', " + "'x'," * 20_000 + "]",
        "['" + "a" * 200 + "']",
        "{0: 'animal', 1: {}}",
    ],
)
def test_names_that_no_exporter_writes_are_refused(tmp_path: Path, names: str) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx: its metadata can't be read.*names"):
        load(make_detector(tmp_path / "a.onnx", metadata={"names": names}))


@pytest.mark.parametrize(
    "metadata",
    [
        {"imgsz": "[640]"},
        {"imgsz": "0"},
        {"imgsz": "[640, 10**9]"},
        {"imgsz": "99999"},
        {"imgsz": "'640'"},
        {"stride": "0"},
        {"stride": "32.5"},
        {"stride": "1e999"},
        {"stride": "[]"},
        {"stride": "9" * 5000},
    ],
)
def test_sizes_that_no_exporter_writes_are_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="its metadata can't be read"):
        load(make_detector(tmp_path / "a.onnx", metadata={**NAMES, **metadata}))


def test_a_detector_of_other_things_is_refused(tmp_path: Path) -> None:
    metadata = {"names": "{0: 'cat', 1: 'dog', 2: 'car'}"}
    with pytest.raises(ModelError, match="a class named animal, got cat, dog, car"):
        load(make_detector(tmp_path / "a.onnx", metadata=metadata))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ([8, 3, 64, 64], "tensor(float)"),
        ([1, 1, 64, 64], "tensor(float)"),
        ([1, 3, 64, 100_000], "tensor(float)"),
        ([1, 3, 0, 64], "tensor(float)"),
        ([1, 3, 64, 64], "tensor(uint8)"),
        ([3, 64, 64], "tensor(float)"),
    ],
)
def test_other_inputs_are_refused(shape: list[int], dtype: str) -> None:
    node = SimpleNamespace(name="images", type=dtype, shape=shape)
    with pytest.raises(ModelError, match=r"a\.onnx: expected one input of shape \(1, 3, height, width\).*got images"):
        read_input(Path("a.onnx"), [node], Metadata())


def test_a_second_input_is_refused(tmp_path: Path) -> None:
    path = make_detector(tmp_path / "a.onnx")
    model = onnx.load(path)
    model.graph.input.append(onnx.helper.make_tensor_value_info("pixel_mask", onnx.TensorProto.INT64, [1, 64, 64]))
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"got images .*, pixel_mask tensor\(int64\)"):
        load(path)


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    path = make_detector(tmp_path / "a.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ModelError, match="weights from another file"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(100)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.onnx: (not opened|expected an ONNX model)"):
        load(path)


def test_missing_and_too_large_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such file"):
        load(tmp_path)
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2_000_000_001)
    with pytest.raises(ModelError, match="too large: expected at most"):
        load(path)


@pytest.mark.parametrize(("factor", "reason"), [(float("nan"), "not finite"), (9.0, "expected scores of 0 to 1")])
def test_values_that_no_detector_writes_are_refused(tmp_path: Path, factor: float, reason: str) -> None:
    path = make_detector(tmp_path / "a.onnx", "yolov8", factor=factor)
    with pytest.raises(ModelError, match=reason):
        # The empty picture at loading has only scores of 0, which no factor changes.
        load(path).detect([paint(360, 640, (PLACE, RED))])


class Replaced:
    """A session with the given outputs."""

    def __init__(self, *outputs: Any) -> None:
        self.outputs = list(outputs)

    def run(self, names: list[str] | None, feed: dict[str, Any]) -> list[Any]:
        return self.outputs


def replaced(detector: OnnxDetector, *outputs: Any) -> OnnxDetector:
    return replace(detector, session=Replaced(*outputs))


def test_outputs_that_change_are_refused(tmp_path: Path) -> None:
    detector = load(make_detector(tmp_path / "a.onnx", "yolov10"))
    picture = paint(360, 640)
    assert replaced(detector, np.zeros((1, 0, 6), np.float32)).detect([picture]) == [[]]
    for outputs in ([np.zeros((1, 300, 7))], [np.zeros((1, 6))]):
        with pytest.raises(ModelError, match=r"expected the outputs of YOLOv10, got \(1, "):
            replaced(detector, *outputs).detect([picture])
    foreign = np.zeros((1, 300, 6), np.float32)
    foreign[0, 0] = (0, 0, 9, 9, 0.9, 7)
    with pytest.raises(ModelError, match="expected the numbers of 3 classes, got 7"):
        replaced(detector, foreign).detect([picture])
    listed = load(make_detector(tmp_path / "b.onnx", "listed"))
    with pytest.raises(ModelError, match="expected the outputs of RT-DETR"):
        replaced(listed, np.zeros((1, 9)), np.zeros((1, 8, 4)), np.zeros((1, 9))).detect([picture])


def test_thousands_of_likely_cells_are_compared_in_reasonable_time(tmp_path: Path) -> None:
    detector = load(make_detector(tmp_path / "a.onnx", "yolov8"), min_score=0.0)
    rng = np.random.default_rng(0)
    cells = np.concatenate([rng.uniform(20, 170, (1, 4, 50_000)), rng.uniform(0, 1, (1, 3, 50_000))], axis=1)
    (boxes,) = replaced(detector, cells.astype(np.float32)).detect([paint(192, 320)])
    assert 0 < len(boxes) <= 1000
    assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)
