"""Detector and networks see, out of one pass, just the pictures that they would see out of a pass each."""

import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from conftest import MakeClip
from trapmeter.frames.windows import decoded_windows
from trapmeter.media import video
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.models.input_spec import InputSpec, Resize
from trapmeter.prediction.medium_pipeline import MediumTask, WorkerModels, process_medium
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.stages import N_PREFETCHED
from trapmeter.records import Box, Frame, Medium, MediumKind, ModelIdentity, Pixels, Status
from trapmeter.windows import WIDE_OFFSETS_S, Edge

KEEPING = ModelIdentity("keeping", "0" * 64)
DETECTOR_HW = (64, 64)
ANIMAL = Box(0.2, 0.2, 0.6, 0.8, 0.9)
EVERY_SECOND = tuple(map(float, range(7)))


@dataclass
class KeepingDetector:
    """Keeps what it is shown; sees an animal in every picture whose number among them is in with_animal, or in all."""

    with_animal: frozenset[int] | None = None
    identity: ModelIdentity = KEEPING
    input_hw: tuple[int, int] = DETECTOR_HW
    shown: list[Pixels] = field(default_factory=list)

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        numbers = range(len(self.shown), len(self.shown) + len(pictures))
        self.shown += pictures
        return [[ANIMAL] if self.with_animal is None or number in self.with_animal else [] for number in numbers]


@dataclass
class KeepingNetworks:
    """Keeps the windows that it is asked about, and answers with their number."""

    spec: InputSpec
    asked: list[NDArray[np.uint8]] = field(default_factory=list)

    def predict_members(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        first = len(self.asked)
        self.asked += list(windows)
        return np.arange(first, len(self.asked), dtype=np.float64)[None]


def look(
    path: Path, times_s: tuple[float, ...] | None, detector: KeepingDetector, spec: InputSpec
) -> tuple[MediumResult, KeepingNetworks]:
    networks = KeepingNetworks(spec)
    kind = MediumKind.PHOTO if path.suffix in (".jpg", ".png") else MediumKind.VIDEO
    return process_medium(
        MediumTask(Medium(path.name, path, kind), times_s, 1.0), WorkerModels(detector, networks)
    ), networks


def channels(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
    n_frames, height, width, _ = window.shape
    return window.transpose(0, 3, 1, 2).reshape(3 * n_frames, height, width)


@pytest.mark.parametrize("resize", list(Resize))
@pytest.mark.parametrize("edge", list(Edge))
@pytest.mark.parametrize("offsets_s", [(-1.0, -2.0, 0.0, 1.0, 2.0), WIDE_OFFSETS_S, (0.0, 3.0), (-3.0, 0.0), (0.0,)])
def test_the_pictures_are_the_same_to_the_bit(
    make_clip: MakeClip, resize: Resize, edge: Edge, offsets_s: tuple[float, ...]
) -> None:
    path = make_clip("one.mp4", n=70, rate=10)
    medium = Medium(path.name, path, MediumKind.VIDEO)
    spec = InputSpec((40, 72), offsets_s, resize, edge)
    detector = KeepingDetector()
    seen, networks = look(path, None, detector, spec)
    assert [second.answers for second in seen.seconds] == [((float(number),),) for number in range(7)]
    with open_medium(medium, FitWithin(*DETECTOR_HW)) as reader:
        for shown, alone in zip(detector.shown, reader.frames(EVERY_SECOND), strict=True):
            assert isinstance(alone, Frame)
            np.testing.assert_array_equal(shown, alone.pixels)
    for asked, window in zip(networks.asked, decoded_windows(medium, EVERY_SECOND, spec), strict=True):
        assert not isinstance(window, MissingFrame)
        np.testing.assert_array_equal(asked, channels(window))


def count_decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of every picture that is turned into pixels from now on."""
    made: list[float] = []

    class Counted(Frame):
        def __init__(self, *values: Any, **changed: Any) -> None:
            super().__init__(*values, **changed)
            # A copy, made by `replace`, has names alone.
            if values:
                made.append(self.time_s)

    monkeypatch.setattr(video, "Frame", Counted)
    return made


def test_a_picture_is_decoded_once_for_both(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    made = count_decoded(monkeypatch)
    look(make_clip("once.mp4", n=70, rate=10), None, KeepingDetector(), InputSpec((40, 72), WIDE_OFFSETS_S))
    assert len(made) == len(set(made)) == 7


def test_windows_of_other_seconds_than_the_detector_s_come_out_of_the_same_pass(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, spec = make_clip("sparse.mp4", n=200, rate=10), InputSpec((40, 72), (-1.0, 0.0, 1.0))
    made, detector = count_decoded(monkeypatch), KeepingDetector(frozenset({1}))
    seen, networks = look(path, (2.0, 8.0, 14.0, 99.0), detector, spec)
    assert len(made) == len(set(made)) == 9
    assert len(detector.shown) == 3
    assert [len(second.answers) for second in seen.seconds] == [0, 1, 0, 0]
    (window,) = decoded_windows(Medium(path.name, path, MediumKind.VIDEO), (8.0,), spec)
    np.testing.assert_array_equal(networks.asked[0], channels(np.asarray(window)))


def test_only_seconds_with_animals_are_asked_about(make_clip: MakeClip) -> None:
    path, spec = make_clip("some.mp4", n=70, rate=10), InputSpec((40, 72), (-1.0, 0.0, 1.0))
    seen, networks = look(path, (*EVERY_SECOND, 7.0, 60.0), KeepingDetector(frozenset({2, 6})), spec)
    assert [bool(second.answers) for second in seen.seconds] == [number in (2, 6) for number in range(9)]
    assert [second.status for second in seen.seconds[7:]] == [Status.PAST_END] * 2
    every = list(decoded_windows(Medium(path.name, path, MediumKind.VIDEO), EVERY_SECOND, spec))
    for asked, number in zip(networks.asked, (2, 6), strict=True):
        np.testing.assert_array_equal(asked, channels(np.asarray(every[number])))


def test_a_picture_that_a_window_misses_fails_seconds_with_animals_alone(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = video.VideoReader.frames
    monkeypatch.setattr(
        video.VideoReader,
        "frames",
        lambda self, times_s: (
            MissingFrame(Status.FAILED, "a hole") if time_s == 3 else shown
            for time_s, shown in zip(times_s, frames(self, times_s), strict=True)
        ),
    )
    spec = InputSpec((40, 72), (-1.0, 0.0, 1.0))
    # Second 3 is not shown to the detector, so that number 3 is second 4.
    seen, networks = look(make_clip("hole.mp4", n=70, rate=10), None, KeepingDetector(frozenset({0, 2, 5})), spec)
    assert [second.status for second in seen.seconds] == [
        Status.MEASURED,
        Status.NO_ANIMAL,
        Status.FAILED,
        Status.FAILED,
        Status.NO_ANIMAL,
        Status.NO_ANIMAL,
        Status.MEASURED,
    ]
    assert seen.seconds[2].reason == "the picture at 3 s, which the network needs too: a hole"
    assert len(networks.asked) == 2


@pytest.mark.parametrize("resize", list(Resize))
def test_a_photo_is_the_same_in_each_size(tmp_path: Path, resize: Resize) -> None:
    path = tmp_path / "a.jpg"
    coarse = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    Image.fromarray(coarse.repeat(20, 0).repeat(20, 1)).save(path)
    medium, spec, detector = (
        Medium(path.name, path, MediumKind.PHOTO),
        InputSpec((40, 72), resize=resize),
        KeepingDetector(),
    )
    seen, networks = look(path, None, detector, spec)
    assert len(seen.seconds[0].answers) == 1
    with open_medium(medium, FitWithin(*DETECTOR_HW)) as reader:
        (alone,) = reader.frames([0.0])
    assert isinstance(alone, Frame)
    np.testing.assert_array_equal(detector.shown[0], alone.pixels)
    (window,) = decoded_windows(medium, (0.0,), spec)
    np.testing.assert_array_equal(networks.asked[0], channels(np.asarray(window)))


def test_a_second_with_the_pixels_of_the_one_before_keeps_its_boxes(make_clip: MakeClip) -> None:
    # Lossless, so that pictures of one number are equal: 0, 0, 1, 1, 1, 0 at 1 fps.
    import av

    from conftest import numbered_picture

    path = make_clip("still.mkv", n=1).with_name("still6.mkv")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in (0, 0, 1, 1, 1, 0):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")))
        container.mux(stream.encode(None))
    detector = KeepingDetector(frozenset({1}))
    seen = process_medium(MediumTask(Medium(path.name, path, MediumKind.VIDEO), None, 1.0), WorkerModels(detector))
    assert len(detector.shown) == 3
    assert [bool(second.boxes) for second in seen.seconds] == [False, False, True, True, True, False]


@pytest.mark.parametrize("with_animal", [frozenset(), None])
def test_pictures_are_let_go_of_as_the_video_passes(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, with_animal: frozenset[int] | None
) -> None:
    pictures: list[weakref.ref[Pixels]] = []
    most = 0

    class Counted(Frame):
        def __init__(self, *values: Any, **changed: Any) -> None:
            nonlocal most
            super().__init__(*values, **changed)
            # A copy, made by `replace`, has names alone.
            if values:
                pictures.append(weakref.ref(self.pixels))
                most = max(most, sum(known() is not None for known in pictures))

    monkeypatch.setattr(video, "Frame", Counted)
    monkeypatch.setattr(KeepingDetector, "detect", lambda self, shown: [[ANIMAL] if self.with_animal is None else []])
    seen, _ = look(
        make_clip("long.mp4", n=200, rate=2), None, KeepingDetector(with_animal), InputSpec((40, 72), WIDE_OFFSETS_S)
    )
    assert len(seen.seconds) == len(pictures) == 100
    # Four that a window reaches ahead, those decoded ahead, and the ones in hand: looked at, the one before, just decoded.
    assert most <= 4 + N_PREFETCHED + 4
