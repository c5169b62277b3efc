"""Fills a store from videos, in parallel and resumably, and verifies what it holds."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trapmeter.errors import InputError
from trapmeter.files import PathLike, atomic_file, lock_folder, remove_partial_files
from trapmeter.frames.extraction import (
    ExtractionResult,
    ExtractionTask,
    extract_frames,
    holds_request,
    result_from_index,
    set_up_worker,
    usable_index,
)
from trapmeter.frames.frame_file import frame_file_name, open_frame_file
from trapmeter.frames.pictures import require_codec
from trapmeter.frames.requests import FrameFailure, FrameRequest, read_requests
from trapmeter.frames.spec import Codec
from trapmeter.frames.store import FRAMES_FOLDER, LAYOUT, FrameStore, open_or_create_store
from trapmeter.models.input_spec import Resize
from trapmeter.parallel.engine import EngineName, EngineSettings, open_engine
from trapmeter.parallel.sharding import Shard, items_of_shard
from trapmeter.parallel.workers import TaskFailure, TaskRunner, TimeLimits, Work, run_tasks
from trapmeter.progress import Progress, no_progress
from trapmeter.storage.address import AnyPath, RemotePath, parse_path
from trapmeter.storage.publish import publish_folder, work_folder
from trapmeter.storage.remote import file_state_or_zeros
from trapmeter.tables.csvfile import to_cell
from trapmeter.windows import WIDE_OFFSETS_S

FAILURES_FILE = "failed.csv"


@dataclass(frozen=True, slots=True)
class FillReport:
    """The result of a fill.

    n_videos: requested. n_kept: already complete before. n_frames: seconds with a picture in the frame files of these videos.
    n_doubtful: partly damaged videos that were read as far as possible. failures: also in failed.csv.
    """

    n_videos: int
    n_kept: int
    n_frames: int
    n_doubtful: int
    failures: tuple[FrameFailure, ...]

    @property
    def n_failed_videos(self) -> int:
        """The number of videos with a requested second that is not in the store."""
        return len({failure.video_id for failure in self.failures})


def fill_store(
    store: FrameStore,
    requests: Sequence[FrameRequest],
    jobs: int,
    progress: Progress = no_progress,
    *,
    missing: Sequence[FrameFailure] = (),
    time_limits: TimeLimits | None = None,
    engine: TaskRunner | None = None,
    shard: Shard | None = None,
) -> FillReport:
    """Adds the requested seconds to a store; videos that have them all are skipped.

    Seconds that can't be decoded are recorded in the frame file and not tried again until the video file changes. Videos
    that can't be opened, or crash or hang the decoder, are tried again every time and keep the frame file that they have.
    progress: its stage is "frames", its items videos. missing: videos in the tables without a file (from `read_requests`);
    they are reported with the other failures. engine: what the workers run on, by default processes of this machine. shard:
    only these of the videos, while other shards fill the same store; missing videos belong to the first shard. Each shard
    has its failed.csv in its own folder.

    Raises:
        InputError: a video is requested twice.
        RunError: the store can't be written, or another fill is running in it (with a shard, another one of that shard).
        MissingExtraError: the codec's package is not installed.
    """
    require_codec(store.spec.codec)
    if len({request.medium.media_id for request in requests}) < len(requests):
        raise InputError("a video is requested twice; combine its times in one request")
    if shard is not None:
        requests = items_of_shard(requests, shard, lambda request: request.medium.path)
        missing = missing if shard.number == 1 else ()
    results: dict[str, ExtractionResult] = {}
    n_videos = len(requests) + len(missing)
    with _locked_for_fill(store, shard):
        _remove_partial_files(store, None if shard is None else requests)
        for request in requests:
            video_id = request.medium.media_id
            if (index := usable_index(store, video_id)) is not None and holds_request(index, request):
                results[video_id] = result_from_index(index, request)
        n_kept = len(results)
        n_failed = len(missing) + sum(bool(result.failures) for result in results.values())
        progress("frames", n_kept + len(missing), n_videos, n_failed)
        tasks = [ExtractionTask(store, request) for request in requests if request.medium.media_id not in results]
        try:
            with closing(_extract_all(tasks, jobs, time_limits or TimeLimits(), engine or run_tasks)) as extracted:
                for video_id, result in extracted:
                    results[video_id] = result
                    n_failed += bool(result.failures)
                    progress("frames", len(results) + len(missing), n_videos, n_failed)
        finally:
            # When the run ends early, its workers are stopped while they write, perhaps to a full disk.
            _remove_partial_files(store, requests)
        ordered = [results[request.medium.media_id] for request in requests]
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
    tasks: Sequence[ExtractionTask], jobs: int, time_limits: TimeLimits, engine: TaskRunner
) -> Generator[tuple[str, ExtractionResult], None, None]:
    if not tasks:
        return

    def limit_s(task: ExtractionTask) -> float:
        return time_limits.limit_s(file_state_or_zeros(task.request.medium.path).size_bytes)

    n_workers = max(1, min(jobs, len(tasks)))
    for task, result in engine(tasks, Work(extract_frames, limit_s, start=set_up_worker), jobs=n_workers):
        video_id = task.request.medium.media_id
        if isinstance(result, TaskFailure):
            yield video_id, ExtractionResult(0, (FrameFailure(video_id, None, result.reason),))
        else:
            yield video_id, result


@contextmanager
def _locked_for_fill(store: FrameStore, shard: Shard | None) -> Iterator[None]:
    """Locks a store against other fills of the same videos: those of the same shard or, without a shard, all fills."""
    with ExitStack() as locks:
        if shard is None:
            locks.enter_context(lock_folder(store.folder, "--store"))
        for folder in sorted(store.folder.glob("shard-*-of-*")) if shard is None else [store.folder / shard.name]:
            locks.enter_context(lock_folder(folder, "--store"))
        yield


def _remove_partial_files(store: FrameStore, requests: Sequence[FrameRequest] | None) -> None:
    """Removes partial files of killed workers, for these requests or (None) for all; creates the folder if it is missing."""
    names = None if requests is None else {frame_file_name(request.medium.media_id) for request in requests}
    with suppress(OSError):  # the first write into the folder will report the error
        (store.folder / FRAMES_FOLDER).mkdir(exist_ok=True)
    remove_partial_files(store.folder / FRAMES_FOLDER, names)


def failures_path(store: FrameStore, shard: Shard | None = None) -> Path:
    """The file in which a fill lists its failures."""
    return (store.folder if shard is None else store.folder / shard.name) / FAILURES_FILE


def _write_failures(path: Path, failures: Sequence[FrameFailure]) -> None:
    with atomic_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["video_id", "time", "reason"])
        for failure in failures:
            time = "" if failure.time_s is None else f"{failure.time_s:g}"
            writer.writerow([to_cell(failure.video_id), time, to_cell(failure.reason)])


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """A defect of a frame file, at one second or (time_s None) of the file itself."""

    file_name: str
    time_s: float | None
    reason: str


def verify_store(store: FrameStore, progress: Progress = no_progress) -> list[StoreProblem]:
    """Reads every frame of a store and returns the problems found.

    progress: its stage is "check", its items frame files.

    Raises:
        MissingExtraError: the codec's package is not installed.
    """
    require_codec(store.spec.codec)
    paths = store.frame_file_paths()
    problems: list[StoreProblem] = []
    n_bad = 0
    out = np.empty((*store.spec.size_hw, 3), np.uint8)
    for done, path in enumerate(paths, start=1):
        found: list[StoreProblem] = []
        try:
            index = store.index_at(path)
            with open_frame_file(path) as reader:
                for time_s in index.entries:
                    try:
                        store.decode(reader, time_s, out)
                    except InputError as error:
                        found.append(StoreProblem(path.name, time_s, str(error)))
        except InputError as error:
            found.append(StoreProblem(path.name, None, str(error)))
        except FileNotFoundError:
            found.append(StoreProblem(path.name, None, "the file was removed during the check"))
        problems += found
        n_bad += bool(found)
        progress("check", done, len(paths), n_bad)
    return problems


@dataclass(frozen=True, slots=True)
class StoreReport:
    """The result of `fill_and_check`.

    filled: None if nothing was requested. failures_file: lists all failures of the fill. problems: None without a check.
    folder: the checked folder, which for a store in object storage is its working folder on this machine.
    """

    filled: FillReport | None
    failures_file: AnyPath | None
    problems: tuple[StoreProblem, ...] | None
    folder: Path

    @property
    def has_failed(self) -> bool:
        """Whether a frame is missing or damaged."""
        return bool(self.problems or (self.filled is not None and self.filled.failures))


def fill_and_check(
    store: PathLike | AnyPath,
    labels: Sequence[PathLike] = (),
    videos: PathLike | AnyPath | None = None,
    *,
    size_hw: tuple[int, int] | None = None,
    offsets_s: Sequence[float] | None = None,
    resize: Resize | None = None,
    codec: Codec | None = None,
    jobs: int | None = None,
    shard: Shard | None = None,
    workers: EngineSettings | None = None,
    check: bool = False,
    progress: Progress = no_progress,
) -> StoreReport:
    """Fills a frame store with the frames around the seconds in the labels tables, checks it, or both.

    store: a folder, or an address in object storage. offsets_s: seconds around each labelled one, by default WIDE_OFFSETS_S.
    size_hw, resize, codec: None means the store's settings, or the defaults for a new store. jobs: None means one per core.

    Raises:
        InputError: a table or an option is invalid, or the options exclude each other.
        RunError: the store can't be written, has other settings, or another fill is running in it.
        MissingExtraError: a package for the codec, the engine or the address is not installed.
    """
    target = parse_path(store)
    workers = workers or EngineSettings()
    is_cluster = workers.engine is EngineName.RAY
    if isinstance(target, RemotePath) and (shard is not None or is_cluster):
        raise InputError(
            "--shard and --engine ray need a folder that all machines share; give one as --store instead of an address"
        )
    filled = failures_file = problems = None
    if labels and videos is not None:
        source = parse_path(videos)
        requests, missing = read_requests([Path(table) for table in labels], source, offsets_s or WIDE_OFFSETS_S)
        with publish_folder(target, LAYOUT, "--store") as published:
            # Ray may have started its workers in another folder.
            folder = published.absolute() if is_cluster else published
            frames = open_or_create_store(folder, size_hw=size_hw, resize=resize, codec=codec)
            with open_engine(workers, jobs, [source, folder]) as opened:
                filled = fill_store(
                    frames,
                    requests,
                    opened.jobs,
                    progress,
                    missing=missing,
                    engine=opened.engine.run_tasks,
                    shard=shard,
                )
            failures_file = target / failures_path(frames, shard).relative_to(frames.folder).as_posix()
    elif labels or videos is not None or offsets_s is not None or shard is not None or not check:
        raise InputError("give --labels and --videos to fill a store, --check to verify one, or all of them")
    folder = work_folder(target) if isinstance(target, RemotePath) else target
    if check:
        frames = open_or_create_store(folder, size_hw=size_hw, resize=resize, codec=codec, may_create=False)
        problems = tuple(verify_store(frames, progress))
    return StoreReport(filled, failures_file, problems, folder)
