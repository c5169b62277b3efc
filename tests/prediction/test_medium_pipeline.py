from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import MakeClip
from fakes import BrightDetector
from trapmeter.prediction.medium_pipeline import NOT_IN_TABLE, MediumTask, WorkerModels, process_medium
from trapmeter.records import Box, Medium, MediumKind, Status
from trapmeter.tables.boxes import MediumBoxes


def task(path: Path, **changes: object) -> MediumTask:
    kind = MediumKind.PHOTO if path.suffix in (".jpg", ".png") else MediumKind.VIDEO
    return replace(MediumTask(Medium(path.name, path, kind), None, 1.0), **changes)


@pytest.fixture
def clip(make_clip: MakeClip) -> Path:
    return make_clip("observed.mp4", n=100, rate=10)


def test_every_second_asked_for_has_an_answer(clip: Path) -> None:
    seen = process_medium(task(clip), WorkerModels(BrightDetector()))
    assert [second.time_s for second in seen.seconds] == list(range(10))
    assert {second.status for second in seen.seconds} <= {Status.MEASURED, Status.NO_ANIMAL}
    assert not seen.has_failed
    assert seen.length_s == 10.0


def test_times_past_the_end_are_answered(clip: Path) -> None:
    seen = process_medium(task(clip, times_s=(0.0, 9.9, 10.0, 60.0)), WorkerModels(BrightDetector()))
    assert [second.status is Status.PAST_END for second in seen.seconds] == [False, False, True, True]
    assert seen.seconds[2].reason == "the video ends at 10.00 s"


def test_pictures_go_to_the_detector_one_by_one_and_repeated_ones_once(make_clip: MakeClip) -> None:
    from fractions import Fraction

    detector = BrightDetector()
    process_medium(task(make_clip("single.mp4", n=200, rate=10)), WorkerModels(detector))
    assert detector.batches == [1] * 20
    detector = BrightDetector()
    still = make_clip("slow.mkv", pts=[0, 9000, 18000], time_base=Fraction(1, 1000), rate=1000)
    assert len(process_medium(task(still), WorkerModels(detector)).seconds) >= 18
    assert sum(detector.batches) == 3


def test_a_broken_medium_becomes_failed_rows_for_what_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"bad" * 1000)
    assert [s.time_s for s in process_medium(task(path), WorkerModels(BrightDetector())).seconds] == [0.0]
    seen = process_medium(task(path, times_s=(3.0, 4.0)), WorkerModels(BrightDetector()))
    assert [(s.time_s, s.status) for s in seen.seconds] == [(3.0, Status.FAILED), (4.0, Status.FAILED)]
    assert "Invalid data" in seen.failure
    gone = process_medium(task(tmp_path / "gone.mp4"), WorkerModels(BrightDetector()))
    assert gone.failure == "No such file or directory"


def test_a_photo_is_second_0(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((90, 90, 3), 200, np.uint8)).save(path)
    (second,) = process_medium(task(path), WorkerModels(BrightDetector())).seconds
    assert (second.time_s, second.status, second.animal_ids) == (0.0, Status.MEASURED, (1,))
    (late,) = process_medium(task(path, times_s=(2.0,)), WorkerModels(BrightDetector())).seconds
    assert late.status is Status.PAST_END


def test_boxes_of_a_table_need_no_detector(clip: Path) -> None:
    strong, weak = Box(0.1, 0.1, 0.3, 0.3, 0.9), Box(0.5, 0.5, 0.6, 0.6, 0.05)
    boxes = MediumBoxes("observed.mp4", ((1.0, (strong, weak)), (2.0, (weak,)), (12.0, (strong,))))
    seen = process_medium(task(clip, times_s=(0.0, 1.0, 2.0, 12.0), boxes=boxes, min_score=0.1), WorkerModels())
    assert [s.status for s in seen.seconds] == [Status.NO_ANIMAL, Status.MEASURED, Status.NO_ANIMAL, Status.PAST_END]
    assert seen.seconds[1].boxes == (strong,)


def test_seconds_that_a_table_tells_nothing_of_say_so(clip: Path) -> None:
    animal = Box(0.1, 0.1, 0.3, 0.3, 0.9)
    boxes = MediumBoxes("observed.mp4", ((1.0, (animal,)), (2.0, ())), is_exhaustive=True)
    seen = process_medium(task(clip, times_s=(1.0, 2.0, 3.0), boxes=boxes), WorkerModels())
    assert [(s.status, s.reason) for s in seen.seconds] == [
        (Status.MEASURED, ""),
        (Status.NO_ANIMAL, ""),
        (Status.NO_ANIMAL, NOT_IN_TABLE),
    ]


def test_boxes_of_a_video_need_a_time(clip: Path) -> None:
    boxes = MediumBoxes("observed.mp4", untimed=(Box(0.1, 0.1, 0.3, 0.3, 0.9),))
    assert "doesn't tell when" in process_medium(task(clip, boxes=boxes), WorkerModels()).failure


def test_a_failure_in_a_table_is_the_mediums_failure(clip: Path) -> None:
    seen = process_medium(task(clip, boxes=MediumBoxes("observed.mp4", failure="Failure image access")), WorkerModels())
    assert seen.failure == "Failure image access"


def test_an_animal_keeps_its_id_from_second_to_second(clip: Path) -> None:
    left, right = Box(0.1, 0.4, 0.3, 0.8, 0.9), Box(0.7, 0.4, 0.9, 0.8, 0.8)
    boxes = MediumBoxes("observed.mp4", ((0.0, (left,)), (1.0, (right, left)), (2.0, (left, right))))
    seen = process_medium(task(clip, times_s=(0.0, 1.0, 2.0), boxes=boxes), WorkerModels())
    ids = [dict(zip(second.boxes, second.animal_ids, strict=True)) for second in seen.seconds]
    assert [of[left] for of in ids] == [1, 1, 1]
    assert ids[1][right] == ids[2][right] == 2
