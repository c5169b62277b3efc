"""A function that crashes its worker. It has a module of its own because workers import it by name."""

import os
import signal

from trapmeter.report.thumbnails import ThumbnailResult, ThumbnailTask, make_medium_thumbnails


def crash_at_b(task: ThumbnailTask) -> ThumbnailResult:
    if task.media_id == "b.jpg":
        os.kill(os.getpid(), signal.SIGSEGV)
    return make_medium_thumbnails(task)
