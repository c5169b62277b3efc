"""Atomic writes of files and folders, locks on outputs, the cache folder, and checksums."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeAlias

from filelock import FileLock, Timeout

from trapmeter.errors import RunError

PathLike: TypeAlias = str | Path

_PARTIAL_SUFFIX = ".part"
_MAX_NAME_BYTES = 120
"""Of a file's name within the name of its lock or partial file, which some systems limit to 143 bytes."""


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[str]]:
    """Opens a UTF-8 text file for writing, which appears under its name only once it is complete and on the disk.

    Raises:
        RunError: it can't be written.
    """
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """The path of a partial file to write, which replaces path when the block ends without an error.

    Raises:
        RunError: it can't be written; every OSError of the block counts as that.
    """
    with write_errors(path), replace_when_complete(path) as partial:
        yield partial


@contextmanager
def replace_when_complete(path: Path) -> Iterator[Path]:
    """As `atomic_path`, but an OSError of the block is raised unchanged: it may be about a file that the block reads.

    Raises:
        RunError: the partial file can't be put in the place of path.
    """
    partial = _hidden(path, f".{os.getpid()}{_PARTIAL_SUFFIX}")
    try:
        yield partial
        with write_errors(path):
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        # After a success it is gone. What prevents its removal also prevented the writing: that error is the one to show.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill, which replaces path when the block ends without an error. Only one process may do so at a time.

    Raises:
        RunError: it can't be written; every OSError of the block counts as that.
    """
    partial, replaced = _hidden(path, _PARTIAL_SUFFIX), _hidden(path, ".old")
    with write_errors(path):
        try:
            for left_over in (partial, replaced):
                shutil.rmtree(left_over, ignore_errors=True)
            partial.mkdir()
            yield partial
            if path.exists():
                path.rename(replaced)
            partial.rename(path)
        finally:
            for left_over in (partial, replaced):
                shutil.rmtree(left_over, ignore_errors=True)


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into a RunError about the file or folder that was being written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        if isinstance(error, shutil.Error):  # of a copied folder: (source, target, reason) for each failed file
            reason = "; ".join(str(failure[2]) for failure in error.args[0][:3])
        raise RunError(
            f"{path} can't be written: {reason}; "
            "close it where it is open, and check the folder's permissions and free space"
        ) from error


def remove_partial_files(folder: Path, names: Collection[str] | None = None) -> None:
    """Removes what killed runs left half written in a folder; only the partial files of these names, or all."""
    for path in folder.glob(f".*{_PARTIAL_SUFFIX}"):
        target = path.name.removeprefix(".").removesuffix(_PARTIAL_SUFFIX).rpartition(".")[0]
        if names is None or target in names:
            with suppress(OSError):
                path.unlink()


def _hidden(path: Path, suffix: str) -> Path:
    """A hidden file beside path for this purpose."""
    name = path.name.encode("utf-8", "ignore")[:_MAX_NAME_BYTES].decode("utf-8", "ignore")
    return path.with_name(f".{name}{suffix}")


def make_folder(folder: Path, option: str = "--out") -> None:
    """Creates an output folder if it is missing. option: the command-line option that named the folder, for messages.

    Raises:
        RunError: it can't be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: can't be written: {error.strerror or error}; choose another {option}") from error


@contextmanager
def lock_folder(folder: Path, option: str = "--out", wait_s: float = 0.0) -> Iterator[None]:
    """Creates an output folder if it is missing, and keeps other runs out of it until the block or the process ends.

    Partial files of a killed run are removed. option: the command-line option that named the folder, for messages. wait_s:
    seconds to wait for another run to end.

    Raises:
        RunError: another run is writing there, or the folder can't be written.
    """
    make_folder(folder, option)
    with _hold_lock(folder / ".lock", folder, option, wait_s):
        remove_partial_files(folder)
        yield


@contextmanager
def lock_file(path: Path, option: str = "--out") -> Iterator[None]:
    """As `lock_folder`, for a single output file in an existing folder.

    Raises:
        RunError: another run is writing this file, or its folder can't be written.
    """
    with _hold_lock(_hidden(path, ".lock"), path, option):
        yield


@contextmanager
def _hold_lock(lock_path: Path, output: Path, option: str, wait_s: float = 0.0) -> Iterator[None]:
    # The system releases it when the process ends, however it ends; the file itself stays and means nothing.
    lock = FileLock(lock_path, timeout=wait_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(f"{output}: another run is writing there; wait for it or choose another {option}") from error
    except OSError as error:
        raise RunError(f"{output}: can't be written: {error.strerror or error}; choose another {option}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            lock.release()


def cache_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The folder `trapmeter` in the system's cache folder, whether it exists or not."""
    home = Path.home()
    if platform == "win32":
        base = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        chosen = environment.get("XDG_CACHE_HOME", "")
        # The XDG Base Directory Specification says to ignore relative paths.
        base = Path(chosen) if Path(chosen).is_absolute() else home / ".cache"
    return base / "trapmeter"


def check_writable(path: Path | None) -> None:
    """Checks before long work that a file can be written to this path; None is accepted.

    Raises:
        RunError: its folder doesn't exist or can't be written, or the path is a folder.
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
