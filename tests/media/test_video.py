import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from conftest import MakeClip, number_in
from trapmeter.errors import MediaError
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.media.video import open_video
from trapmeter.records import Frame, Status


def numbers(path: Path, times_s: list[float]) -> list[int | str]:
    with open_video(path) as video:
        return [
            number_in(shown.pixels) if isinstance(shown, Frame) else shown.status.value
            for shown in video.frames(times_s)
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
}


@pytest.fixture(params=CODECS)
def clip(request: pytest.FixtureRequest, make_clip: MakeClip) -> Path:
    return make_clip(request.param, **CODECS[request.param])


def test_whole_seconds_show_floor_of_t_times_fps(clip: Path) -> None:
    with open_video(clip) as video:
        assert video.regular_times(1.0) == [0, 1, 2, 3]
    assert numbers(clip, [0, 1, 2, 3]) == [0, 15, 30, 45]


@pytest.mark.parametrize("times_s", [[0.0], [3.99], [2.5, 2.6], [0.9, 0.95, 3.0], [i / 15 for i in range(60)]])
def test_any_times_in_any_codec(clip: Path, times_s: list[float]) -> None:
    # A time a hair above its frame's own, since i / 15 is not exact in milliseconds (ASF, WebM).
    assert numbers(clip, [t + 0.001 for t in times_s]) == [int((t + 0.001) * 15 + 1e-9) for t in times_s]


def test_past_the_end_says_so(make_clip: MakeClip) -> None:
    path = make_clip("short.mp4", n=20, rate=10)
    assert numbers(path, [1.9, 2.0, 7]) == [19, "past_end", "past_end"]
    with open_video(path) as video:
        (absence,) = video.frames([5])
    assert absence == MissingFrame(Status.PAST_END, "the video ends at 2.00 s")


def test_variable_rate_follows_presentation_times(make_clip: MakeClip) -> None:
    path = make_clip("variable.mkv", pts=[0, 900, 1000, 1001, 2500, 4000], time_base=Fraction(1, 1000), rate=1000)
    assert numbers(path, [0, 0.5, 1, 1.5, 2, 2.5, 3, 4]) == [0, 0, 2, 3, 3, 4, 4, 5]


def test_29_97_frames_a_second(make_clip: MakeClip) -> None:
    path = make_clip("ntsc.mp4", n=150, rate=Fraction(30000, 1001))
    # Second 1 is not yet frame 30, which comes at 1.001 s.
    assert numbers(path, [0, 1, 2, 3, 4]) == [0, 29, 59, 89, 119]
    with open_video(path) as video:
        assert video.regular_times(1) == [0, 1, 2, 3, 4, 5]


def test_time_starts_with_the_first_picture(make_clip: MakeClip) -> None:
    path = make_clip("late.mkv", pts=[7000 + i * 100 for i in range(30)], time_base=Fraction(1, 1000), rate=1000)
    assert numbers(path, [0, 1, 2.9]) == [0, 10, 29]


def test_pictures_are_scaled_to_fit_and_never_up(make_clip: MakeClip) -> None:
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


def test_one_picture_for_many_seconds_is_one_frame_object(make_clip: MakeClip) -> None:
    path = make_clip("still.mkv", pts=[0, 5000], time_base=Fraction(1, 1000), rate=1000)
    with open_video(path) as video:
        frames = list(video.frames([0, 1, 2, 3]))
    assert all(frame is frames[0] for frame in frames)


def test_phone_video_is_turned_upright(make_clip: MakeClip, tmp_path: Path) -> None:
    import av

    upright = make_clip("upright.mp4", n=3, size=(160, 96))
    turned = tmp_path / "turned.mp4"
    with av.open(str(upright)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with open_video(upright) as one, open_video(turned) as other:
        (before,), (after,) = one.frames([0]), other.frames([0])
    assert isinstance(before, Frame)
    assert isinstance(after, Frame)
    assert np.array_equal(after.pixels, np.rot90(before.pixels))


def test_truncated_video_gives_what_is_there_and_says_it_breaks_off(make_clip: MakeClip, tmp_path: Path) -> None:
    whole = make_clip("whole.avi", n=90, codec="mjpeg", pix_fmt="yuvj420p")
    broken = tmp_path / "broken.avi"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_video(broken) as video:
        times_s = video.regular_times(1)
        shown = [number_in(frame.pixels) for frame in video.frames(times_s) if isinstance(frame, Frame)]
        facts = video.facts
    assert 2 <= len(times_s) <= 4
    assert shown == [0, 15, 30, 45][: len(times_s)]
    assert facts.declared_s is not None


def test_undecodable_middle_fails_alone(make_clip: MakeClip, tmp_path: Path) -> None:
    whole = make_clip("mid.avi", n=120, codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(whole.read_bytes())
    a, b = int(len(data) * 0.3), int(len(data) * 0.8)
    start = data.index(b"\xff\xd8", a)
    # Wipe pictures without touching the container: what lies between JPEG start and end markers.
    while start != -1 and start < b:
        end = data.index(b"\xff\xd9", start)
        data[start:end] = bytes(end - start)
        start = data.find(b"\xff\xd8", end)
    path = tmp_path / "mid.avi"
    path.write_bytes(data)
    with open_video(path) as video:
        shown = list(video.frames([float(t) for t in range(8)]))
        doubts = video.facts.doubts
    kinds = [number_in(s.pixels) if isinstance(s, Frame) else s.status for s in shown]
    assert kinds[:2] == [0, 15]
    assert kinds[-1] == 105
    assert Status.FAILED in kinds
    assert doubts


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty"), (b"no video" * 200, "Invalid data"), (b"\x00" * 5000, "Invalid data")]
)
def test_what_is_no_video_fails_with_ffmpegs_words(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=words), open_video(path) as video:
        list(video.frames([0]))


def test_a_sound_file_is_no_video(tmp_path: Path) -> None:
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


def test_the_best_of_several_streams_is_read(shared: Path) -> None:
    # nasa_13013.mp4 holds two video streams; FFmpeg shows the larger one.
    with open_video(shared / "clips/codecs/nasa_13013.mp4") as video:
        assert (video.facts.width, video.facts.height) != (320, 180)


def test_a_hole_in_the_file_fails_and_is_no_measurement(make_clip: MakeClip, tmp_path: Path) -> None:
    whole = make_clip("hole.mkv", n=300, rate=10, options={"g": "10"})
    data = bytearray(whole.read_bytes())
    a, b = len(data) * 3 // 10, len(data) * 7 // 10
    data[a:b] = bytes(b - a)
    path = tmp_path / "hole.mkv"
    path.write_bytes(data)
    with open_video(path) as video:
        times_s = video.regular_times(1.0)
        shown = list(video.frames(times_s))
        doubts = video.facts.doubts
    failed = [time_s for time_s, s in zip(times_s, shown, strict=True) if not isinstance(s, Frame)]
    assert 4 <= len(failed) <= 18
    assert doubts
    for time_s, frame in zip(times_s, shown, strict=True):
        if isinstance(frame, Frame):
            assert abs(number_in(frame.pixels) / 10 - time_s) <= 2.1


def test_a_picture_each_ten_seconds_is_not_full_of_holes(make_clip: MakeClip) -> None:
    path = make_clip("lapse.mkv", pts=[0, 10_000, 20_000, 30_000], time_base=Fraction(1, 1000), rate=1000)
    assert numbers(path, [0, 9, 19, 29]) == [0, 0, 1, 2]


def test_a_tiny_file_that_claims_a_huge_picture_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
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
    said = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert said[0] == "['MissingFrame']"
    assert int(said[1]) < 300_000


# getrusage would tell the parent's peak where that is higher.
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
def test_memory_does_not_grow_with_the_length(make_clip: MakeClip) -> None:
    peak_kb = {}
    for n in (600, 36_000):
        path = make_clip(f"long{n}.avi", n=n, rate=30, codec="mpeg4", size=(160, 96))
        done = subprocess.run(
            [sys.executable, "-c", READ_FIVE_SECONDS, path], capture_output=True, text=True, check=True
        ).stdout.split()
        assert int(done[0]) >= 5
        peak_kb[n] = int(done[1])
    # Sixty times as long; a megabyte is for the packets' times.
    assert peak_kb[36_000] - peak_kb[600] < 8_000
