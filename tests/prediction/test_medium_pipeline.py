"""One medium from file to result: seconds, boxes, failures and tracks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import MakeClip
from fakes import BrightDetector
from prediction_world import medium_task
from trapmeter.prediction.medium_pipeline import NOT_IN_TABLE, WorkerModels, process_medium
from trapmeter.records import Box, Status
from trapmeter.tables.boxes import MediumBoxes


@pytest.fixture
def clip(make_clip: MakeClip) -> Path:
    return make_clip("medium.mp4", n=100, rate=10)


def test_every_requested_second_has_a_result(clip: Path) -> None:
    result = process_medium(medium_task(clip), WorkerModels(BrightDetector()))
    assert [second.time_s for second in result.seconds] == list(range(10))
    assert {second.status for second in result.seconds} <= {Status.MEASURED, Status.NO_ANIMAL}
    assert not result.has_failed
    assert result.length_s == 10.0


def test_times_past_the_end_get_that_status(clip: Path) -> None:
    result = process_medium(medium_task(clip, times_s=(0.0, 9.9, 10.0, 60.0)), WorkerModels(BrightDetector()))
    assert [second.status is Status.PAST_END for second in result.seconds] == [False, False, True, True]
    assert result.seconds[2].reason == "the video ends at 10.00 s"


def test_the_detector_gets_pictures_one_by_one_and_repeated_ones_once(make_clip: MakeClip) -> None:
    from fractions import Fraction

    detector = BrightDetector()
    process_medium(medium_task(make_clip("single.mp4", n=200, rate=10)), WorkerModels(detector))
    assert detector.batches == [1] * 20
    detector = BrightDetector()
    still = make_clip("slow.mkv", pts=[0, 9000, 18000], time_base=Fraction(1, 1000), rate=1000)
    assert len(process_medium(medium_task(still), WorkerModels(detector)).seconds) >= 18
    assert sum(detector.batches) == 3


def test_a_broken_medium_gives_failed_rows_for_the_requested_seconds(tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"bad" * 1000)
    assert [s.time_s for s in process_medium(medium_task(path), WorkerModels(BrightDetector())).seconds] == [0.0]
    result = process_medium(medium_task(path, times_s=(3.0, 4.0)), WorkerModels(BrightDetector()))
    assert [(s.time_s, s.status) for s in result.seconds] == [(3.0, Status.FAILED), (4.0, Status.FAILED)]
    assert "Invalid data" in result.failure
    gone = process_medium(medium_task(tmp_path / "gone.mp4"), WorkerModels(BrightDetector()))
    assert gone.failure == "No such file or directory"


def test_a_photo_has_second_0_only(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((90, 90, 3), 200, np.uint8)).save(path)
    (second,) = process_medium(medium_task(path), WorkerModels(BrightDetector())).seconds
    assert (second.time_s, second.status, second.animal_ids) == (0.0, Status.MEASURED, (1,))
    (late,) = process_medium(medium_task(path, times_s=(2.0,)), WorkerModels(BrightDetector())).seconds
    assert late.status is Status.PAST_END


def test_boxes_of_a_table_need_no_detector(clip: Path) -> None:
    strong, weak = Box(0.1, 0.1, 0.3, 0.3, 0.9), Box(0.5, 0.5, 0.6, 0.6, 0.05)
    boxes = MediumBoxes("medium.mp4", ((1.0, (strong, weak)), (2.0, (weak,)), (12.0, (strong,))))
    result = process_medium(
        medium_task(clip, times_s=(0.0, 1.0, 2.0, 12.0), boxes=boxes, min_score=0.1), WorkerModels()
    )
    assert [s.status for s in result.seconds] == [Status.NO_ANIMAL, Status.MEASURED, Status.NO_ANIMAL, Status.PAST_END]
    assert result.seconds[1].boxes == (strong,)


def test_seconds_of_which_the_table_says_nothing_are_unknown(clip: Path) -> None:
    animal = Box(0.1, 0.1, 0.3, 0.3, 0.9)
    boxes = MediumBoxes("medium.mp4", ((1.0, (animal,)), (2.0, ())), is_exhaustive=True)
    result = process_medium(medium_task(clip, times_s=(1.0, 2.0, 3.0), boxes=boxes), WorkerModels())
    assert [(s.status, s.reason) for s in result.seconds] == [
        (Status.MEASURED, ""),
        (Status.NO_ANIMAL, ""),
        (Status.UNKNOWN, NOT_IN_TABLE),
    ]


def test_boxes_of_a_video_need_a_time(clip: Path) -> None:
    boxes = MediumBoxes("medium.mp4", untimed=(Box(0.1, 0.1, 0.3, 0.3, 0.9),))
    assert "doesn't tell when" in process_medium(medium_task(clip, boxes=boxes), WorkerModels()).failure


def test_a_failure_in_the_table_is_the_mediums_failure(clip: Path) -> None:
    result = process_medium(
        medium_task(clip, boxes=MediumBoxes("medium.mp4", failure="Failure image access")), WorkerModels()
    )
    assert result.failure == "Failure image access"


def test_an_animal_keeps_its_id_from_second_to_second(clip: Path) -> None:
    left, right = Box(0.1, 0.4, 0.3, 0.8, 0.9), Box(0.7, 0.4, 0.9, 0.8, 0.8)
    boxes = MediumBoxes("medium.mp4", ((0.0, (left,)), (1.0, (right, left)), (2.0, (left, right))))
    result = process_medium(medium_task(clip, times_s=(0.0, 1.0, 2.0), boxes=boxes), WorkerModels())
    ids = [dict(zip(second.boxes, second.animal_ids, strict=True)) for second in result.seconds]
    assert [id_of[left] for id_of in ids] == [1, 1, 1]
    assert ids[1][right] == ids[2][right] == 2
