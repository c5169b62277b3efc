"""Full and read-only disks that work for root and other users, in containers and outside."""

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
    """A folder with little space."""

    folder: Path

    def leave(self, n_bytes: int | None) -> None:
        """Leaves space for n_bytes (tmpfs counts in pages), or with None for everything."""
        ...


class Tmpfs:
    """A disk in memory, whose space is taken by a filler file."""

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
    """Any folder, with a limit of the system on the size of files of this process and its workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, n_bytes: int | None) -> None:
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (most if n_bytes is None else n_bytes, most))


@contextmanager
def namespace(commands: str, inside: Path) -> Iterator[Path]:
    """Mounts that only this test sees and that end with the block; yields the path of inside within them.

    Skips the test if the system does not support this.
    """
    if sys.platform != "linux":
        pytest.skip("private mounts need Linux")
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
            pytest.skip(f"this system does not allow private mounts: {holder.stderr.read().strip()}")
        yield Path(f"/proc/{holder.pid}/root{inside}")
    finally:
        holder.kill()
        holder.communicate()


@contextmanager
def small_tmpfs(tmp_path: Path, megabytes: int) -> Iterator[Disk]:
    """A tmpfs of this size."""
    (tmp_path / "small").mkdir()
    mount = tmp_path / "small"
    with namespace(f"mount -t tmpfs -o size={megabytes}m tmpfs '{mount}'", mount) as folder:
        yield Tmpfs(folder)


@contextmanager
def short_files(tmp_path: Path) -> Iterator[Disk]:
    """A folder in which files can't grow beyond a limit."""
    (tmp_path / "short").mkdir()
    disk = ShortFiles(tmp_path / "short")
    try:
        yield disk
    finally:
        disk.leave(None)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """The same folder, read-only."""
    commands = f"mount --bind '{folder}' '{folder}' && mount -o remount,bind,ro '{folder}'"
    with namespace(commands, folder) as mounted:
        yield mounted
