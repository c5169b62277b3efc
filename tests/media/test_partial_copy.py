"""A remote video shows the same pictures as one of this machine, and only what they need is fetched."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from conftest import MakeClip
from trapmeter.demo.clips import CLIPS
from trapmeter.media import partial_copy
from trapmeter.media.container_index import read_container_index
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.media.video import open_video
from trapmeter.records import Frame
from trapmeter.storage.address import AnyPath, FileState, RemotePath
from trapmeter.storage.filesystems import RemoteError

FIT = FitWithin(64, 64)
EVERY_30 = {"g": "30", "bf": "2"}


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[[Path], RemotePath], list[int]]:
    """Makes a file of this machine a remote one; and how many bytes each request fetched."""
    fetched: list[int] = []

    def read(address: RemotePath, start: int, end: int) -> bytes:
        content = Path("/", address.inner).read_bytes()[start:end]
        fetched.append(len(content))
        return content

    monkeypatch.setattr(partial_copy, "read", read)
    monkeypatch.setattr(partial_copy, "SMALL_FILE_BYTES", 0)
    monkeypatch.setattr(partial_copy, "BLOCK_BYTES", 512)
    monkeypatch.setattr(partial_copy, "PREFETCH_BLOCKS", 1)
    return lambda path: RemotePath("s3://traps", str(path)[1:], FileState(path.stat().st_size, 1)), fetched


def seen(path: AnyPath, times_s: list[float]) -> list[object]:
    """All that there is to see."""
    with open_video(path, FIT) as video:
        shown = [
            (frame.pixels.tobytes(), frame.time_s, frame.is_corrupt) if isinstance(frame, Frame) else frame
            for frame in video.frames(times_s)
        ]
        return [*shown, video.facts]


def packed(path: Path, name: str, movflags: str) -> Path:
    """The same packets in an MP4 that is written otherwise."""
    out = path.with_name(name)
    with av.open(str(path)) as source, av.open(str(out), "w", options={"movflags": movflags}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return out


FRAGMENTS = "frag_keyframe+empty_moov"


def clips(make: MakeClip) -> list[Path]:
    """As cameras write them: with and without pictures out of order, of any frame rate, in every container."""
    return [
        make("gop.mp4", n=300, rate=30, options=EVERY_30),
        packed(make("gop.mp4", n=300, rate=30, options=EVERY_30), "first.mp4", "faststart"),
        packed(make("gop.mp4", n=300, rate=30, options=EVERY_30), "parts.mp4", FRAGMENTS),
        make("open.mp4", n=200, rate=25, options={"x264-params": "keyint=25:open-gop=1:bframes=3"}),
        make("odd.mov", n=200, rate=Fraction(30000, 1001), codec="mjpeg", pix_fmt="yuvj420p"),
        make("still.avi", n=200, rate=20, codec="mjpeg", pix_fmt="yuvj420p"),
        make("moving.avi", n=200, rate=20, codec="mpeg4", options={"g": "20"}),
        make("turned.avi", n=200, rate=20, codec="mpeg4", options={"g": "20", "bf": "2"}),
        make("other.mkv", n=100, rate=20),
        *sorted(CLIPS.glob("*.avi"))[:1],
        *sorted(CLIPS.glob("*.mp4"))[:1],
    ]


@pytest.mark.slow
def test_a_remote_video_shows_what_it_shows_here(
    make_clip: MakeClip, far: tuple[Callable[[Path], RemotePath], list[int]]
) -> None:
    address, _ = far
    for path in clips(make_clip):
        for times_s in ([0.0], [0.0, 3.0, 6.5], [5.0, 99.0], [t / 4 for t in range(30)]):
            assert seen(address(path), times_s) == seen(path, times_s), (path.name, times_s)


def noisy_clip(path: Path, codec: str, options: dict[str, str]) -> Path:
    """Half a minute of noise, which no codec makes small."""
    rng = np.random.default_rng(7)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p" if options else "yuvj420p"
        for _ in range(300):
            noise = rng.integers(0, 256, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"g": "10", "bf": "2"}),
        ("a.mov", "mjpeg", {}),
        ("a.avi", "mjpeg", {}),
        ("b.avi", "mpeg4", {"g": "10"}),
    ],
)
def test_sparse_seconds_fetch_a_small_part(
    tmp_path: Path,
    far: tuple[Callable[[Path], RemotePath], list[int]],
    name: str,
    codec: str,
    options: dict[str, str],
) -> None:
    address, fetched = far
    path = noisy_clip(tmp_path / name, codec, options)
    assert seen(address(path), [22.0, 27.5]) == seen(path, [22.0, 27.5])
    assert sum(fetched) < 0.25 * path.stat().st_size


def test_an_index_that_misleads_costs_time_alone(
    make_clip: MakeClip, far: tuple[Callable[[Path], RemotePath], list[int]], tmp_path: Path
) -> None:
    address, fetched = far
    content = make_clip("gop.mp4", n=300, rate=30, options=EVERY_30).read_bytes()
    assert content.count(b"stss") == 1
    path = tmp_path / "all-keys.mp4"
    # Without that box every picture passes for a keyframe.
    path.write_bytes(content.replace(b"stss", b"free"))
    assert seen(address(path), [2.5, 7.0]) == seen(path, [2.5, 7.0])
    assert sum(fetched) >= path.stat().st_size


def test_files_without_a_skeleton(make_clip: MakeClip, tmp_path: Path) -> None:
    def known(path: Path) -> bool:
        content = path.read_bytes()
        return read_container_index(len(content), lambda a, b: content[a:b]) is not None

    sound = [make_clip("s.mp4"), make_clip("s.avi", codec="mjpeg", pix_fmt="yuvj420p")]
    assert all(map(known, sound))
    assert known(packed(sound[0], "first.mp4", "faststart"))
    assert not known(packed(sound[0], "parts.mp4", FRAGMENTS))
    assert not known(make_clip("s.mkv"))
    for path in sound:
        content = path.read_bytes()
        for number, damaged in enumerate(
            (b"", content[:7], content[:-100], content[: len(content) // 2], content + b"more", b"\x00" * 500)
        ):
            (tmp_path / f"{number}{path.suffix}").write_bytes(damaged)
            assert not known(tmp_path / f"{number}{path.suffix}"), (path.suffix, number)
    avi = sound[1].read_bytes()
    start = avi.rindex(b"idx1")
    # An index that leaves a picture out: what it doesn't tell of may be there.
    (tmp_path / "gap.avi").write_bytes(avi[: start + 8 + 32] + b"JUNK" + avi[start + 8 + 36 :])
    assert not known(tmp_path / "gap.avi")


def test_a_connection_that_breaks_is_no_end_of_a_video(
    make_clip: MakeClip, far: tuple[Callable[[Path], RemotePath], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = far
    path = make_clip("gop.mp4", n=300, rate=30, options=EVERY_30)
    working = partial_copy.read

    def breaking(at: RemotePath, start: int, end: int) -> bytes:
        if start > path.stat().st_size // 3:
            raise RemoteError("it broke off")
        return working(at, start, end)

    monkeypatch.setattr(partial_copy, "read", breaking)
    with pytest.raises(RemoteError, match="it broke off"):
        seen(address(path), [0.0, 7.0])


def test_past_the_end_nothing_is_fetched(
    make_clip: MakeClip, far: tuple[Callable[[Path], RemotePath], list[int]]
) -> None:
    address, fetched = far
    path = make_clip("gop.mp4", n=300, rate=30, options=EVERY_30)
    with open_video(address(path), FIT) as video:
        before = len(fetched)
        assert all(isinstance(shown, MissingFrame) for shown in video.frames([11.0, 12.0]))
    assert len(fetched) == before
