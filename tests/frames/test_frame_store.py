"""Stored pictures and windows are the right ones, and stores are checked when they are opened."""

import json
import pickle
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import number_in
from trapmeter.demo.clips import CLIPS
from trapmeter.errors import InputError, MissingExtraError, RunError
from trapmeter.frames.spec import Codec, StoreSpec, parse_size
from trapmeter.frames.store import FrameStore, open_or_create_store
from trapmeter.media.video import open_video
from trapmeter.models.input_spec import SECOND_PLACE_INPUT, InputSpec, Resize
from trapmeter.windows import SECOND_PLACE_OFFSETS_S, TIME_ORDER_OFFSETS_S, Edge

NTSC = {"n": 150, "rate": Fraction(30000, 1001)}  # 5.005 s
PLAIN = {"n": 60, "rate": 15}  # 4 s


def numbers(window: np.ndarray) -> list[int | None]:
    """The numbers of the pictures of a window; None where black."""
    return [number_in(picture) if picture.any() else None for picture in window]


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("resize", Resize)
@pytest.mark.parametrize(
    ("name", "clip", "expected"),
    [
        ("plain.mp4", PLAIN, {0: 0, 1: 15, 2: 30, 2.5: 37, 3: 45}),
        ("ntsc.mp4", NTSC, {0: 0, 1: 29, 2: 59, 3: 89, 4: 119, 5: 149}),
        ("b_frames.avi", {"n": 60, "rate": 15, "codec": "mpeg4", "options": {"bf": "2"}}, {0: 0, 1: 15, 3: 45}),
        ("one.mp4", {"n": 1, "rate": 15}, {0: 0}),
    ],
)
def test_each_second_has_the_last_picture_up_to_it(
    make_clip, make_store, put, name, clip, expected, resize, codec
) -> None:
    store = make_store(resize=resize, codec=codec)
    put(store, make_clip(name, **clip), [*expected, 6, 7.25])
    assert {time_s: number_in(store.read(name, time_s)) for time_s in store.times(name)} == expected
    assert store.length_s(name) == pytest.approx(clip["n"] / clip["rate"], abs=1e-3)
    assert store.video_ids() == [name]
    for time_s, entry in store.index(name).entries.items():
        assert entry.pts_s <= time_s < entry.pts_s + 1.001 / clip["rate"]


@pytest.mark.parametrize(
    ("name", "clip", "time_s", "offsets_s", "black", "repeated"),
    [
        ("plain.mp4", PLAIN, 0, SECOND_PLACE_OFFSETS_S, [None, None, 0, 15, 30], [0, 0, 0, 15, 30]),
        ("plain.mp4", PLAIN, 1, SECOND_PLACE_OFFSETS_S, [0, None, 15, 30, 45], [0, 0, 15, 30, 45]),
        ("plain.mp4", PLAIN, 2, TIME_ORDER_OFFSETS_S, [0, 15, 30, 45, None], [0, 15, 30, 45, 45]),
        ("plain.mp4", PLAIN, 3, SECOND_PLACE_OFFSETS_S, [30, 15, 45, None, None], [30, 15, 45, 45, 45]),
        ("plain.mp4", PLAIN, 2.5, (0.0, 1.0, 2.0), [37, 52, None], [37, 52, 45]),
        ("ntsc.mp4", NTSC, 5, SECOND_PLACE_OFFSETS_S, [119, 89, 149, None, None], [119, 89, 149, 149, 149]),
        ("short.mp4", {"n": 10, "rate": 15}, 0, TIME_ORDER_OFFSETS_S, [None, None, 0, None, None], [0, 0, 0, 0, 0]),
    ],
)
def test_windows_have_the_expected_pictures(
    make_clip, make_store, put, name, clip, time_s, offsets_s, black, repeated
) -> None:
    store = make_store()
    put(store, make_clip(name, **clip), [max(0.0, time_s + offset) for offset in offsets_s])
    for edge, expected in ((Edge.BLACK, black), (Edge.REPEAT, repeated)):
        window = store.window(name, time_s, offsets_s, edge)
        assert window.shape == (len(offsets_s), *store.spec.size_hw, 3)
        assert window.dtype == np.uint8
        assert numbers(window) == expected


def test_a_window_around_a_second_past_the_end_is_refused(make_clip, make_store, put) -> None:
    store = make_store()
    put(store, make_clip("plain.mp4", **PLAIN), [0, 1, 2, 3])
    with pytest.raises(InputError, match=r"plain\.mp4: a window needs its second inside the video: 4 s of 4 s"):
        store.window("plain.mp4", 4, TIME_ORDER_OFFSETS_S)


def test_missing_seconds_and_videos_are_named(make_clip, make_store, put) -> None:
    store = make_store()
    put(store, make_clip("plain.mp4", **PLAIN), [0, 1])
    with pytest.raises(InputError, match=r"plain\.mp4: no frame at 2 s .*not asked for"):
        store.read("plain.mp4", 2)
    with pytest.raises(InputError, match=r"plain\.mp4: no frame at 4 s .*the video has 4 s"):
        store.read("plain.mp4", 4)
    with pytest.raises(InputError, match=r"other\.mp4: not in the frame store"):
        store.window("other.mp4", 0, TIME_ORDER_OFFSETS_S)
    with pytest.raises(InputError, match="no frame at 2 s"):
        store.window("plain.mp4", 1, (0.0, 1.0))


def full_frames(path: Path, times_s: list[float]) -> list[np.ndarray]:
    with open_video(path) as video:
        return [frame.pixels.copy() for frame in video.frames(times_s)]


def test_png_stores_the_resized_frame_exactly(make_store, put) -> None:
    path = CLIPS / "bmnq4208.mp4"
    store = make_store(size_hw=(270, 480), resize=Resize.OPENCV_LINEAR, codec=Codec.PNG)
    put(store, path, range(8))
    for time_s, full in enumerate(full_frames(path, list(range(8)))):
        assert full.shape != (270, 480, 3)
        expected = cv2.resize(full, (480, 270), interpolation=cv2.INTER_LINEAR)
        assert np.array_equal(store.read(path.name, time_s), expected)


@pytest.mark.parametrize("resize", Resize)
def test_jpeg_changes_pixels_only_slightly(make_store, put, resize) -> None:
    path = CLIPS / "bmnq4208.mp4"
    exact, small = (make_store(str(codec), size_hw=(270, 480), resize=resize, codec=codec) for codec in Codec)
    for store in (exact, small):
        put(store, path, [0, 3, 7])
    for time_s in (0, 3, 7):
        difference = np.abs(exact.read(path.name, time_s).astype(int) - small.read(path.name, time_s))
        assert difference.mean() < 2
        assert np.quantile(difference, 0.999) <= 16


def test_seconds_with_the_same_picture_share_its_bytes(make_clip, make_store, put) -> None:
    path = make_clip("slow.mkv", pts=[0, 2500, 3000], time_base=Fraction(1, 1000), rate=1)
    store = make_store()
    put(store, path, [0, 1, 2, 3])
    entries = store.index("slow.mkv").entries
    assert entries[0] == entries[1] == entries[2] != entries[3]
    assert numbers(store.window("slow.mkv", 2, TIME_ORDER_OFFSETS_S)) == [0, 0, 0, 2, None]


def test_a_photo_has_only_second_0(tmp_path, make_store, put) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((100, 200, 3), 77, np.uint8))
    store = make_store()
    put(store, tmp_path / "a.png", [0, 1, 2])
    window = store.window("a.png", 0, TIME_ORDER_OFFSETS_S)
    assert [int(picture.mean()) for picture in window] == [0, 0, 77, 0, 0]
    assert store.window("a.png", 0, TIME_ORDER_OFFSETS_S, Edge.REPEAT).min() == 77


@pytest.mark.parametrize(
    "video_id",
    [
        "Taï/site 3/IMG_0001.AVI",
        "../../etc/passwd",
        "/absolute.mp4",
        "C:\\a.mp4",
        "видео/" * 50,
        "a" * 300,
        "b\udcff.mp4",
        ".",
    ],
    ids=range(8),
)
def test_a_video_can_have_any_name(make_clip, make_store, put, tmp_path, video_id) -> None:
    store = make_store()
    put(store, make_clip("plain.mp4", **PLAIN), [0, 1], video_id)
    assert number_in(store.read(video_id, 1)) == 15
    assert store.video_ids() == [video_id]
    assert {path.name for path in tmp_path.iterdir()} == {"store"}
    assert [path.parent for path in store.frame_file_paths()] == [store.folder / "shards"]


def test_a_store_with_other_settings_is_refused_with_the_differences(tmp_path) -> None:
    folder = tmp_path / "store"
    spec = StoreSpec((270, 480), Resize.OPENCV_LINEAR)
    assert FrameStore.create(folder, spec) == FrameStore.create(folder, spec) == FrameStore.open(folder)
    with pytest.raises(
        RunError, match=r"size_hw is \[270, 480\], not \[135, 240\]; resize is opencv-linear, not swscale"
    ):
        FrameStore.create(folder, StoreSpec((135, 240)))
    with pytest.raises(RunError, match=r"another kind \(codec is jpeg, not png\); choose another folder"):
        FrameStore.create(folder, StoreSpec(resize=Resize.OPENCV_LINEAR, codec=Codec.PNG))
    # The JPEG quality has no meaning for PNG.
    png = FrameStore.create(tmp_path / "png", StoreSpec(codec=Codec.PNG, jpeg_quality=1))
    assert FrameStore.create(tmp_path / "png", StoreSpec(codec=Codec.PNG)).folder == png.folder


def test_settings_not_given_come_from_the_store(tmp_path) -> None:
    folder = tmp_path / "store"
    with pytest.raises(InputError, match="is not a frame store"):
        open_or_create_store(folder, may_create=False)
    assert not folder.exists()
    made = open_or_create_store(folder, size_hw=(9, 16), codec=Codec.PNG)
    assert made.spec == StoreSpec((9, 16), Resize.SWSCALE_AREA, Codec.PNG)
    assert open_or_create_store(folder) == open_or_create_store(folder, codec=Codec.PNG, may_create=False) == made
    with pytest.raises(RunError, match=r"size_hw is \[9, 16\], not \[9, 17\]"):
        open_or_create_store(folder, size_hw=(9, 17))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not written by trapmeter"),
        ("[]", "not written by trapmeter"),
        ('{"trapmeter_frames": 2}', "another version"),
        ('{"trapmeter_frames": 1}', "not the specification"),
        ('{"trapmeter_frames": 1, "size_hw": [-1, 480], "resize": "swscale-area", "codec": "png"}', "rows and columns"),
        ('{"trapmeter_frames": 1, "size_hw": [9, 9], "resize": "swscale-area", "codec": "png", "x": 1}', "expected"),
    ],
)
def test_a_damaged_store_json_is_refused(tmp_path, content, words) -> None:
    with pytest.raises(InputError, match=r"is not a frame store.*trapmeter frames"):
        FrameStore.open(tmp_path)
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(InputError, match=words):
        FrameStore.open(tmp_path)


def test_store_json_states_everything_that_pictures_depend_on(tmp_path) -> None:
    FrameStore.create(tmp_path, StoreSpec())
    assert json.loads((tmp_path / "store.json").read_text()) == {
        "trapmeter_frames": 1,
        "size_hw": [270, 480],
        "resize": "swscale-area",
        "codec": "jpeg",
        "jpeg_quality": 95,
        "jpeg_subsampling": "4:4:4",
    }


def test_a_network_with_another_input_is_refused() -> None:
    StoreSpec(resize=Resize.OPENCV_LINEAR).check_serves(SECOND_PLACE_INPUT)
    StoreSpec().check_serves(InputSpec())
    with pytest.raises(
        InputError, match=r"resize is swscale-area, the network's opencv-linear; .*--size 270x480 --resize"
    ):
        StoreSpec().check_serves(SECOND_PLACE_INPUT)


def test_sizes_are_parsed_from_text() -> None:
    assert parse_size("270x480") == (270, 480)
    for wrong in ("270", "270x", "-1x5", "270 x 480", "9" * 5000 + "x1"):
        with pytest.raises(InputError, match="such as 270x480"):
            parse_size(wrong)


def test_a_store_can_be_sent_to_a_worker(make_clip, make_store, put) -> None:
    store = make_store()
    put(store, make_clip("plain.mp4", **PLAIN), [0, 1])
    assert number_in(pickle.loads(pickle.dumps(store)).read("plain.mp4", 1)) == 15


def test_without_simplejpeg_png_works_and_jpeg_names_the_extra(make_clip, make_store, put, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    path = make_clip("plain.mp4", **PLAIN)
    store = make_store(codec=Codec.PNG)
    put(store, path, [1])
    assert number_in(store.read("plain.mp4", 1)) == 15
    with pytest.raises(MissingExtraError, match=r"simplejpeg.*trapmeter\[train\]"):
        put(make_store("jpeg"), path, [1])


def test_importing_frames_loads_no_extra() -> None:
    modules = "fill", "store", "requests", "pictures"
    code = "import sys\n" + "".join(f"import trapmeter.frames.{name}\n" for name in modules) + "print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    assert not {"torch", "simplejpeg", "pandas", "cv2", "av"} & set(loaded)
