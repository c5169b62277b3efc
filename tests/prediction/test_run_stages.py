"""A single decoding pass gives detector and networks the same pictures as a pass for each."""

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

RECORDING = ModelIdentity("recording", "0" * 64)
DETECTOR_HW = (64, 64)
ANIMAL = Box(0.2, 0.2, 0.6, 0.8, 0.9)
EVERY_SECOND = tuple(map(float, range(7)))


@dataclass
class RecordingDetector:
    """Records its pictures; finds an animal in those whose number is in with_animal, or in all if that is None."""

    with_animal: frozenset[int] | None = None
    identity: ModelIdentity = RECORDING
    input_hw: tuple[int, int] = DETECTOR_HW
    pictures: list[Pixels] = field(default_factory=list)

    def detect(self, pictures: list[Pixels]) -> list[list[Box]]:
        numbers = range(len(self.pictures), len(self.pictures) + len(pictures))
        self.pictures += pictures
        return [[ANIMAL] if self.with_animal is None or number in self.with_animal else [] for number in numbers]


@dataclass
class RecordingNetworks:
    """Records its windows, and predicts the number of each as its distance."""

    spec: InputSpec
    windows: list[NDArray[np.uint8]] = field(default_factory=list)

    def predict_members(self, windows: NDArray[np.uint8]) -> NDArray[np.float64]:
        first = len(self.windows)
        self.windows += list(windows)
        return np.arange(first, len(self.windows), dtype=np.float64)[None]


def process(
    path: Path, times_s: tuple[float, ...] | None, detector: RecordingDetector, spec: InputSpec
) -> tuple[MediumResult, RecordingNetworks]:
    networks = RecordingNetworks(spec)
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
def test_the_pictures_of_one_pass_are_bit_identical(
    make_clip: MakeClip, resize: Resize, edge: Edge, offsets_s: tuple[float, ...]
) -> None:
    path = make_clip("one.mp4", n=70, rate=10)
    medium = Medium(path.name, path, MediumKind.VIDEO)
    spec = InputSpec((40, 72), offsets_s, resize, edge)
    detector = RecordingDetector()
    result, networks = process(path, None, detector, spec)
    assert [second.answers for second in result.seconds] == [((float(number),),) for number in range(7)]
    with open_medium(medium, FitWithin(*DETECTOR_HW)) as reader:
        for actual, alone in zip(detector.pictures, reader.frames(EVERY_SECOND), strict=True):
            assert isinstance(alone, Frame)
            np.testing.assert_array_equal(actual, alone.pixels)
    for actual, window in zip(networks.windows, decoded_windows(medium, EVERY_SECOND, spec), strict=True):
        assert not isinstance(window, MissingFrame)
        np.testing.assert_array_equal(actual, channels(window))


def count_decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collects the time of every picture that is converted to pixels from now on."""
    made: list[float] = []

    class Counted(Frame):
        def __init__(self, *values: Any, **changed: Any) -> None:
            super().__init__(*values, **changed)
            # `replace` makes copies with keyword arguments only.
            if values:
                made.append(self.time_s)

    monkeypatch.setattr(video, "Frame", Counted)
    return made


def test_each_picture_is_decoded_once_for_both(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    made = count_decoded(monkeypatch)
    process(make_clip("once.mp4", n=70, rate=10), None, RecordingDetector(), InputSpec((40, 72), WIDE_OFFSETS_S))
    assert len(made) == len(set(made)) == 7


def test_window_seconds_that_the_detector_skips_come_from_the_same_pass(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, spec = make_clip("sparse.mp4", n=200, rate=10), InputSpec((40, 72), (-1.0, 0.0, 1.0))
    made, detector = count_decoded(monkeypatch), RecordingDetector(frozenset({1}))
    result, networks = process(path, (2.0, 8.0, 14.0, 99.0), detector, spec)
    assert len(made) == len(set(made)) == 9
    assert len(detector.pictures) == 3
    assert [len(second.answers) for second in result.seconds] == [0, 1, 0, 0]
    (window,) = decoded_windows(Medium(path.name, path, MediumKind.VIDEO), (8.0,), spec)
    np.testing.assert_array_equal(networks.windows[0], channels(np.asarray(window)))


def test_networks_run_only_on_seconds_with_animals(make_clip: MakeClip) -> None:
    path, spec = make_clip("some.mp4", n=70, rate=10), InputSpec((40, 72), (-1.0, 0.0, 1.0))
    result, networks = process(path, (*EVERY_SECOND, 7.0, 60.0), RecordingDetector(frozenset({2, 6})), spec)
    assert [bool(second.answers) for second in result.seconds] == [number in (2, 6) for number in range(9)]
    assert [second.status for second in result.seconds[7:]] == [Status.PAST_END] * 2
    every = list(decoded_windows(Medium(path.name, path, MediumKind.VIDEO), EVERY_SECOND, spec))
    for actual, number in zip(networks.windows, (2, 6), strict=True):
        np.testing.assert_array_equal(actual, channels(np.asarray(every[number])))


def test_a_missing_window_picture_fails_only_seconds_with_animals(
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
    # The detector does not get second 3, so its picture number 3 is second 4.
    result, networks = process(
        make_clip("hole.mp4", n=70, rate=10), None, RecordingDetector(frozenset({0, 2, 5})), spec
    )
    assert [second.status for second in result.seconds] == [
        Status.MEASURED,
        Status.NO_ANIMAL,
        Status.FAILED,
        Status.FAILED,
        Status.NO_ANIMAL,
        Status.NO_ANIMAL,
        Status.MEASURED,
    ]
    assert result.seconds[2].reason == "the picture at 3 s, which the network needs too: a hole"
    assert len(networks.windows) == 2


@pytest.mark.parametrize("resize", list(Resize))
def test_a_photo_is_bit_identical_in_each_size(tmp_path: Path, resize: Resize) -> None:
    path = tmp_path / "a.jpg"
    coarse = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    Image.fromarray(coarse.repeat(20, 0).repeat(20, 1)).save(path)
    medium, spec, detector = (
        Medium(path.name, path, MediumKind.PHOTO),
        InputSpec((40, 72), resize=resize),
        RecordingDetector(),
    )
    result, networks = process(path, None, detector, spec)
    assert len(result.seconds[0].answers) == 1
    with open_medium(medium, FitWithin(*DETECTOR_HW)) as reader:
        (alone,) = reader.frames([0.0])
    assert isinstance(alone, Frame)
    np.testing.assert_array_equal(detector.pictures[0], alone.pixels)
    (window,) = decoded_windows(medium, (0.0,), spec)
    np.testing.assert_array_equal(networks.windows[0], channels(np.asarray(window)))


def test_a_picture_equal_to_the_previous_one_takes_over_its_boxes(make_clip: MakeClip) -> None:
    # Lossless, so that equal numbers give equal pictures: 0, 0, 1, 1, 1, 0 at 1 fps.
    import av

    from conftest import numbered_picture

    path = make_clip("still.mkv", n=1).with_name("still6.mkv")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in (0, 0, 1, 1, 1, 0):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")))
        container.mux(stream.encode(None))
    detector = RecordingDetector(frozenset({1}))
    result = process_medium(MediumTask(Medium(path.name, path, MediumKind.VIDEO), None, 1.0), WorkerModels(detector))
    assert len(detector.pictures) == 3
    assert [bool(second.boxes) for second in result.seconds] == [False, False, True, True, True, False]


@pytest.mark.parametrize("with_animal", [frozenset(), None])
def test_pictures_are_released_as_the_video_proceeds(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, with_animal: frozenset[int] | None
) -> None:
    pictures: list[weakref.ref[Pixels]] = []
    most = 0

    class Counted(Frame):
        def __init__(self, *values: Any, **changed: Any) -> None:
            nonlocal most
            super().__init__(*values, **changed)
            # `replace` makes copies with keyword arguments only.
            if values:
                pictures.append(weakref.ref(self.pixels))
                most = max(most, sum(picture() is not None for picture in pictures))

    monkeypatch.setattr(video, "Frame", Counted)
    monkeypatch.setattr(RecordingDetector, "detect", lambda self, shown: [[ANIMAL] if self.with_animal is None else []])
    result, _ = process(
        make_clip("long.mp4", n=200, rate=2), None, RecordingDetector(with_animal), InputSpec((40, 72), WIDE_OFFSETS_S)
    )
    assert len(result.seconds) == len(pictures) == 100
    # Four that a window reaches ahead, the prefetched ones, and those in use: current, previous, just decoded.
    assert most <= 4 + N_PREFETCHED + 4
