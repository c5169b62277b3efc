"""Files that appear whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from trapmeter.errors import RunError


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """Opens a UTF-8 text file for writing that takes its place only once it is complete and on the disk.

    Raises:
        RunError: it can't be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
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


def check_file(path: Path | None) -> None:
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


def check_folder(path: Path | None) -> None:
    """Makes sure that a folder is there or can be made, before work is done for it; None is nothing to check.

    Raises:
        RunError: a file is in the way, or nobody may write there.
    """
    if path is None:
        return
    nearest = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not nearest.is_dir():
        raise RunError(f"{path} can't be used as a folder for results: {nearest} is a file; name another")
    if not os.access(nearest, os.W_OK):
        raise RunError(f"{path} can't be used as a folder for results: check the permissions of {nearest}")


def sha256_of_bytes(content: bytes) -> str:
    """The SHA-256 checksum of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
