"""Fills a store from videos: many at once, resumable, and whatever is wrong with one of them.

A video's shard is there whole or not at all, and says which state of which file it was made of. So there is no other record
of what is done: a run that was killed loses at most the videos in hand, and the same command goes on from there.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.files import alone_in, whole_file
from trapmeter.frames.codecs import check_codec
from trapmeter.frames.extraction import Extracted, Extraction, extract, extracted, holds, known, start_worker
from trapmeter.frames.shard import PART_SUFFIX, shard_name, whose_part
from trapmeter.frames.store import SHARDS, FrameStore
from trapmeter.frames.wanted import Failure, Wanted
from trapmeter.shares import Shard, share_of
from trapmeter.tables.celltext import to_cell
from trapmeter.workers import Lost, Patience, RunAll, run_all

FAILED = "failed.csv"

Progress = Callable[[str, int, int, int], None]
"""Called with the stage ("frames" or "check"), videos done, videos in all, and videos with failures."""


@dataclass(frozen=True, slots=True)
class FillReport:
    """What a fill did.

    n_videos: asked for; n_kept: held all that was wanted already; n_frames: seconds with a picture in the shards of all these
    videos; n_doubtful: videos that are damaged in part and were read as far as possible; failures: also in failed.csv.
    """

    n_videos: int
    n_kept: int
    n_frames: int
    n_doubtful: int
    failures: tuple[Failure, ...]

    @property
    def n_failed_videos(self) -> int:
        """Videos of which something that was wanted is not in the store."""
        return len({failure.video_id for failure in self.failures})


def fill_store(
    store: FrameStore,
    wanted: Sequence[Wanted],
    jobs: int,
    progress: Progress = lambda *_: None,
    *,
    missing: Sequence[Failure] = (),
    patience: Patience | None = None,
    engine: RunAll | None = None,
    shard: Shard | None = None,
) -> FillReport:
    """Brings the wanted seconds into the store, beside those that it has; videos that have them all are left alone.

    missing: videos of the tables that there is no file for (`wanted_from_labels` finds them); they are reported with the
    rest. Seconds that can't be decoded are remembered in the shard and not tried again until the file changes; videos that
    can't be opened, or crash or hang the decoder, are tried again every time, and keep the shard that they have, if any.
    engine: what the workers run on; by default processes of this machine. shard: only these videos of all that are wanted,
    beside other shards in the same store; missing ones are the first shard's. Its failed.csv is in a folder of its own.

    Raises:
        InputError: a video is wanted twice.
        RunError: the store can't be written, or another fill is at work in it (with a shard, another of the same shard).
        MissingExtraError: the codec's package is not installed.
    """
    check_codec(store.spec.codec)
    if len({task.medium.media_id for task in wanted}) < len(wanted):
        raise InputError("a video is wanted twice; put its times together")
    if shard is not None:
        wanted = share_of(wanted, shard, lambda task: task.medium.path)
        missing = missing if shard.number == 1 else ()
    results: dict[str, Extracted] = {}
    n_videos = len(wanted) + len(missing)
    with _alone(store, shard):
        _sweep(store, None if shard is None else wanted)
        for task in wanted:
            video_id = task.medium.media_id
            if (index := known(store, video_id)) is not None and holds(index, task):
                results[video_id] = extracted(index, task)
        n_kept = len(results)
        n_failed = len(missing) + sum(bool(result.failures) for result in results.values())
        progress("frames", n_kept + len(missing), n_videos, n_failed)
        left = [Extraction(store, task) for task in wanted if task.medium.media_id not in results]
        try:
            with closing(_extract_all(left, jobs, patience or Patience(), engine or run_all)) as extracted_now:
                for video_id, result in extracted_now:
                    results[video_id] = result
                    n_failed += bool(result.failures)
                    progress("frames", len(results) + len(missing), n_videos, n_failed)
        finally:
            # Where the run ends early its other workers are stopped in the midst of theirs, on a disk that may be full.
            _sweep(store, wanted)
        ordered = [results[task.medium.media_id] for task in wanted]
        failures = (*(failure for result in ordered for failure in result.failures), *missing)
        _write_failures(failures_path(store, shard), failures)
    return FillReport(
        n_videos=n_videos,
        n_kept=n_kept,
        n_frames=sum(result.n_frames for result in ordered),
        n_doubtful=sum(result.is_doubtful for result in ordered),
        failures=failures,
    )


def _extract_all(
    tasks: Sequence[Extraction], jobs: int, patience: Patience, engine: RunAll
) -> Generator[tuple[str, Extracted], None, None]:
    if not tasks:
        return

    def limit_s(task: Extraction) -> float:
        try:
            return patience.limit_s(task.wanted.medium.path.stat().st_size)
        except OSError:
            return patience.limit_s(0)

    n_workers = max(1, min(jobs, len(tasks)))
    for task, result in engine(tasks, extract, jobs=n_workers, limit_s=limit_s, start=start_worker):
        video_id = task.wanted.medium.media_id
        if isinstance(result, Lost):
            yield video_id, Extracted(0, (Failure(video_id, None, result.reason),))
        else:
            yield video_id, result


@contextmanager
def _alone(store: FrameStore, shard: Shard | None) -> Iterator[None]:
    """Keeps other fills of the same videos out of a store: of a shard those of that shard, of all videos every one."""
    with ExitStack() as locks:
        if shard is None:
            locks.enter_context(alone_in(store.folder, "--store"))
        for folder in sorted(store.folder.glob("shard-*-of-*")) if shard is None else [store.folder / shard.name]:
            locks.enter_context(alone_in(folder, "--store"))
        yield


def _sweep(store: FrameStore, of: Sequence[Wanted] | None) -> None:
    """Removes what killed workers left half written, of some videos or of all; makes the folder of shards if it got lost."""
    names = None if of is None else {shard_name(task.medium.media_id) for task in of}
    with suppress(OSError):  # who writes into it will say what is wrong
        (store.folder / SHARDS).mkdir(exist_ok=True)
    for path in (store.folder / SHARDS).glob(f".*{PART_SUFFIX}"):
        if names is None or whose_part(path.name) in names:
            with suppress(OSError):
                path.unlink()


def failures_path(store: FrameStore, shard: Shard | None = None) -> Path:
    """Where a fill writes what it could not get."""
    return (store.folder if shard is None else store.folder / shard.name) / FAILED


def _write_failures(path: Path, failures: Sequence[Failure]) -> None:
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["video_id", "time", "reason"])
        for failure in failures:
            time = "" if failure.time_s is None else f"{failure.time_s:g}"
            writer.writerow([to_cell(failure.video_id), time, to_cell(failure.reason)])
