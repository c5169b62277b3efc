"""JPEG pictures of a video or photo at given seconds, decoded in worker processes.

A file that crashes or hangs the decoder costs only its picture, not the page.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from trapmeter.errors import InputError, MediaError
from trapmeter.frames.store import FrameStore
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.parallel.workers import TaskFailure, WorkerPool
from trapmeter.records import Medium, Pixels
from trapmeter.report.html_page import jpeg_bytes

FIT = FitWithin(1280, 1280)
JPEG_QUALITY = 85
WORKERS = 2
"""One decodes the picture on display, the other prepares the next one."""
TIMEOUT_S = 60.0
CACHED_PICTURES = 64
"""Pictures in memory, at 0.1 to 0.3 MB each."""


@dataclass(frozen=True, slots=True)
class _PictureTask:
    medium: Medium
    time_s: float
    fit: FitWithin
    store: Path | None


class Pictures:
    """Decodes pictures of media. Use it in a `with` statement; it is safe for several threads."""

    def __init__(
        self,
        find_medium: Callable[[int], Medium],
        *,
        store: Path | None = None,
        fit: FitWithin = FIT,
        workers: int = WORKERS,
    ) -> None:
        """find_medium: the medium of a number; raises MediaError for one that can't be shown. store: a frame store."""
        self._find_medium, self._store, self._fit = find_medium, store, fit
        self._workers = WorkerPool(workers)
        self._cache: OrderedDict[tuple[int, float], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, medium: int, time_s: float) -> bytes:
        """The picture that a medium, given by its number, shows at a second, as JPEG.

        Raises:
            MediaError: there is no such picture; the text says why.
        """
        key = (medium, time_s)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        task = _PictureTask(self._find_medium(medium), time_s, self._fit, self._store)
        jpeg = self._workers.run_task(_jpeg, task, TIMEOUT_S)
        if isinstance(jpeg, TaskFailure):
            raise MediaError(jpeg.reason)
        if isinstance(jpeg, str):
            raise MediaError(jpeg)
        with self._lock:
            self._cache[key] = jpeg
            while len(self._cache) > CACHED_PICTURES:
                self._cache.popitem(last=False)
        return jpeg

    def close(self) -> None:
        """Stops the workers."""
        self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _jpeg(task: _PictureTask) -> bytes | str:
    """The picture, or the reason why there is none. Runs in a worker."""
    from PIL import Image

    try:
        pixels = _pixels(task)
    except (MediaError, InputError) as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    if isinstance(pixels, MissingFrame):
        return pixels.reason
    return jpeg_bytes(Image.fromarray(pixels), JPEG_QUALITY)


def _pixels(task: _PictureTask) -> Pixels | MissingFrame:
    if task.store is not None:
        return FrameStore.open(task.store).read(task.medium.media_id, task.time_s)
    with open_medium(task.medium, task.fit) as reader:
        (frame,) = reader.frames([task.time_s])
        return frame if isinstance(frame, MissingFrame) else frame.pixels
