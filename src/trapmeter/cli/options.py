"""Exit statuses and small helpers that the verbs share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import Parameter

if TYPE_CHECKING:
    from trapmeter.prediction.run import PredictRun
    from trapmeter.prediction.sharded_run import ShardRun

EXIT_INTERNAL_ERROR = 1
EXIT_USAGE = 2
EXIT_MEDIA_FAILED = 3
EXIT_INTERRUPTED = 130

OUT = Parameter(name=("--out", "-o"))
"""The option of whatever a verb writes."""


def print_progress(text: str) -> None:
    """A line of progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def exit_status(run: PredictRun | ShardRun) -> int:
    """The status that says how a run went."""
    if run.has_internal_errors:
        return EXIT_INTERNAL_ERROR
    return EXIT_MEDIA_FAILED if run.has_failed_media else 0
