"""A remote video yields the same frames as a local one, and only what they need is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from conftest import MakeClip
from media.remux import remux
from trapmeter.demo.clips import CLIPS
from trapmeter.media import partial_copy
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.media.video import open_video
from trapmeter.records import Frame
from trapmeter.storage.address import AnyPath, FileState, RemotePath
from trapmeter.storage.filesystems import RemoteError

FIT = FitWithin(64, 64)
EVERY_30 = {"g": "30", "bf": "2"}
FRAGMENTS = "frag_keyframe+empty_moov"


@dataclass(frozen=True)
class Remote:
    """Files in object storage. fetched: the number of bytes of each request so far."""

    fetched: list[int]

    def address(self, path: Path) -> RemotePath:
        """The address of a local file."""
        return RemotePath("s3://traps", str(path)[1:], FileState(path.stat().st_size, 1))


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    """Makes local files remote, and records the bytes that each request fetches."""
    fetched: list[int] = []

    def read(address: RemotePath, start: int, end: int) -> bytes:
        content = Path("/", address.inner).read_bytes()[start:end]
        fetched.append(len(content))
        return content

    monkeypatch.setattr(partial_copy, "read", read)
    monkeypatch.setattr(partial_copy, "SMALL_FILE_BYTES", 0)
    monkeypatch.setattr(partial_copy, "BLOCK_BYTES", 512)
    monkeypatch.setattr(partial_copy, "PREFETCH_BLOCKS", 1)
    return Remote(fetched)


def content(path: AnyPath, times_s: list[float]) -> list[object]:
    """All frames at the given seconds, and the video's facts."""
    with open_video(path, FIT) as video:
        frames = [
            (frame.pixels.tobytes(), frame.time_s, frame.is_corrupt) if isinstance(frame, Frame) else frame
            for frame in video.frames(times_s)
        ]
        return [*frames, video.facts]


def clips(make: MakeClip) -> list[Path]:
    """Clips like those of cameras: pictures in and out of order, several frame rates, all containers."""
    gop = make("gop.mp4", n=300, rate=30, options=EVERY_30)
    return [
        gop,
        remux(gop, gop.with_name("faststart.mp4"), movflags="faststart"),
        remux(gop, gop.with_name("fragments.mp4"), movflags=FRAGMENTS),
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
def test_a_remote_video_yields_the_frames_of_a_local_one(make_clip: MakeClip, remote: Remote) -> None:
    for path in clips(make_clip):
        for times_s in ([0.0], [0.0, 3.0, 6.5], [5.0, 99.0], [t / 4 for t in range(30)]):
            assert content(remote.address(path), times_s) == content(path, times_s), (path.name, times_s)


def noisy_clip(path: Path, codec: str, options: dict[str, str]) -> Path:
    """Half a minute of noise, which no codec can compress much."""
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
def test_sparse_seconds_fetch_a_small_share_of_the_file(
    tmp_path: Path, remote: Remote, name: str, codec: str, options: dict[str, str]
) -> None:
    path = noisy_clip(tmp_path / name, codec, options)
    assert content(remote.address(path), [22.0, 27.5]) == content(path, [22.0, 27.5])
    assert sum(remote.fetched) < 0.25 * path.stat().st_size


def test_a_file_with_a_wrong_index_is_read_in_full(make_clip: MakeClip, remote: Remote, tmp_path: Path) -> None:
    original = make_clip("gop.mp4", n=300, rate=30, options=EVERY_30).read_bytes()
    assert original.count(b"stss") == 1
    path = tmp_path / "all-keys.mp4"
    # Without this box, every picture passes for a keyframe.
    path.write_bytes(original.replace(b"stss", b"free"))
    assert content(remote.address(path), [2.5, 7.0]) == content(path, [2.5, 7.0])
    assert sum(remote.fetched) >= path.stat().st_size


def test_a_lost_connection_is_an_error_and_not_the_end_of_the_video(
    make_clip: MakeClip, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip("gop.mp4", n=300, rate=30, options=EVERY_30)
    working = partial_copy.read

    def failing(address: RemotePath, start: int, end: int) -> bytes:
        if start > path.stat().st_size // 3:
            raise RemoteError("connection lost")
        return working(address, start, end)

    monkeypatch.setattr(partial_copy, "read", failing)
    with pytest.raises(RemoteError, match="connection lost"):
        content(remote.address(path), [0.0, 7.0])


def test_seconds_past_the_end_fetch_nothing(make_clip: MakeClip, remote: Remote) -> None:
    path = make_clip("gop.mp4", n=300, rate=30, options=EVERY_30)
    with open_video(remote.address(path), FIT) as video:
        n_requests = len(remote.fetched)
        assert all(isinstance(frame, MissingFrame) for frame in video.frames([11.0, 12.0]))
    assert len(remote.fetched) == n_requests
