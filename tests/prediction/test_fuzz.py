"""Three hundred damaged videos: each gets rows, none crashes its worker, none hangs."""

from pathlib import Path

import numpy as np
import pytest

from conftest import SHARED, MakeClip
from fakes import bright_models
from prediction_world import medium_task
from trapmeter.parallel.workers import INTERNAL_ERROR, TimeLimits
from trapmeter.prediction.worker_models import process_media
from trapmeter.records import Status

N_MUTATIONS = 300
LARGEST = 200_000


def mutate(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One of: flipped bits, a cut, another file's head, a run of zeros, a doubled piece."""
    bytes_ = bytearray(data)
    kind = rng.integers(5)
    if kind == 0:
        for at in rng.integers(0, len(bytes_), int(rng.integers(1, 60))):
            bytes_[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del bytes_[int(rng.integers(1, len(bytes_))) :]
    elif kind == 2:
        head = int(rng.integers(8, 2000))
        bytes_[:head] = other[: int(rng.integers(8, 2000))]
    elif kind == 3:
        at = int(rng.integers(len(bytes_)))
        bytes_[at : at + int(rng.integers(1, 4000))] = bytes(int(rng.integers(1, 4000)))
    else:
        at, size = int(rng.integers(len(bytes_))), int(rng.integers(1, 4000))
        bytes_[at:at] = bytes_[at : at + size]
    return bytes(bytes_)


@pytest.fixture
def originals(make_clip: MakeClip) -> list[Path]:
    made = [
        make_clip("fuzz.mp4", n=45),
        make_clip("fuzz.avi", n=45, codec="mpeg4", options={"bf": "2"}),
        make_clip("fuzz_mjpeg.avi", n=45, codec="mjpeg", pix_fmt="yuvj420p"),
        make_clip("fuzz.asf", n=45, codec="wmv2"),
        make_clip("fuzz.mkv", n=45, codec="libx265", options={"x265-params": "log-level=none"}),
        make_clip("fuzz.webm", n=45, codec="libvpx-vp9"),
        make_clip("fuzz.mov", n=45, codec="libx264", options={"bf": "3"}),
    ]
    clips = SHARED / "clips"
    found = sorted([*clips.glob("codecs/*"), *clips.glob("zamba-small/*")]) if clips.is_dir() else []
    return made + [path for path in found if 0 < path.stat().st_size < LARGEST]


@pytest.mark.slow
def test_every_damaged_video_gets_rows(originals: list[Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(20261122)
    tasks = []
    for number in range(N_MUTATIONS):
        source = originals[number % len(originals)]
        other = originals[int(rng.integers(len(originals)))]
        path = tmp_path / f"{number}{source.suffix.lower()}"
        path.write_bytes(mutate(source.read_bytes(), other.read_bytes(), rng))
        tasks.append(medium_task(path))
    results = list(process_media(tasks, bright_models, 2, TimeLimits(base_s=3000.0, per_megabyte_s=0.0)))
    assert sorted(s.media_id for s in results) == sorted(task.medium.media_id for task in tasks)
    bad = ("crashed", "hangs", INTERNAL_ERROR)
    assert [(s.media_id, s.failure) for s in results if any(words in s.failure for words in bad)] == []
    for medium in results:
        assert medium.seconds
        assert all(second.reason for second in medium.seconds if second.status is Status.FAILED)
    # Some mutations leave a readable video and others don't; otherwise the test would show nothing.
    n_failed = sum(bool(medium.failure) for medium in results)
    assert 10 < n_failed < N_MUTATIONS - 50
