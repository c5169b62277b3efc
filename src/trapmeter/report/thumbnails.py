"""Thumbnails of example seconds, decoded in workers so that a broken file costs only its own."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from trapmeter.errors import MediaError
from trapmeter.frames.store import FrameStore
from trapmeter.media.discovery import PHOTO_SUFFIXES
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.records import Medium, MediumKind, Pixels
from trapmeter.report.annotations import MIN_SIDE, draw_animals
from trapmeter.report.examples import ExampleSecond
from trapmeter.storage.address import AnyPath
from trapmeter.storage.remote import file_state_or_zeros

if TYPE_CHECKING:
    from PIL.Image import Image

FIT = FitWithin(MIN_SIDE, MIN_SIDE)
JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The picture of a moment with its animals marked; jpeg_uri is a data URI, width and height are in pixels."""

    moment: ExampleSecond
    jpeg_uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ThumbnailTask:
    """The moments of a medium that are to be shown. store: where the pictures are taken from in place of the file."""

    root: AnyPath
    media_id: str
    moments: tuple[ExampleSecond, ...]
    store: FrameStore | None = None


@dataclass(frozen=True, slots=True)
class ThumbnailResult:
    """What could be shown of a medium, and why the rest could not; "" where nothing is missing."""

    pictures: tuple[Thumbnail, ...]
    failure: str = ""


def make_thumbnails(
    root: AnyPath,
    chosen: Sequence[ExampleSecond],
    progress: Callable[[int], None] = lambda _: None,
    store: FrameStore | None = None,
    jobs: int | None = None,
) -> tuple[list[Thumbnail], dict[str, str]]:
    """Pictures of the chosen moments in their order, and why media could not be read again.

    Each medium is opened once. progress: called with the number of moments that were done. jobs: worker processes to decode
    in, which may crash or hang; None decodes in this one.
    """
    by_medium: dict[str, list[ExampleSecond]] = defaultdict(list)
    for moment in sorted(chosen, key=lambda moment: (moment.media_id, moment.time_s)):
        by_medium[moment.media_id].append(moment)
    tasks = [ThumbnailTask(root, media_id, tuple(wanted), store) for media_id, wanted in by_medium.items()]
    found: dict[str, ThumbnailResult] = {}
    for task, shown in _run_tasks(tasks, jobs):
        found[task.media_id] = shown
        progress(len(task.moments))
    pictures = {(p.moment.media_id, p.moment.time_s): p for shown in found.values() for p in shown.pictures}
    kept = [pictures[key] for moment in chosen if (key := (moment.media_id, moment.time_s)) in pictures]
    return kept, {media_id: found[media_id].failure for media_id in by_medium if found[media_id].failure}


def make_medium_thumbnails(task: ThumbnailTask) -> ThumbnailResult:
    """The pictures of one medium. Whatever is wrong with it is told, not raised."""
    try:
        pictures = _from_medium(task) if task.store is None else _from_store(task.store, task)
    except OSError as error:
        return ThumbnailResult((), error.strerror or str(error))
    except Exception as error:  # a picture less must not cost the report of a run that is done
        return ThumbnailResult((), str(error) or type(error).__name__)
    missing = len(pictures) < len(task.moments)
    return ThumbnailResult(tuple(pictures), "some seconds can't be read any more" if missing else "")


def jpeg_uri(image: Image) -> str:
    """A picture as a data URI, to stand in the page itself."""
    file = BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _run_tasks(tasks: Sequence[ThumbnailTask], jobs: int | None) -> Iterator[tuple[ThumbnailTask, ThumbnailResult]]:
    if jobs is None or not tasks:
        for task in tasks:
            yield task, make_medium_thumbnails(task)
        return
    from trapmeter.parallel.workers import TaskFailure, run_tasks

    for task, outcome in run_tasks(tasks, make_medium_thumbnails, jobs=min(jobs, len(tasks)), limit_s=_limit_s):
        yield task, ThumbnailResult((), outcome.reason) if isinstance(outcome, TaskFailure) else outcome


def _limit_s(task: ThumbnailTask) -> float:
    from trapmeter.parallel.workers import TimeLimits

    return TimeLimits().limit_s(file_state_or_zeros(task.root / task.media_id).size_bytes)


def _from_medium(task: ThumbnailTask) -> list[Thumbnail]:
    with open_medium(_medium(task.root, task.media_id), FIT) as reader:
        frames = reader.frames([moment.time_s for moment in task.moments])
        return [
            _thumbnail(moment, frame.pixels)
            for moment, frame in zip(task.moments, frames, strict=True)
            if not isinstance(frame, MissingFrame)
        ]


def _from_store(store: FrameStore, task: ThumbnailTask) -> list[Thumbnail]:
    return [_thumbnail(moment, store.read(task.media_id, moment.time_s)) for moment in task.moments]


def _thumbnail(moment: ExampleSecond, pixels: Pixels) -> Thumbnail:
    image = draw_animals(pixels, moment.animals)
    return Thumbnail(moment, jpeg_uri(image), image.width, image.height)


def _medium(root: AnyPath, media_id: str) -> Medium:
    # A table may name any path: nothing outside of the run's folder is opened.
    if Path(media_id).is_absolute() or ".." in Path(media_id).parts:
        raise MediaError("its name leads out of the folder that was measured")
    path = root / media_id
    kind = MediumKind.PHOTO if path.suffix.lower() in PHOTO_SUFFIXES else MediumKind.VIDEO
    return Medium(media_id, path, kind)
