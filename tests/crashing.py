"""Stands in for what a worker does, where a test wants it to crash. Workers find it by name, so that it is no test's own."""

import os
import signal

from trapmeter.report.frames import Shown, Wanted, pictures_of


def crash_at_b(task: Wanted) -> Shown:
    if task.media_id == "b.jpg":
        os.kill(os.getpid(), signal.SIGSEGV)
    return pictures_of(task)
