"""JPEG pictures of a video or photo at given seconds, decoded in worker processes.

They are decoded in a worker process, so that a file which crashes or hangs the decoder costs its picture and not the page.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self

from trapmeter.errors import InputError, MediaError
from trapmeter.frames.store import FrameStore
from trapmeter.media.opening import open_medium
from trapmeter.media.reader import FitWithin, MissingFrame
from trapmeter.parallel.workers import TaskFailure, WorkerPool
from trapmeter.records import Medium, Pixels
from trapmeter.review.results import Results

FIT = FitWithin(1280, 1280)
JPEG_QUALITY = 85
WORKERS = 2
"""One picture is looked at while the next one is made ready."""
TIMEOUT_S = 60.0
CACHED_PICTURES = 64
"""Pictures in memory, at 0.1 to 0.3 MB each."""
PLAYABLE_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
}
"""What a browser may be able to play. It tries, and where it can't the page shows single pictures."""


@dataclass(frozen=True, slots=True)
class _PictureTask:
    medium: Medium
    time_s: float
    store: Path | None


class Pictures:
    """Makes pictures of a review's media. Close it, or use it with `with`; may be asked from several threads."""

    def __init__(self, results: Results, workers: int = WORKERS) -> None:
        self._results = results
        self._workers = WorkerPool(workers)
        self._kept: OrderedDict[tuple[int, float], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, medium: int, time_s: float) -> bytes:
        """The picture of a medium (by its number) on display at a second, as JPEG.

        Raises:
            MediaError: there is none, and why.
        """
        key = (medium, time_s)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        store = self._results.root if self._results.is_store else None
        asked = _PictureTask(self._results.medium(medium), time_s, store)
        jpeg = self._workers.run_task(_jpeg, asked, TIMEOUT_S)
        if isinstance(jpeg, TaskFailure):
            raise MediaError(jpeg.reason)
        if isinstance(jpeg, str):
            raise MediaError(jpeg)
        with self._lock:
            self._kept[key] = jpeg
            while len(self._kept) > CACHED_PICTURES:
                self._kept.popitem(last=False)
        return jpeg

    def close(self) -> None:
        """Ends the workers."""
        self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _jpeg(asked: _PictureTask) -> bytes | str:
    """The picture, or why there is none. Runs in a worker."""
    from PIL import Image

    try:
        pixels = _pixels(asked)
    except (MediaError, InputError) as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    if isinstance(pixels, MissingFrame):
        return pixels.reason
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _pixels(asked: _PictureTask) -> Pixels | MissingFrame:
    if asked.store is not None:
        return FrameStore.open(asked.store).read(asked.medium.media_id, asked.time_s)
    with open_medium(asked.medium, FIT) as reader:
        (frame,) = reader.frames([asked.time_s])
        return frame if isinstance(frame, MissingFrame) else frame.pixels
