"""The pictures of chosen moments, with the boxes drawn in. A file that ends a decoder costs its own pictures alone."""

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
from trapmeter.media.find import PHOTO_SUFFIXES
from trapmeter.media.reading import Absence, FitWithin, open_medium
from trapmeter.records import Medium, MediumKind, Pixels
from trapmeter.report.drawing import MIN_SIDE, draw_animals
from trapmeter.report.moments import Moment
from trapmeter.storage.address import Location

if TYPE_CHECKING:
    from PIL.Image import Image

FIT = FitWithin(MIN_SIDE, MIN_SIDE)
JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The picture of a moment with its animals marked; jpeg_uri is a data URI, width and height are in pixels."""

    moment: Moment
    jpeg_uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """The moments of a medium that are to be shown. store: where the pictures are taken from in place of the file."""

    root: Location
    media_id: str
    moments: tuple[Moment, ...]
    store: FrameStore | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What could be shown of a medium, and why the rest could not; "" where nothing is missing."""

    pictures: tuple[Thumbnail, ...]
    unread: str = ""


def thumbnails(
    root: Location,
    chosen: Sequence[Moment],
    progress: Callable[[int], None] = lambda _: None,
    store: FrameStore | None = None,
    jobs: int | None = None,
) -> tuple[list[Thumbnail], dict[str, str]]:
    """Pictures of the chosen moments in their order, and why media could not be read again.

    Each medium is opened once. progress: called with the number of moments that were done. jobs: worker processes to decode
    in, which may crash or hang; None decodes in this one.
    """
    by_medium: dict[str, list[Moment]] = defaultdict(list)
    for moment in sorted(chosen, key=lambda moment: (moment.media_id, moment.time_s)):
        by_medium[moment.media_id].append(moment)
    tasks = [Wanted(root, media_id, tuple(wanted), store) for media_id, wanted in by_medium.items()]
    found: dict[str, Shown] = {}
    for task, shown in _each(tasks, jobs):
        found[task.media_id] = shown
        progress(len(task.moments))
    pictures = {(p.moment.media_id, p.moment.time_s): p for shown in found.values() for p in shown.pictures}
    kept = [pictures[key] for moment in chosen if (key := (moment.media_id, moment.time_s)) in pictures]
    return kept, {media_id: found[media_id].unread for media_id in by_medium if found[media_id].unread}


def pictures_of(task: Wanted) -> Shown:
    """The pictures of one medium. Whatever is wrong with it is told, not raised."""
    try:
        pictures = _of_medium(task) if task.store is None else _of_store(task.store, task)
    except OSError as error:
        return Shown((), error.strerror or str(error))
    except Exception as error:  # a picture less must not cost the report of a run that is done
        return Shown((), str(error) or type(error).__name__)
    missing = len(pictures) < len(task.moments)
    return Shown(tuple(pictures), "some seconds can't be read any more" if missing else "")


def jpeg_uri(image: Image) -> str:
    """A picture as a data URI, to stand in the page itself."""
    file = BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _each(tasks: Sequence[Wanted], jobs: int | None) -> Iterator[tuple[Wanted, Shown]]:
    if jobs is None or not tasks:
        for task in tasks:
            yield task, pictures_of(task)
        return
    from trapmeter.workers import Lost, run_all

    for task, outcome in run_all(tasks, pictures_of, jobs=min(jobs, len(tasks)), limit_s=_limit_s):
        yield task, Shown((), outcome.reason) if isinstance(outcome, Lost) else outcome


def _limit_s(task: Wanted) -> float:
    from trapmeter.workers import Patience

    try:
        return Patience().limit_s((task.root / task.media_id).stat().st_size)
    except OSError:
        return Patience().limit_s(0)


def _of_medium(task: Wanted) -> list[Thumbnail]:
    with open_medium(_medium(task.root, task.media_id), FIT) as reader:
        frames = reader.frames([moment.time_s for moment in task.moments])
        return [
            _thumbnail(moment, frame.pixels)
            for moment, frame in zip(task.moments, frames, strict=True)
            if not isinstance(frame, Absence)
        ]


def _of_store(store: FrameStore, task: Wanted) -> list[Thumbnail]:
    return [_thumbnail(moment, store.read(task.media_id, moment.time_s)) for moment in task.moments]


def _thumbnail(moment: Moment, pixels: Pixels) -> Thumbnail:
    image = draw_animals(pixels, moment.animals)
    return Thumbnail(moment, jpeg_uri(image), image.width, image.height)


def _medium(root: Location, media_id: str) -> Medium:
    # A table may name any path: nothing outside of the run's folder is opened.
    if Path(media_id).is_absolute() or ".." in Path(media_id).parts:
        raise MediaError("its name leads out of the folder that was measured")
    path = root / media_id
    kind = MediumKind.PHOTO if path.suffix.lower() in PHOTO_SUFFIXES else MediumKind.VIDEO
    return Medium(media_id, path, kind)
