"""Files that appear whole or not at all, folders that one run has for itself, and checksums."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeAlias

from filelock import FileLock, Timeout

from trapmeter.errors import RunError

PathLike: TypeAlias = str | Path


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[str]]:
    """Opens a UTF-8 text file for writing that takes its place only once it is complete and on the disk.

    Raises:
        RunError: it can't be written.
    """
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """The path of a file to write, which takes the place of path once the block ends without an error.

    Raises:
        RunError: it can't be written.
    """
    # A name may have 255 bytes, and the user's own may have them all.
    partial = path.with_name(f".{path.name[:_MAX_NAME_CHARS]}.{os.getpid()}.part")
    try:
        yield partial
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise RunError(
            f"{path} can't be written: {error.strerror or error}; "
            "close it where it is open, and check the folder's permissions and free space"
        ) from error
    finally:
        # Gone already when all went well. What hinders its removal hindered the writing too: that error is the one to show.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


_MAX_NAME_CHARS = 40


@contextmanager
def lock_folder(folder: Path, option: str = "--out", wait_s: float = 0.0) -> Iterator[None]:
    """Makes an output folder, if need be, and keeps other runs out of it until the block ends, or the process.

    Files that a killed run left half written are removed.

    option: with which the user named the folder. wait_s: how many seconds to wait for another run's end.

    Raises:
        RunError: another run is at work there, or the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: can't be written: {error.strerror or error}; choose another {option}") from error
    with _hold_lock(folder / ".lock", folder, option, wait_s):
        # What killed runs left half written, by `whole_path`.
        for path in folder.glob(".*.part"):
            with suppress(OSError):
                path.unlink()
        yield


@contextmanager
def lock_file(path: Path, option: str = "--out") -> Iterator[None]:
    """As `lock_folder`, for a single output file, whose folder must be there.

    Raises:
        RunError: another run is writing this file, or its folder can't be written.
    """
    with _hold_lock(path.with_name(f".{path.name[:_MAX_NAME_CHARS]}.lock"), path, option):
        yield


@contextmanager
def _hold_lock(lock_path: Path, what: Path, option: str, wait_s: float = 0.0) -> Iterator[None]:
    # The system lets go of it when the process ends, however it ends; the file stays and means nothing.
    lock = FileLock(lock_path, timeout=wait_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(f"{what}: another run is writing there; wait for it or choose another {option}") from error
    except OSError as error:
        raise RunError(f"{what}: can't be written: {error.strerror or error}; choose another {option}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            lock.release()


def cache_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The folder `trapmeter` in the system's folder for caches, whether it is there or not."""
    home = Path.home()
    if platform == "win32":
        base = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        told = environment.get("XDG_CACHE_HOME", "")
        # A relative path there is to be ignored, says the XDG Base Directory Specification.
        base = Path(told) if Path(told).is_absolute() else home / ".cache"
    return base / "trapmeter"


def check_writable(path: Path | None) -> None:
    """Makes sure that a file can be written here, before work is done for it; None is nothing to check.

    Raises:
        RunError: its folder doesn't exist, nobody may write there, or the name is that of a folder.
    """
    if path is None:
        return
    if path.is_dir():
        raise RunError(f"{path} is a folder, expected the name of a file")
    if not path.parent.is_dir():
        raise RunError(f"{path} can't be written: there is no folder {path.parent}; make it or correct the name")
    if not os.access(path.parent, os.W_OK):
        raise RunError(f"{path} can't be written: check the permissions of {path.parent}")


def sha256_of_bytes(content: bytes) -> str:
    """The SHA-256 checksum of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
