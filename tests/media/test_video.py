import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from conftest import MakeClip, number_in
from media.remux import remux
from trapmeter.errors import MediaError
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.media.video import open_video
from trapmeter.records import Frame, Status


def numbers(path: Path, times_s: list[float]) -> list[int | str]:
    """The number of the picture at each time, or the status if there is none."""
    with open_video(path) as video:
        return [
            number_in(frame.pixels) if isinstance(frame, Frame) else frame.status.value
            for frame in video.frames(times_s)
        ]


CODECS = {
    "h264.mp4": {"codec": "libx264"},
    "h264_long_group.mkv": {"codec": "libx264", "options": {"g": "250", "bf": "3"}},
    "h264_open_group.mp4": {"codec": "libx264", "options": {"x264-params": "open-gop=1:keyint=12:bframes=3"}},
    "hevc_open_group.mp4": {"codec": "libx265", "options": {"x265-params": "open-gop=1:keyint=12:log-level=none"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "10"}},
    "mpeg4_b_frames.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "h264_b_frames.avi": {"codec": "libx264", "options": {"bf": "3"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "wmv.asf": {"codec": "wmv2"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "h264.mts": {"codec": "libx264"},
    "h264.m2ts": {"codec": "libx264"},
    "sorenson.flv": {"codec": "flv1"},
    "raw.h264": {"codec": "libx264", "options": {"bf": "2"}},
}


@pytest.fixture(params=CODECS)
def clip(request: pytest.FixtureRequest, make_clip: MakeClip) -> Path:
    return make_clip(request.param, **CODECS[request.param])


def test_whole_seconds_show_the_picture_floor_of_time_times_rate(clip: Path) -> None:
    with open_video(clip) as video:
        assert video.regular_times(1.0) == [0, 1, 2, 3]
    assert numbers(clip, [0, 1, 2, 3]) == [0, 15, 30, 45]


@pytest.mark.parametrize("times_s", [[0.0], [3.99], [2.5, 2.6], [0.9, 0.95, 3.0], [i / 15 for i in range(60)]])
def test_any_times_show_the_right_picture_in_every_codec(clip: Path, times_s: list[float]) -> None:
    # Slightly later than the frame, since i / 15 is not exact in milliseconds (ASF, WebM).
    assert numbers(clip, [t + 0.001 for t in times_s]) == [int((t + 0.001) * 15 + 1e-9) for t in times_s]


def test_seconds_past_the_end_have_a_reason(make_clip: MakeClip) -> None:
    path = make_clip("short.mp4", n=20, rate=10)
    assert numbers(path, [1.9, 2.0, 7]) == [19, "past_end", "past_end"]
    with open_video(path) as video:
        (missing,) = video.frames([5])
    assert missing == MissingFrame(Status.PAST_END, "the video ends at 2.00 s")


def test_a_variable_rate_follows_presentation_times(make_clip: MakeClip) -> None:
    path = make_clip("variable.mkv", pts=[0, 900, 1000, 1001, 2500, 4000], time_base=Fraction(1, 1000), rate=1000)
    assert numbers(path, [0, 0.5, 1, 1.5, 2, 2.5, 3, 4]) == [0, 0, 2, 3, 3, 4, 4, 5]


def test_29_97_frames_a_second_are_counted_exactly(make_clip: MakeClip) -> None:
    path = make_clip("ntsc.mp4", n=150, rate=Fraction(30000, 1001))
    # Frame 30 starts at 1.001 s, so second 1 shows frame 29.
    assert numbers(path, [0, 1, 2, 3, 4]) == [0, 29, 59, 89, 119]
    with open_video(path) as video:
        assert video.regular_times(1) == [0, 1, 2, 3, 4, 5]


def test_second_0_is_the_first_picture(make_clip: MakeClip) -> None:
    path = make_clip("late.mkv", pts=[7000 + i * 100 for i in range(30)], time_base=Fraction(1, 1000), rate=1000)
    assert numbers(path, [0, 1, 2.9]) == [0, 10, 29]


def test_pictures_are_scaled_down_to_fit_but_never_up(make_clip: MakeClip) -> None:
    path = make_clip("size.mp4", n=2, size=(320, 192))
    for fit, expected in [
        (FitWithin(640, 640), (192, 320)),
        (FitWithin(80, 640), (80, 133)),
        (FitWithin(640, 80), (48, 80)),
    ]:
        with open_video(path, fit) as video:
            (frame,) = video.frames([0])
        assert isinstance(frame, Frame)
        assert frame.pixels.shape[:2] == expected


def test_seconds_that_show_the_same_picture_get_the_same_frame(make_clip: MakeClip) -> None:
    path = make_clip("still.mkv", pts=[0, 5000], time_base=Fraction(1, 1000), rate=1000)
    with open_video(path) as video:
        frames = list(video.frames([0, 1, 2, 3]))
    assert all(frame is frames[0] for frame in frames)


def test_a_turned_video_is_displayed_upright(make_clip: MakeClip, tmp_path: Path) -> None:
    upright = make_clip("upright.mp4", n=3, size=(160, 96))
    with open_video(upright) as video:
        (before,) = video.frames([0])
    with open_video(remux(upright, tmp_path / "turned.mp4", rotation_deg=90)) as video:
        (after,) = video.frames([0])
    assert isinstance(before, Frame)
    assert isinstance(after, Frame)
    assert np.array_equal(after.pixels, np.rot90(before.pixels))


@pytest.mark.parametrize("prefix", ["", "com.apple.quicktime."])
def test_make_and_model_are_read_from_the_container(tmp_path: Path, make_clip: MakeClip, prefix: str) -> None:
    plain = make_clip("plain.mp4", n=5)
    tags = {f"{prefix}make": "BROWNING ", f"{prefix}model": "BTC-5HDPX"}
    path = remux(plain, tmp_path / "camera.mov", movflags="use_metadata_tags", tags=tags)
    with open_video(path) as reader:
        assert (reader.facts.camera_make, reader.facts.camera_model) == ("BROWNING", "BTC-5HDPX")
    with open_video(plain) as reader:
        assert (reader.facts.camera_make, reader.facts.camera_model) == ("", "")


def test_a_truncated_video_yields_what_is_left_and_is_doubtful(make_clip: MakeClip, tmp_path: Path) -> None:
    complete = make_clip("complete.avi", n=90, codec="mjpeg", pix_fmt="yuvj420p")
    truncated = tmp_path / "truncated.avi"
    truncated.write_bytes(complete.read_bytes()[: complete.stat().st_size // 2])
    with open_video(truncated) as video:
        times_s = video.regular_times(1)
        shown = [number_in(frame.pixels) for frame in video.frames(times_s) if isinstance(frame, Frame)]
        facts = video.facts
    assert 2 <= len(times_s) <= 4
    assert shown == [0, 15, 30, 45][: len(times_s)]
    assert facts.declared_s is not None
    assert any(doubt.startswith("incomplete: declares 6.0 s") for doubt in facts.doubts)


def test_only_undecodable_seconds_fail(make_clip: MakeClip, tmp_path: Path) -> None:
    complete = make_clip("mid.avi", n=120, codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(complete.read_bytes())
    a, b = int(len(data) * 0.3), int(len(data) * 0.8)
    start = data.index(b"\xff\xd8", a)
    # Zero the pictures but not the container: the bytes between JPEG's start and end markers.
    while start != -1 and start < b:
        end = data.index(b"\xff\xd9", start)
        data[start:end] = bytes(end - start)
        start = data.find(b"\xff\xd8", end)
    path = tmp_path / "mid.avi"
    path.write_bytes(data)
    with open_video(path) as video:
        shown = list(video.frames([float(t) for t in range(8)]))
        doubts = video.facts.doubts
    numbers_or_statuses = [number_in(frame.pixels) if isinstance(frame, Frame) else frame.status for frame in shown]
    assert numbers_or_statuses[:2] == [0, 15]
    assert numbers_or_statuses[-1] == 105
    assert Status.FAILED in numbers_or_statuses
    assert doubts


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty"), (b"no video" * 200, "Invalid data"), (b"\x00" * 5000, "Invalid data")]
)
def test_a_file_that_is_not_a_video_fails_with_ffmpegs_message(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=words), open_video(path) as video:
        list(video.frames([0]))


def test_a_sound_file_is_refused(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    with pytest.raises(MediaError, match="no video stream"), open_video(path):
        pass


def test_the_largest_of_several_streams_is_read(shared: Path) -> None:
    # nasa_13013.mp4 has two video streams; ffmpeg picks the larger one.
    with open_video(shared / "clips/codecs/nasa_13013.mp4") as video:
        assert (video.facts.width, video.facts.height) != (320, 180)


def test_seconds_in_a_damaged_stretch_fail_instead_of_repeating_an_old_picture(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    complete = make_clip("hole.mkv", n=300, rate=10, options={"g": "10"})
    data = bytearray(complete.read_bytes())
    a, b = len(data) * 3 // 10, len(data) * 7 // 10
    data[a:b] = bytes(b - a)
    path = tmp_path / "hole.mkv"
    path.write_bytes(data)
    with open_video(path) as video:
        times_s = video.regular_times(1.0)
        shown = list(video.frames(times_s))
        doubts = video.facts.doubts
    assert 4 <= sum(not isinstance(frame, Frame) for frame in shown) <= 18
    assert doubts
    for time_s, frame in zip(times_s, shown, strict=True):
        if isinstance(frame, Frame):
            assert abs(number_in(frame.pixels) / 10 - time_s) <= 2.1


def test_a_time_lapse_has_no_missing_seconds(make_clip: MakeClip) -> None:
    path = make_clip("lapse.mkv", pts=[0, 10_000, 20_000, 30_000], time_base=Fraction(1, 1000), rate=1000)
    assert numbers(path, [0, 9, 19, 29]) == [0, 0, 1, 2]


def test_a_tiny_file_that_claims_a_huge_picture_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gif"
    # A GIF of 16,000 x 16,000 pixels in 35 bytes.
    path.write_bytes(
        b"GIF89a"
        + (16000).to_bytes(2, "little") * 2
        + b"\x00\x00\x00,\x00\x00\x00\x00"
        + (16000).to_bytes(2, "little") * 2
        + b"\x00\x02\x02\x4c\x01\x00;"
    )
    code = (
        "import sys\nfrom pathlib import Path\nfrom trapmeter.media.video import open_video\n"
        "from trapmeter.errors import MediaError\n"
        "try:\n with open_video(Path(sys.argv[1])) as v: print([type(f).__name__ for f in v.frames([0.0])])\n"
        "except MediaError as e: print(e)\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    frames, peak_kb = done.stdout.splitlines()
    assert frames == "['MissingFrame']"
    assert int(peak_kb) < 300_000


# getrusage would report the parent's peak if that is higher.
READ_FIVE_SECONDS = """
import sys
from pathlib import Path
from trapmeter.media.video import open_video
with open_video(Path(sys.argv[1])) as video:
    every = len(video.regular_times(1.0)) // 5
    n = sum(1 for _ in video.frames(video.regular_times(1.0)[::every]))
print(n, next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_video(make_clip: MakeClip) -> None:
    peak_kb = {}
    for n in (600, 36_000):
        path = make_clip(f"long{n}.avi", n=n, rate=30, codec="mpeg4", size=(160, 96))
        command = [sys.executable, "-c", READ_FIVE_SECONDS, path]
        n_frames, kb = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(n_frames) >= 5
        peak_kb[n] = int(kb)
    # Sixty times as long: about a megabyte is for the packets' times.
    assert peak_kb[36_000] - peak_kb[600] < 8_000


def test_a_stream_without_times_says_which_rate_is_assumed(make_clip: MakeClip) -> None:
    with open_video(make_clip("rate.h264", rate=15, n=45)) as video:
        assert video.facts.length_s == pytest.approx(3)
        assert video.facts.doubts == ("a raw stream has no times: 15 pictures a second are assumed",)
