"""The second look finds what moves below the threshold of scores, drops things, and never takes what counts on its own."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from numpy.typing import NDArray

from trapmeter.demo.clips import CLIPS
from trapmeter.detect.candidates import Candidate, make_candidates
from trapmeter.detect.evidence import embedded_evidence
from trapmeter.detect.megadetector_lite import EMBEDDED, MegadetectorLite
from trapmeter.detect.motion import Scene
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.detect.second_look import BLOCK_PICTURES, LEAST_PICTURES, FirstLook, SecondLook, small_copy
from trapmeter.errors import InputError
from trapmeter.geometry import match_boxes
from trapmeter.media.discovery import find_media
from trapmeter.media.reader import MissingFrame
from trapmeter.prediction.medium_pipeline import MediumTask, WorkerModels, process_medium
from trapmeter.prediction.stages import DetectorStage
from trapmeter.prediction.worker_models import open_worker_models
from trapmeter.records import Box, Frame, Medium, MediumKind, ModelIdentity, Pixels, Status

HEIGHT, WIDTH, SIDE = 90, 160, 24
ANIMAL_SCORE = 0.12


def scene_picture(second: int, *, animal_at: int | None = None) -> Pixels:
    """A noisy picture of grass, with a dark square whose left edge is at animal_at."""
    grass = np.random.default_rng(1).integers(60, 200, (HEIGHT, WIDTH, 3))
    noise = np.random.default_rng([2, second]).integers(-3, 4, grass.shape)
    picture = np.asarray(np.clip(grass + noise, 0, 255), np.uint8)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 2), np.uint8)
    if animal_at is not None:
        picture[40 : 40 + SIDE, animal_at : animal_at + SIDE] = 5
    return picture


def box_at(left: int, score: float) -> Box:
    return Box(left / WIDTH, 40 / HEIGHT, (left + SIDE) / WIDTH, (40 + SIDE) / HEIGHT, score)


@dataclass
class DarkDetector:
    """Finds the dark square with a low score, and a thing in the corner that is always there."""

    identity: ModelIdentity = field(default_factory=lambda: ModelIdentity("dark", "2" * 64))
    input_hw: tuple[int, int] = (HEIGHT, WIDTH)
    thing_score: float = 0.3
    n_calls: int = 0

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        self.n_calls += len(pictures)
        return [self._boxes(picture) for picture in pictures]

    def _boxes(self, picture: Pixels) -> list[Box]:
        dark = np.flatnonzero(picture[50].max(axis=1) < 30)
        boxes = [Box(0.8, 0.02, 0.95, 0.2, self.thing_score)]
        return boxes + ([box_at(int(dark[0]), ANIMAL_SCORE)] if len(dark) else [])


def looks(detector: DarkDetector, lefts: Sequence[int | None]) -> list[tuple[float, FirstLook]]:
    pictures = [scene_picture(second, animal_at=left) for second, left in enumerate(lefts)]
    return [(float(i), FirstLook(tuple(detector.detect([p])[0]), small_copy(p))) for i, p in enumerate(pictures)]


WALK = (10, 25, 40, 55, 70, 85, 100, 115)


def test_a_doubtful_box_counts_if_it_moves_on_a_track() -> None:
    detector = DarkDetector()
    seconds = SecondLook(detector, 0.25).find(looks(detector, WALK))
    found = [[box for box in boxes if box.score == ANIMAL_SCORE] for boxes in seconds]
    assert [boxes[0].x1 for boxes in found] == [pytest.approx(left / WIDTH) for left in WALK]


def test_a_doubtful_box_in_which_nothing_moves_does_not_count() -> None:
    detector = DarkDetector()
    seconds = SecondLook(detector, 0.25).find(looks(detector, [40] * 8))
    assert all(box.score != ANIMAL_SCORE for boxes in seconds for box in boxes)


def test_a_thing_that_stands_still_is_dropped_unless_the_detector_is_sure_of_it() -> None:
    def scores(thing_score: float) -> set[float]:
        detector = DarkDetector(thing_score=thing_score)
        # In the softened picture it hardly looks like an animal.
        soft = SecondLook(DarkDetector(thing_score=0.02), 0.25)
        return {box.score for boxes in soft.find(looks(detector, WALK)) for box in boxes}

    assert 0.3 not in scores(0.3)
    assert 0.9 in scores(0.9)


def test_few_pictures_are_judged_by_the_threshold_of_scores_alone() -> None:
    detector = DarkDetector()
    few = looks(detector, WALK[: LEAST_PICTURES - 1])
    detector.n_calls = 0
    assert [[box.score for box in boxes] for boxes in SecondLook(detector, 0.25).find(few)] == [[0.3]] * len(few)
    # The same picture again and again tells no more than one.
    repeated = [(float(i), few[0][1]) for i in range(20)]
    assert [[box.score for box in boxes] for boxes in SecondLook(detector, 0.25).find(repeated)] == [[0.3]] * 20
    assert detector.n_calls == 0


def test_equal_pictures_are_looked_at_once() -> None:
    detector = DarkDetector()
    seen = looks(detector, WALK)
    repeated = [(2 * time_s + half, look) for time_s, look in seen for half in (0, 1)]
    detector.n_calls = 0
    found = SecondLook(detector, 0.25).find(repeated)
    assert detector.n_calls == len(WALK)
    assert [len(boxes) for boxes in found[::2]] == [len(boxes) for boxes in found[1::2]]


def test_a_higher_threshold_of_scores_asks_for_more_evidence() -> None:
    detector = DarkDetector()
    seen = looks(detector, WALK)
    n_boxes = [sum(map(len, SecondLook(detector, least).find(seen))) for least in (0.0, 0.25, 0.5, 0.9, 1.0)]
    assert n_boxes == sorted(n_boxes, reverse=True)
    assert n_boxes[0] > n_boxes[-1] == 0


def test_the_threshold_must_be_a_score() -> None:
    with pytest.raises(InputError, match=r"0\.\.1, got 1\.5"):
        SecondLook(DarkDetector(), 1.5)


def test_nothing_moves_in_the_scene_itself_and_the_animal_does() -> None:
    pictures = [scene_picture(second, animal_at=left) for second, left in enumerate(WALK)]
    scene = Scene.of(pictures)
    movement = scene.movement(pictures[0])
    assert movement.min() >= 0
    assert movement.max() <= 1
    assert movement[45:60, 15:30].mean() > 0.9
    assert movement[:30].mean() < 0.05
    shown = scene.highlight(pictures[0], movement)
    assert shown.dtype == np.uint8
    assert shown.shape == pictures[0].shape
    assert shown[:30].std() < 0.6 * pictures[0][:30].std()


def test_a_small_copy_fits_and_never_grows() -> None:
    assert small_copy(np.zeros((360, 640, 3), np.uint8)).shape == (180, 320, 3)
    assert small_copy(np.zeros((640, 360, 3), np.uint8)).shape == (320, 180, 3)
    tiny = np.zeros((60, 106, 3), np.uint8)
    assert small_copy(tiny) is tiny


sides = st.tuples(st.floats(0, 0.8), st.floats(0.05, 0.2))
any_boxes = st.lists(
    st.builds(lambda x, y, score: Box(x[0], y[0], x[0] + x[1], y[0] + y[1], score), sides, sides, st.floats(0.02, 1.0)),
    max_size=5,
)


@given(any_boxes, any_boxes)
def test_every_box_is_in_one_candidate(first: list[Box], second: list[Box]) -> None:
    candidates = make_candidates(first, second, np.full((18, 32), 0.5))
    by_look = ([c.first for c in candidates if c.first], [c.second for c in candidates if c.second])
    for found, given_boxes in zip(by_look, (first, second), strict=True):
        assert sorted(map(id, found)) == sorted(map(id, given_boxes))
    assert all(c.moving == pytest.approx(0.5) for c in candidates)
    assert [c.likelier.score for c in candidates] == sorted((c.likelier.score for c in candidates), reverse=True)


moving_candidates = st.builds(
    lambda box, score, moving: Candidate(box, Box(*box.xyxy, score), moving, 0.1),
    any_boxes.filter(bool).map(lambda boxes: boxes[0]),
    st.floats(0.02, 1.0),
    st.floats(0.1, 1.0),
)


@given(st.lists(moving_candidates, min_size=1, max_size=6), st.floats(0.02, 0.5), st.data())
def test_a_moving_box_that_reaches_the_threshold_is_never_lost(
    candidates: list[Candidate], min_score: float, data: DataObject
) -> None:
    likelihood: NDArray[np.float64] = np.array([data.draw(st.floats(0, 1)) for _ in candidates])
    own = [c.first for c in candidates if c.first is not None and c.first.score >= min_score]
    found = SecondLook(DarkDetector(), min_score).animals(candidates, likelihood)
    for box in own:
        # It is there itself, or another that reaches the threshold as well stands for the same animal.
        assert any(box is other or match_boxes([box], [other]) for other in found if other in own)


@given(st.lists(st.lists(moving_candidates, max_size=3), min_size=1, max_size=5))
def test_likelihoods_are_likelihoods_in_any_order_of_candidates(seconds: list[list[Candidate]]) -> None:
    rules = embedded_evidence()
    forward = rules.likelihoods([(float(i), found) for i, found in enumerate(seconds)])
    backward = rules.likelihoods([(float(i), found[::-1]) for i, found in enumerate(seconds)])
    for one, other in zip(forward, backward, strict=True):
        assert np.all((one >= 0) & (one <= 1))
        np.testing.assert_allclose(one, other[::-1])


def test_a_neighbour_on_the_track_makes_a_candidate_likelier() -> None:
    def middle(neighbour_score: float) -> float:
        scores = (neighbour_score, 0.1, neighbour_score)
        seconds = [(float(i), [Candidate(box_at(20 + 5 * i, score), None, 0.5, 0.1)]) for i, score in enumerate(scores)]
        return float(embedded_evidence().likelihoods(seconds)[1][0])

    assert middle(0.9) > middle(0.02)


@pytest.mark.parametrize("n", [1, BLOCK_PICTURES, 2 * BLOCK_PICTURES, 2 * BLOCK_PICTURES + 1, 5 * BLOCK_PICTURES])
def test_the_stage_gives_every_second_in_order_and_holds_few(n: int) -> None:
    detector = DarkDetector()
    taken = 0

    def pictures() -> Iterator[tuple[float, Frame | MissingFrame]]:
        nonlocal taken
        for i in range(n):
            taken += 1
            if i % 7 == 3:
                yield float(i), MissingFrame(Status.FAILED, "damaged")
            else:
                yield float(i), Frame(scene_picture(i, animal_at=10 + i % 100), float(i))

    stage = DetectorStage(detector, SecondLook(detector, 0.25))
    times_s = []
    for second in stage.detect(pictures()):
        times_s.append(second.time_s)
        assert taken - len(times_s) < 2 * BLOCK_PICTURES
        assert (second.status is Status.FAILED) == (int(second.time_s) % 7 == 3)
    assert times_s == [float(i) for i in range(n)]


def found_in_demo(models: WorkerModels) -> tuple[int, int]:
    """How many of the demo's visible animals are found, and the number of boxes on none."""
    truth: dict[tuple[str, float], list[Box]] = defaultdict(list)
    with (CLIPS / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["x1"]:
                box = Box(*(float(row[name]) for name in ("x1", "y1", "x2", "y2")), 1.0)
                truth[row["video_id"], float(row["time"])].append(box)
    n_found = n_false = 0
    for path in sorted(p for p in CLIPS.iterdir() if p.suffix in {".avi", ".mp4"}):
        result = process_medium(MediumTask(Medium(path.name, path, MediumKind.VIDEO), None, 1.0), models)
        for second in result.seconds:
            n_pairs = len(match_boxes(second.boxes, truth[path.name, second.time_s]))
            n_found += n_pairs
            n_false += len(second.boxes) - n_pairs
    return n_found, n_false


def predict_models() -> WorkerModels:
    return open_worker_models(
        detector=DetectorPrecision.INT8, min_score=0.25, bundles=(), flip=False, store=None, threads=1
    )


def test_more_of_the_demo_s_animals_are_found_than_by_the_threshold_alone() -> None:
    alone = WorkerModels(MegadetectorLite.load(EMBEDDED[DetectorPrecision.INT8], min_score=0.25))
    (n_before, false_before), (n_after, false_after) = found_in_demo(alone), found_in_demo(predict_models())
    assert n_after > 1.2 * n_before
    assert false_after <= false_before


def test_photos_keep_the_boxes_of_the_threshold(shared: Path) -> None:
    alone = WorkerModels(MegadetectorLite.load(EMBEDDED[DetectorPrecision.INT8], min_score=0.25))
    looking_twice = predict_models()
    for medium in find_media([shared / "stills"]).media:
        task = MediumTask(medium, None, 1.0)
        assert process_medium(task, looking_twice).seconds == process_medium(task, alone).seconds


def test_no_moving_box_of_a_real_video_is_lost(shared: Path) -> None:
    path = shared / "clips" / "real" / "chimps.mp4"
    task = MediumTask(Medium(path.name, path, MediumKind.VIDEO), None, 1.0)
    alone = WorkerModels(MegadetectorLite.load(EMBEDDED[DetectorPrecision.INT8], min_score=0.25))
    before, after = process_medium(task, alone), process_medium(task, predict_models())
    lost = [
        box
        for old, new in zip(before.seconds, after.seconds, strict=True)
        for i, box in enumerate(old.boxes)
        if i not in {pair[0] for pair in match_boxes(old.boxes, new.boxes)}
    ]
    # A stone at the lower edge, that the detector takes for an animal in some of the seconds.
    assert all(box is not None and box.y2 > 0.95 and box.x1 > 0.6 for box in lost)
    assert sum(len(second.boxes) for second in after.seconds) > sum(len(second.boxes) for second in before.seconds)
