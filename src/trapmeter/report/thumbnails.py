"""Thumbnails of example seconds, decoded in worker processes: a broken file costs only its own thumbnails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trapmeter.camera.distance_lines import distance_lines, has_same_view
from trapmeter.camera.fit import CameraFit
from trapmeter.errors import MediaError
from trapmeter.frames.store import FrameStore
from trapmeter.media.discovery import PHOTO_SUFFIXES
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.records import Medium, MediumKind, Pixels
from trapmeter.report.annotations import MIN_SIDE, draw_animals
from trapmeter.report.examples import ExampleSecond
from trapmeter.report.html_page import jpeg_data_uri
from trapmeter.storage.address import AnyPath
from trapmeter.storage.remote import file_state_or_zeros
from trapmeter.tables.file_names import leaves_root

JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class ThumbnailStyle:
    """side: pixels of the longer side. has_labels: whether the distances of the animals stand in the picture."""

    side: int = MIN_SIDE
    has_labels: bool = True


DEFAULT_STYLE = ThumbnailStyle()


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The picture of a second with its animals marked; jpeg_uri is a data URI, width and height are in pixels.

    has_lines: whether it shows lines of equal distance.
    """

    second: ExampleSecond
    jpeg_uri: str
    width: int
    height: int
    has_lines: bool = False


@dataclass(frozen=True, slots=True)
class ThumbnailTask:
    """The seconds of one medium to show. store: the frame store that replaces the file; None reads the file.

    camera: fitted, for the lines of equal distance; None draws none.
    """

    root: AnyPath
    media_id: str
    seconds: tuple[ExampleSecond, ...]
    store: FrameStore | None = None
    camera: CameraFit | None = None
    style: ThumbnailStyle = DEFAULT_STYLE


@dataclass(frozen=True, slots=True)
class ThumbnailResult:
    """The thumbnails of one medium, and why some are missing; "" if none is."""

    pictures: tuple[Thumbnail, ...]
    failure: str = ""


def make_thumbnails(
    root: AnyPath,
    chosen: Sequence[ExampleSecond],
    progress: Callable[[int], None] = lambda _: None,
    store: FrameStore | None = None,
    jobs: int | None = None,
    *,
    cameras: Mapping[str, CameraFit] | None = None,
    style: ThumbnailStyle = DEFAULT_STYLE,
) -> tuple[list[Thumbnail], dict[str, str]]:
    """Thumbnails of the chosen seconds in their order, and by media_id why a medium could not be read again.

    Each medium is opened once. progress: called with the number of seconds just done. jobs: worker processes that decode,
    and that may crash or hang without harm; None decodes in this process. cameras: by media_id, as far as fitted.
    """
    cameras = cameras or {}
    by_medium: dict[str, list[ExampleSecond]] = defaultdict(list)
    for second in sorted(chosen, key=lambda second: second.key):
        by_medium[second.media_id].append(second)
    tasks = [
        ThumbnailTask(root, media_id, tuple(seconds), store, cameras.get(media_id), style)
        for media_id, seconds in by_medium.items()
    ]
    results: dict[str, ThumbnailResult] = {}
    for task, result in _run_tasks(tasks, jobs):
        results[task.media_id] = result
        progress(len(task.seconds))
    by_second = {picture.second: picture for result in results.values() for picture in result.pictures}
    pictures = [by_second[second] for second in chosen if second in by_second]
    return pictures, {media_id: results[media_id].failure for media_id in by_medium if results[media_id].failure}


def make_medium_thumbnails(task: ThumbnailTask) -> ThumbnailResult:
    """The thumbnails of one medium. Failures are returned, never raised: they must not cost the report of a finished run."""
    try:
        pictures = _from_medium(task) if task.store is None else _from_store(task.store, task)
    except OSError as error:
        return ThumbnailResult((), error.strerror or str(error))
    except Exception as error:
        return ThumbnailResult((), str(error) or type(error).__name__)
    is_short = len(pictures) < len(task.seconds)
    return ThumbnailResult(tuple(pictures), "some seconds can no longer be read" if is_short else "")


def _run_tasks(tasks: Sequence[ThumbnailTask], jobs: int | None) -> Iterator[tuple[ThumbnailTask, ThumbnailResult]]:
    if jobs is None or not tasks:
        for task in tasks:
            yield task, make_medium_thumbnails(task)
        return
    from trapmeter.parallel.workers import TaskFailure, Work, run_tasks

    for task, outcome in run_tasks(tasks, Work(make_medium_thumbnails, _limit_s), jobs=min(jobs, len(tasks))):
        yield task, ThumbnailResult((), outcome.reason) if isinstance(outcome, TaskFailure) else outcome


def _limit_s(task: ThumbnailTask) -> float:
    from trapmeter.parallel.workers import TimeLimits

    return TimeLimits().limit_s(file_state_or_zeros(task.root / task.media_id).size_bytes)


def _from_medium(task: ThumbnailTask) -> list[Thumbnail]:
    with open_medium(_medium(task.root, task.media_id), FitWithin(task.style.side, task.style.side)) as reader:
        frames = reader.frames([second.time_s for second in task.seconds])
        return [
            _thumbnail(task, second, frame.pixels)
            for second, frame in zip(task.seconds, frames, strict=True)
            if not isinstance(frame, MissingFrame)
        ]


def _from_store(store: FrameStore, task: ThumbnailTask) -> list[Thumbnail]:
    return [_thumbnail(task, second, store.read(task.media_id, second.time_s)) for second in task.seconds]


def _thumbnail(task: ThumbnailTask, second: ExampleSecond, pixels: Pixels) -> Thumbnail:
    height, width = pixels.shape[:2]
    lines = () if task.camera is None or not has_same_view(task.camera, width, height) else distance_lines(task.camera)
    style = task.style
    image = draw_animals(
        pixels, second.animals, lines, ways=second.ways, min_side=style.side, has_labels=style.has_labels
    )
    return Thumbnail(second, jpeg_data_uri(image, JPEG_QUALITY), image.width, image.height, bool(lines))


def _medium(root: AnyPath, media_id: str) -> Medium:
    if leaves_root(media_id):
        raise MediaError("its name leads out of the measured folder")
    path = root / media_id
    kind = MediumKind.PHOTO if path.suffix.lower() in PHOTO_SUFFIXES else MediumKind.VIDEO
    return Medium(media_id, path, kind)
