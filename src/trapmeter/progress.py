"""How long work reports back: counts for a progress bar, and lines of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int, int], None]
"""Called with the name of the stage, the number of items done, the total, and the number that failed."""

Announce: TypeAlias = Callable[[str], None]
"""Called with a line of text for the user."""


def no_progress(stage: str, done: int, total: int, failed: int) -> None:
    """Reports nothing."""
