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


def sha256_of_bytes(content: bytes) -> str:
    """The SHA-256 checksum of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
