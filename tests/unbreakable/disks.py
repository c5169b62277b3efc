"""Disks that are full or can't be written, for whoever runs the tests: root or not, in a container or not."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest


class Disk(Protocol):
    """A place with little room."""

    folder: Path

    def leave(self, n_bytes: int | None) -> None:
        """Leaves room for so many bytes (tmpfs counts in pages), or for all that is needed."""
        ...


class Tmpfs:
    """A whole disk in memory. Its room is taken by a file of our own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def leave(self, n_bytes: int | None) -> None:
        self._filler.unlink(missing_ok=True)
        if n_bytes is None:
            return
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_bsize
        with self._filler.open("wb") as file:
            file.write(bytes(max(0, free - n_bytes)))


class ShortFiles:
    """Any folder; the system lets no file of this process and its workers grow longer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, n_bytes: int | None) -> None:
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (most if n_bytes is None else n_bytes, most))


@contextmanager
def namespace(commands: str, inside: Path) -> Iterator[Path]:
    """Mounts of our own that nobody else sees and that end with the block; inside as it looks from within them.

    Skips the test where the system has no such thing.
    """
    if sys.platform != "linux":
        pytest.skip("mounts of one's own are of Linux")
    try:
        holder = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", f"{commands} && echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        pytest.skip("the command unshare is missing")
    try:
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip(f"this system allows no mounts of one's own: {holder.stderr.read().strip()}")
        yield Path(f"/proc/{holder.pid}/root{inside}")
    finally:
        holder.kill()
        holder.communicate()


@contextmanager
def small_tmpfs(tmp_path: Path, megabytes: int) -> Iterator[Disk]:
    """A tmpfs."""
    (tmp_path / "small").mkdir()
    here = tmp_path / "small"
    with namespace(f"mount -t tmpfs -o size={megabytes}m tmpfs '{here}'", here) as folder:
        yield Tmpfs(folder)


@contextmanager
def short_files(tmp_path: Path) -> Iterator[Disk]:
    """A folder in which files can't grow."""
    (tmp_path / "short").mkdir()
    disk = ShortFiles(tmp_path / "short")
    try:
        yield disk
    finally:
        disk.leave(None)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """A folder as it is, where nothing can be written."""
    commands = f"mount --bind '{folder}' '{folder}' && mount -o remount,bind,ro '{folder}'"
    with namespace(commands, folder) as seen:
        yield seen
