"""A frame file: all stored pictures of one video, written atomically and read with checksums.

    head     19 bytes with the format
    pictures encoded, back to back
    index    JSON, see index.py
    tail     length of the index (8 bytes, little endian), its SHA-256 (32 bytes), 8 bytes "complete"

Each picture has its own checksum in the index, so that reading one doesn't need the rest of the file.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from trapmeter.errors import InputError
from trapmeter.files import replace_when_complete, write_errors
from trapmeter.frames.index import FrameIndex, PictureEntry, time_key
from trapmeter.storage.address import FileState

HEAD = b"trapmeter frames 1\n"
TAIL = struct.Struct("<Q32s8s")
COMPLETE = b"complete"
SUFFIX = ".frames"

MAX_INDEX_BYTES = 64_000_000
"""Ten times what a day with one picture per second needs."""


def frame_file_name(video_id: str) -> str:
    """A file name for any video id: the id's end in readable form, and a hash that distinguishes ids.

    It has at most 100 ASCII letters, digits, dots, dashes and underscores, and doesn't depend on case: safe on every system.
    Lone surrogates (from file names that aren't UTF-8) are hashed unchanged.

    Example:
        >>> frame_file_name("card 1/a.mp4")
        'card_1_a.mp4-9ee4561c173f0dd7d0530743b3f9f28a.frames'
    """
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", video_id)[-_MAX_READABLE:].strip("._-")
    digest = hashlib.sha256(video_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{readable or 'video'}-{digest}{SUFFIX}"


_MAX_READABLE = 60


class FrameFileReader:
    """An open frame file whose index has been checked, made by `open_frame_file`."""

    def __init__(self, path: Path, file: IO[bytes], index: FrameIndex) -> None:
        self.path = path
        self.index = index
        self._file = file

    def read_encoded(self, time_s: float) -> bytes:
        """The encoded picture of a stored second.

        Raises:
            InputError: it isn't stored, or its bytes are damaged.
        """
        time_s = time_key(time_s)
        entry = self.index.entries.get(time_s)
        if entry is None:
            raise InputError(
                f"{self.index.video_id}: no frame at {time_s:g} s in the frame store ({self._missing_reason(time_s)})"
            )
        self._file.seek(entry.offset)
        encoded = self._file.read(entry.size)
        if zlib.crc32(encoded) != entry.crc32:
            raise damaged_frame_file(self.path, f"the frame at {time_s:g} s has a wrong checksum")
        return encoded

    def _missing_reason(self, time_s: float) -> str:
        if (reason := self.index.failed.get(time_s)) is not None:
            return f"it could not be decoded: {reason}"
        if not 0 <= time_s < self.index.length_s:
            return f"the video has {self.index.length_s:g} s"
        return "it was not asked for when the store was filled; run `trapmeter frames` with these labels and offsets"


@contextmanager
def open_frame_file(path: Path) -> Iterator[FrameFileReader]:
    """Opens a frame file for reading and checks its index.

    Raises:
        FileNotFoundError: the file doesn't exist.
        InputError: it is damaged or not a frame file.
    """
    try:
        with path.open("rb", buffering=0) as file:
            yield FrameFileReader(path, file, _read_index(path, file))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error


def _read_index(path: Path, file: IO[bytes]) -> FrameIndex:
    size = os.fstat(file.fileno()).st_size
    if size < len(HEAD) + TAIL.size or file.read(len(HEAD)) != HEAD:
        raise damaged_frame_file(path, "it does not start as a shard does")
    file.seek(size - TAIL.size)
    length, checksum, mark = TAIL.unpack(file.read(TAIL.size))
    end = size - TAIL.size - length
    if mark != COMPLETE or length > MAX_INDEX_BYTES or end < len(HEAD):
        raise damaged_frame_file(path, "it does not end as a shard does")
    file.seek(end)
    raw = file.read(length)
    if hashlib.sha256(raw).digest() != checksum:
        raise damaged_frame_file(path, "its index has a wrong checksum")
    try:
        return FrameIndex.from_bytes(raw, len(HEAD), end)
    except InputError as error:
        raise damaged_frame_file(path, str(error)) from error


def damaged_frame_file(path: Path, what: str) -> InputError:
    """The error to raise for a damaged frame file."""
    return InputError(f"{path} is damaged: {what}; delete it and run `trapmeter frames` again")


class FrameFileWriter:
    """A frame file that is being written, made by `new_frame_file`."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._entries: dict[float, PictureEntry] = {}
        self._failed: dict[float, str] = {}
        self._last: PictureEntry | None = None
        self._at = 0
        self._write(HEAD)

    def add(self, time_s: float, pts_s: float, encoded: bytes) -> None:
        """Adds the picture shown at time_s, whose own time is pts_s (both in seconds)."""
        self._last = PictureEntry(self._at, len(encoded), time_key(pts_s), zlib.crc32(encoded))
        self._entries[time_key(time_s)] = self._last
        self._write(encoded)

    def add_repeat(self, time_s: float) -> None:
        """Records that the last picture is also shown at time_s."""
        assert self._last is not None
        self._entries[time_key(time_s)] = self._last

    def add_failed(self, time_s: float, reason: str) -> None:
        """Records why there is no picture at time_s."""
        self._failed[time_key(time_s)] = reason

    def finish(self, video_id: str, source: FileState, length_s: float, doubts: tuple[str, ...]) -> FrameIndex:
        """Writes the index, without which the file counts as damaged."""
        index = FrameIndex(video_id, source, float(length_s), doubts, self._entries, self._failed)
        raw = index.to_bytes()
        self._write(raw + TAIL.pack(len(raw), hashlib.sha256(raw).digest(), COMPLETE))
        return index

    def _write(self, data: bytes) -> None:
        with write_errors(self._path):
            self._file.write(data)
        self._at += len(data)


@contextmanager
def new_frame_file(path: Path) -> Iterator[FrameFileWriter]:
    """Writes a frame file that appears under its name once the block ends without an error.

    Raises:
        RunError: the file can't be written.
    """
    with replace_when_complete(path) as partial:
        with write_errors(path):
            file = partial.open("wb")
        try:
            yield FrameFileWriter(path, file)
            with write_errors(path):
                file.close()
        finally:
            # On a full disk closing fails again, and the first error is the one to show.
            with suppress(OSError):
                file.close()
