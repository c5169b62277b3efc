"""Filling a store: complete frame files only, resumable, and one bad video doesn't affect the others."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from conftest import MakeClip, number_in
from trapmeter.errors import InputError, RunError
from trapmeter.frames import fill
from trapmeter.frames.fill import FillReport, fill_store
from trapmeter.frames.requests import FrameFailure
from trapmeter.frames.store import FrameStore
from trapmeter.parallel.sharding import Shard
from trapmeter.parallel.workers import TaskFailure


def contents(store: FrameStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (store.folder / "shards").iterdir()}


def failed_rows(store: FrameStore) -> list[list[str]]:
    with (store.folder / "failed.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.slow
def test_a_fill_adds_what_is_missing_and_keeps_the_rest(make_clip: MakeClip, make_store, request_for) -> None:
    store = make_store()
    paths = [make_clip(f"clip{i}.mp4", n=60, rate=15) for i in range(3)]
    calls: list[tuple[str, int, int, int]] = []
    report = fill_store(store, [request_for(path, [0, 1, 5]) for path in paths], 2, lambda *call: calls.append(call))
    # Second 5 is past the end; windows that repeat the edge use the last whole second instead.
    assert report == FillReport(n_videos=3, n_kept=0, n_frames=9, n_doubtful=0, failures=())
    assert calls == [("frames", done, 3, 0) for done in range(4)]
    assert store.times("clip0.mp4") == (0, 1, 3)
    first = contents(store)
    modified = {path: path.stat().st_mtime_ns for path in store.frame_file_paths()}

    again = fill_store(store, [request_for(path, [0, 1, 5]) for path in paths], 2)
    assert (again.n_kept, again.n_frames) == (3, 9)
    assert {path: path.stat().st_mtime_ns for path in store.frame_file_paths()} == modified

    more = fill_store(store, [request_for(paths[0], [2, 0.5])], 2)
    assert (more.n_kept, more.n_frames) == (0, 5)
    assert store.times("clip0.mp4") == (0, 0.5, 1, 2, 3)
    assert [number_in(store.read("clip0.mp4", time_s)) for time_s in store.times("clip0.mp4")] == [0, 7, 15, 30, 45]

    once = make_store("once")
    fill_store(once, [request_for(paths[0], [0, 0.5, 1, 2, 5])], 1)
    assert contents(once).items() <= contents(store).items()
    assert sum(first[name] != data for name, data in contents(store).items()) == 1


def test_a_changed_file_is_read_again(make_clip: MakeClip, make_store, put, request_for) -> None:
    store = make_store()
    path = make_clip("changing.mp4", n=60, rate=15)
    put(store, path, [0, 1])
    os.utime(path, ns=(1, 1))
    assert fill_store(store, [request_for(path, [1])], 1).n_kept == 0
    assert store.times("changing.mp4") == (0, 1)
    assert store.index("changing.mp4").source.modified_ns == 1


SCRIPT = """
import sys
from pathlib import Path
from trapmeter.frames.fill import fill_store
from trapmeter.frames.store import FrameStore
from trapmeter.frames.requests import FrameRequest
from trapmeter.records import Medium, MediumKind

if __name__ == "__main__":
    store, clip = Path(sys.argv[1]), Path(sys.argv[2])
    media = [Medium(f"{i}.mp4", clip, MediumKind.VIDEO) for i in range(int(sys.argv[3]))]
    fill_store(FrameStore.open(store), [FrameRequest(medium, (0.0, 1.0, 2.0, 3.0)) for medium in media], 2)
"""


@pytest.mark.slow
def test_a_killed_fill_resumes_and_ends_with_the_same_bytes(
    make_clip: MakeClip, make_store: Callable[..., FrameStore], request_for, tmp_path: Path
) -> None:
    n = 40
    clip = make_clip("large.mp4", n=60, rate=15, size=(640, 368))
    script = tmp_path / "filling.py"
    script.write_text(SCRIPT)
    store, uninterrupted = make_store(), make_store("uninterrupted")
    process = subprocess.Popen([sys.executable, script, store.folder, clip, str(n)], start_new_session=True)
    try:
        while len(store.frame_file_paths()) < 3:
            assert process.poll() is None
            time.sleep(0.002)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = store.frame_file_paths()
    assert 3 <= len(done) < n
    for path in done:
        assert len(store.index_at(path).entries) == 4
    (store.folder / "shards" / ".x.frames.1.part").write_bytes(b"half")

    requests = [request_for(clip, [0, 1, 2, 3], f"{i}.mp4") for i in range(n)]
    assert fill_store(store, requests, 2).n_kept == len(done)
    fill_store(uninterrupted, requests, 2)
    assert contents(store) == contents(uninterrupted)


def test_bad_videos_are_listed_and_the_others_are_stored(
    make_clip: MakeClip, make_store, request_for, tmp_path: Path
) -> None:
    good = make_clip("good.mp4", n=60, rate=15)
    (tmp_path / "=noise.mp4").write_bytes(b"\0no video\xff" * 1000)
    (tmp_path / "empty.mp4").touch()
    store = make_store()
    requests = [
        request_for(tmp_path / "=noise.mp4", [0]),
        request_for(good, [0, 3, 9], labelled_s=[3, 9]),
        request_for(tmp_path / "empty.mp4", [0]),
        request_for(tmp_path / "gone.mp4", [0]),
    ]
    report = fill_store(store, requests, 2, missing=[FrameFailure("lost.mp4", None, "no such file")])
    assert (report.n_videos, report.n_frames, report.n_failed_videos) == (5, 2, 5)
    assert store.video_ids() == ["good.mp4"]
    header, *rows = failed_rows(store)
    assert header == ["video_id", "time", "reason"]
    assert [row[:2] for row in rows] == [
        ["'=noise.mp4", ""],
        ["good.mp4", "9"],
        ["empty.mp4", ""],
        ["gone.mp4", ""],
        ["lost.mp4", ""],
    ]
    assert rows[1][2] == "the video ends at 4.00 s"
    assert rows[2][2] == "the file is empty (0 bytes)"
    assert rows[3][2] == "No such file or directory"
    # The second past the end is reported again, from the frame file.
    assert fill_store(store, requests[1:2], 2).failures == (FrameFailure("good.mp4", 9, "the video ends at 4.00 s"),)
    assert fill_store(store, [request_for(good, [0, 3])], 2).failures == ()
    assert failed_rows(store) == [header]


@pytest.fixture
def holed(make_clip: MakeClip, tmp_path: Path) -> Path:
    """Eight seconds of MJPEG with zeros in place of the pictures between about 30 and 80% of the file."""
    data = bytearray(make_clip("hole.avi", n=120, codec="mjpeg", pix_fmt="yuvj420p").read_bytes())
    at, end = int(len(data) * 0.3), int(len(data) * 0.8)
    while (at := data.find(b"\xff\xd8", at, end)) != -1:
        stop = data.index(b"\xff\xd9", at)
        data[at:stop] = bytes(stop - at)
        at = stop
    path = tmp_path / "hole.avi"
    path.write_bytes(data)
    return path


def test_a_bad_second_fails_alone_and_is_not_tried_again(make_store, request_for, put, holed: Path) -> None:
    store = make_store()
    report = fill_store(store, [request_for(holed, range(8))], 1)
    failed = [failure.time_s for failure in report.failures]
    assert 0 < len(failed) < 6
    assert report.n_doubtful == 1
    assert store.times("hole.avi") == tuple(float(t) for t in range(8) if t not in failed)
    assert list(store.failed("hole.avi")) == failed
    with pytest.raises(InputError, match=f"no frame at {failed[0]:g} s .*could not be decoded"):
        store.window("hole.avi", failed[0], (0.0,))
    again = fill_store(store, [request_for(holed, range(8))], 1)
    assert (again.n_kept, again.failures) == (1, report.failures)


def test_a_crash_of_the_decoder_is_a_failure_of_its_video(
    make_clip: MakeClip, make_store, request_for, monkeypatch
) -> None:
    store = make_store()
    path = make_clip("good.mp4", n=60, rate=15)
    monkeypatch.setattr(
        fill, "run_tasks", lambda tasks, *_, **__: ((t, TaskFailure("the decoder crashed (SIGSEGV)")) for t in tasks)
    )
    report = fill_store(store, [request_for(path, [0])], 1)
    assert report.failures == (FrameFailure("good.mp4", None, "the decoder crashed (SIGSEGV)"),)


def test_a_damaged_frame_file_is_written_again(make_clip: MakeClip, make_store, put, request_for) -> None:
    store = make_store()
    path = make_clip("good.mp4", n=60, rate=15)
    put(store, path, [0, 1])
    intact = contents(store)
    (path_in_store,) = store.frame_file_paths()
    path_in_store.write_bytes(path_in_store.read_bytes()[:-100])
    assert fill_store(store, [request_for(path, [0, 1])], 1).n_kept == 0
    assert contents(store) == intact


def test_concurrent_fills_and_duplicate_videos_are_refused(make_clip: MakeClip, make_store, request_for) -> None:
    store = make_store()
    requests = request_for(make_clip("good.mp4", n=60, rate=15), [0])
    with pytest.raises(InputError, match="requested twice"):
        fill_store(store, [requests, requests], 1)
    with FileLock(store.folder / ".lock"), pytest.raises(RunError, match="another run is writing there"):
        fill_store(store, [requests], 1)


def test_shards_fill_the_same_store_together(make_clip: MakeClip, make_store, request_for) -> None:
    store, uninterrupted = make_store(), make_store("uninterrupted")
    requests = [request_for(make_clip(f"clip{i}.mp4", n=60, rate=15), [0, 1]) for i in range(3)]
    missing = [FrameFailure("lost.mp4", None, "no such file")]
    half_written = store.folder / "shards" / f".{store.frame_file_path('clip1.mp4').name}.1.part"
    half_written.write_bytes(b"half of a frame file")
    first = fill_store(store, requests, 1, missing=missing, shard=Shard(1, 2))
    assert half_written.exists()
    assert (first.n_videos, first.failures) == (3, tuple(missing))
    second = fill_store(store, requests, 1, missing=missing, shard=Shard(2, 2))
    assert (second.n_videos, second.failures) == (1, ())
    assert {path.parent.name for path in store.folder.glob("*/failed.csv")} == {"shard-1-of-2", "shard-2-of-2"}
    full = fill_store(store, requests, 1, missing=missing)
    assert (full.n_videos, full.n_kept, full.failures) == (4, 3, tuple(missing))
    fill_store(uninterrupted, requests, 1)
    assert contents(store) == contents(uninterrupted)


def test_a_shard_is_locked_against_itself_and_against_a_full_fill(make_clip: MakeClip, make_store, request_for) -> None:
    store = make_store()
    requests = [request_for(make_clip("good.mp4", n=60, rate=15), [0])]
    fill_store(store, requests, 1, shard=Shard(1, 2))
    with FileLock(store.folder / "shard-1-of-2" / ".lock"):
        for shard in (Shard(1, 2), None):
            with pytest.raises(RunError, match=r"shard-1-of-2: another run is writing there"):
                fill_store(store, requests, 1, shard=shard)
        fill_store(store, requests, 1, shard=Shard(2, 2))


def test_a_full_disk_ends_the_run_without_partial_files(make_clip: MakeClip, make_store, put, monkeypatch) -> None:
    store = make_store()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"can't be written: No space left on device"):
        put(store, make_clip("good.mp4", n=60, rate=15), [0])
    assert contents(store) == {}
