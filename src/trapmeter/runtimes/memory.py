"""Gives memory back that runtimes have freed."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def give_back_memory() -> None:
    """Hands to the system what was freed: glibc keeps 0.5 GB of opening a network of 0.5 GB, and 0.8 GB of closing it."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)
