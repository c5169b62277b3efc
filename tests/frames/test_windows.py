"""Windows decoded from a video equal those from a frame store."""

import av
import numpy as np
import pytest

from conftest import MakeClip, number_in
from training_world import SIZE_HW
from trapmeter.frames.fill import fill_store
from trapmeter.frames.requests import FrameRequest
from trapmeter.frames.spec import Codec, StoreSpec
from trapmeter.frames.store import FrameStore
from trapmeter.frames.windows import decoded_windows, stored_windows
from trapmeter.media.reader import MissingFrame
from trapmeter.models.input_spec import InputSpec, Resize
from trapmeter.records import Medium, MediumKind
from trapmeter.windows import WIDE_OFFSETS_S, Edge


@pytest.mark.parametrize("resize", list(Resize))
@pytest.mark.parametrize("edge", list(Edge))
def test_a_window_is_the_same_from_a_video_and_from_a_store(
    make_clip: MakeClip, tmp_path, resize: Resize, edge: Edge
) -> None:
    path = make_clip("w.mp4", n=75, rate=10)
    medium = Medium("w.mp4", path, MediumKind.VIDEO)
    spec = InputSpec(size_hw=SIZE_HW, offsets_s=(-1.0, -2.0, 0.0, 1.0, 2.0), resize=resize, edge=edge)
    times = (0.0, 1.0, 3.5, 4.0, 7.0, 7.4)
    store = FrameStore.create(tmp_path, StoreSpec(SIZE_HW, resize, Codec.PNG))
    every = tuple({t + o for t in times for o in spec.offsets_s})
    fill_store(store, [FrameRequest(medium, every, times)], 1)
    decoded = list(decoded_windows(medium, times, spec))
    stored = list(stored_windows(store, "w.mp4", times, spec))
    for from_video, from_store in zip(decoded, stored, strict=True):
        np.testing.assert_array_equal(from_video, from_store)


@pytest.mark.parametrize("offsets_s", [WIDE_OFFSETS_S, (0.0, 3.0), (-3.0, 0.0), (-5.0, -0.5, 0.0, 0.5)])
def test_windows_that_share_seconds_are_the_same_from_video_and_store(make_clip: MakeClip, tmp_path, offsets_s) -> None:
    medium = Medium("g.mp4", make_clip("g.mp4", n=75, rate=10), MediumKind.VIDEO)
    spec = InputSpec(size_hw=SIZE_HW, offsets_s=offsets_s)
    times = tuple(map(float, range(7)))
    store = FrameStore.create(tmp_path, StoreSpec(SIZE_HW, spec.resize, Codec.PNG))
    fill_store(store, [FrameRequest(medium, tuple({t + o for t in times for o in offsets_s}), times)], 1)
    for from_video, from_store in zip(
        decoded_windows(medium, times, spec), stored_windows(store, "g.mp4", times, spec), strict=True
    ):
        np.testing.assert_array_equal(from_video, from_store)


def test_pictures_are_in_the_order_of_the_offsets(make_clip: MakeClip) -> None:
    medium = Medium("o.mp4", make_clip("o.mp4", n=80, rate=10), MediumKind.VIDEO)
    with av.open(str(medium.path)) as container:
        size_hw = container.streams.video[0].height, container.streams.video[0].width
    spec = InputSpec(size_hw=size_hw, offsets_s=(-1.0, -2.0, 0.0, 1.0, 2.0))
    (first, middle, last) = decoded_windows(medium, (0.0, 4.0, 7.0), spec)
    assert [number_in(picture) for picture in middle] == [30, 20, 40, 50, 60]
    assert [bool(picture.any()) for picture in first] == [False, False, True, True, True]
    assert [bool(picture.any()) for picture in last] == [True, True, True, False, False]


def test_a_window_of_a_missing_video_states_the_reason(tmp_path) -> None:
    store = FrameStore.create(tmp_path, StoreSpec(SIZE_HW))
    (window,) = stored_windows(store, "gone.mp4", (1.0,), InputSpec(size_hw=SIZE_HW))
    assert isinstance(window, MissingFrame)
    assert "not in the frame store" in window.reason
