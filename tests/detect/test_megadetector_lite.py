"""MegadetectorLite: decoding, real pictures, and checks of its files."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detect.pictures import drawn_animal, noise, read_still
from trapmeter.detect import megadetector_lite
from trapmeter.detect.megadetector_lite import EMBEDDED, MegadetectorLite
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.errors import InputError, ModelError
from trapmeter.geometry import iou
from trapmeter.media.opening import open_medium
from trapmeter.records import Frame, Medium, MediumKind, ModelIdentity, Pixels

INT8, PUBLISHED = EMBEDDED[DetectorPrecision.INT8], EMBEDDED[DetectorPrecision.FLOAT32]
CARD = INT8.with_suffix(".json")


class FakeSession:
    """Returns the same cells for every picture and records the pictures' sizes."""

    def __init__(self, cells: list[list[float]]) -> None:
        self.cells = np.array(cells, dtype=np.float32).reshape(-1, 6)
        self.sizes: list[tuple[int, ...]] = []

    def run(self, output_names: list[str] | None, feed: dict[str, Any]) -> list[Any]:
        pictures = feed["pictures"]
        assert pictures.dtype == np.uint8 and len(pictures) == 1
        self.sizes.append(pictures.shape[1:])
        return [self.cells[None]]


def fake(cells: list[list[float]], step: int = 640, **settings: Any) -> MegadetectorLite:
    return MegadetectorLite(FakeSession(cells), ModelIdentity("fake", "0" * 64), 640, step, **settings)


def test_no_pictures_give_no_boxes(detector: MegadetectorLite) -> None:
    assert detector.detect([]) == []


def test_cells_become_fractions_best_first() -> None:
    cells = [[160, 90, 64, 36, 0.5, 0.8], [480, 180, 128, 72, 0.9, 0.9]]
    (boxes,) = fake(cells).detect([noise(360, 640)])
    assert [box.score for box in boxes] == pytest.approx([0.81, 0.4])
    assert boxes[0].xyxy == pytest.approx((416 / 640, 144 / 360, 544 / 640, 216 / 360))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ([320, 350, 100, 100, 1, 1], (270 / 640, 300 / 360, 370 / 640, 1.0)),  # extends into the black margin
        ([0, 0, 20, 20, 1, 1], (0.0, 0.0, 10 / 640, 10 / 360)),
        ([320, 500, 100, 100, 1, 1], None),  # entirely in the margin
        ([320, 180, 0, 50, 1, 1], None),  # no width
    ],
)
def test_boxes_are_clipped_and_dropped_without_area(
    cell: list[float], expected: tuple[float, float, float, float] | None
) -> None:
    (boxes,) = fake([cell]).detect([noise(360, 640)])
    assert [box.xyxy for box in boxes] == ([pytest.approx(expected)] if expected else [])


def test_a_score_equal_to_the_threshold_counts() -> None:
    cells = [[100, 100, 50, 50, 0.5, 0.5], [400, 100, 50, 50, 0.49, 0.5]]
    (boxes,) = fake(cells, min_score=0.25).detect([noise(640, 640)])
    assert [box.score for box in boxes] == [0.25]


@pytest.mark.parametrize(("step", "size"), [(640, (640, 640, 3)), (32, (384, 640, 3))])
def test_the_canvas_is_no_larger_than_its_step_requires(step: int, size: tuple[int, ...]) -> None:
    detector = fake([], step)
    assert detector.detect([noise(90, 160)] * 2) == [[], []]
    assert detector.session.sizes == [size] * 2  # type: ignore[attr-defined]


def test_its_identity_is_that_of_its_file(detector: MegadetectorLite) -> None:
    path = INT8 if detector.step == 32 else PUBLISHED
    assert detector.identity.model_id == "megadetector-lite-20220528" + ("-int8" if path == INT8 else "")
    assert detector.identity.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert detector.input_hw == (640, 640)


def test_the_card_states_the_settings_of_the_code() -> None:
    card = json.loads(CARD.read_text(encoding="utf-8"))
    assert card["default_min_score"] == megadetector_lite.DEFAULT_MIN_SCORE
    assert card["nms_iou"] == megadetector_lite.NMS_IOU
    assert "DrivenData" in (INT8.parent / card["licence_file"]).read_text(encoding="utf-8")


def test_it_detects_a_drawn_animal_and_nothing_in_noise(detector: MegadetectorLite) -> None:
    found, nothing, black = detector.detect([drawn_animal(), noise(300, 400), np.zeros((200, 300, 3), dtype=np.uint8)])
    assert found and found == sorted(found, key=lambda box: -box.score)
    assert nothing == black == []


def pictures_of_all_shapes() -> list[Pixels]:
    animal = drawn_animal()
    return [animal, animal[:, ::-1].copy(), animal[:, 150:500].copy(), animal[::3, ::3].copy(), noise(64, 300)]


def test_the_8_bit_network_detects_what_the_published_one_does() -> None:
    published, int8 = (MegadetectorLite.load(path).detect(pictures_of_all_shapes()) for path in (PUBLISHED, INT8))
    assert sum(map(len, published)) >= 3
    for expected, found in zip(published, int8, strict=True):
        assert len(found) == len(expected)
        for box, published_box in zip(found, expected, strict=True):
            assert iou(np.array([box.xyxy]), np.array([published_box.xyxy]))[0, 0] > 0.8
            assert box.score == pytest.approx(published_box.score, abs=0.15)


@pytest.mark.slow
def test_real_photographs_of_animals_get_a_box_and_blanks_none(detector: MegadetectorLite, shared: Path) -> None:
    names = sorted(path.name for path in (shared / "stills").glob("ena24_*.jpg"))
    found = [detector.detect([read_still(shared, name)])[0] for name in names]
    assert len(names) == 6 and sum(map(bool, found)) >= 5
    assert detector.detect([read_still(shared, f"blank{number}.jpg") for number in ("", "2", "3")]) == [[], [], []]


def test_the_opossum_is_boxed_where_it_stands(detector: MegadetectorLite, shared: Path) -> None:
    (box,) = detector.detect([read_still(shared, "ena24_2480.jpg")])[0]
    assert box.xyxy == pytest.approx((0.74, 0.44, 0.92, 0.78), abs=0.02)


@pytest.mark.slow
def test_chimpanzees_are_found_through_most_of_a_real_video(detector: MegadetectorLite, shared: Path) -> None:
    video = Medium("chimps.mp4", shared / "clips" / "real" / "chimps.mp4", MediumKind.VIDEO)
    with open_medium(video) as reader:
        frames = [frame for frame in reader.frames([float(second) for second in range(15)]) if isinstance(frame, Frame)]
    assert len(frames) == 15
    assert sum(map(bool, detector.detect([frame.pixels for frame in frames]))) >= 12


def copied(folder: Path) -> Path:
    for path in (INT8, CARD):
        shutil.copy(path, folder)
    return folder / INT8.name


@pytest.mark.parametrize("path", [INT8, PUBLISHED])
def test_the_number_of_threads_does_not_change_a_bit(path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (1, 640, 640, 3), np.uint8)
    single, several = (
        MegadetectorLite.load(path, threads=threads).session.run(None, {"pictures": pictures}) for threads in (1, 3)
    )
    np.testing.assert_array_equal(single[0], several[0])


def test_a_copy_in_another_folder_works(tmp_path: Path) -> None:
    assert MegadetectorLite.load(copied(tmp_path)).identity == MegadetectorLite.load().identity


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = copied(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"damaged.*expected sha256 .*got .*reinstall"):
        MegadetectorLite.load(path)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(b"not a model")
    sha256 = hashlib.sha256(b"not a model").hexdigest()
    card = {"model_id": "other", "sha256": sha256, "input_size": 640, "input_step": 32}
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match="onnxruntime cannot open"):
        MegadetectorLite.load(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.json.*beside"):
        MegadetectorLite.load(tmp_path / "absent.onnx")
    shutil.copy(CARD, tmp_path)
    with pytest.raises(ModelError, match=r"megadetector_lite_int8\.onnx.*cannot read"):
        MegadetectorLite.load(tmp_path / INT8.name)


@pytest.mark.parametrize(
    "card", ["", "[]", "{}", '{"model_id": "a", "sha256": "b", "input_size": "640", "input_step": 32}']
)
def test_a_broken_card_is_refused(tmp_path: Path, card: str) -> None:
    (tmp_path / "model.json").write_text(card, encoding="utf-8")
    with pytest.raises(ModelError, match="expected JSON with model_id"):
        MegadetectorLite.load(tmp_path / "model.onnx")


@pytest.mark.parametrize("invalid", [{"min_score": -0.1}, {"min_score": 1.5}, {"threads": 0}])
def test_settings_are_checked(invalid: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="the detector"):
        MegadetectorLite.load(**invalid)
