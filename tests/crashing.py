"""Stands in for what a worker does, where a test wants it to crash. Workers find it by name, so that it is no test's own."""

import os
import signal

from trapmeter.report.thumbnails import ThumbnailResult, ThumbnailTask, make_medium_thumbnails


def crash_at_b(task: ThumbnailTask) -> ThumbnailResult:
    if task.media_id == "b.jpg":
        os.kill(os.getpid(), signal.SIGSEGV)
    return make_medium_thumbnails(task)
