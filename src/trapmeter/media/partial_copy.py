"""A remote file as a decoder reads it: only the parts it needs are fetched, once each, into a temporary file."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from trapmeter.media.container_index import ContainerIndex, read_container_index
from trapmeter.storage.address import RemotePath
from trapmeter.storage.remote import file_state, read

BLOCK_BYTES = 64 * 1024
"""Files are fetched in blocks of this size."""

PREFETCH_BLOCKS = 4
"""Blocks to fetch in one request while a decoder explores the file."""

MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""The most bytes to fetch in one request."""

SMALL_FILE_BYTES = 1024 * 1024
"""Files up to this size are fetched in full: another request would cost more than it could save."""


class PartialCopy:
    """The parts of a remote file that have been fetched so far. Satisfies `trapmeter.media.medium_file.MediumFile`.

    With its index, a video can be demuxed without fetching its pictures: they read as zeros unless `require` names them.
    """

    def __init__(self, address: RemotePath) -> None:
        """Fetches nothing yet, except the size.

        Raises:
            RemoteError: the file does not exist or can't be reached.
        """
        self._address = address
        self.size = file_state(address).size_bytes
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="trapmeter-")  # noqa: SIM115  closed by `close`
        n_blocks = -(-self.size // BLOCK_BYTES)
        self._fetched = np.zeros(n_blocks, np.bool_)
        self._required = np.zeros(n_blocks, np.bool_)
        self._is_opening = False
        self._failure: OSError | None = None
        self.container_index: ContainerIndex | None = None
        if self.size <= SMALL_FILE_BYTES:
            self.require_all()

    @property
    def name(self) -> str:
        """The file's name, whose suffix a decoder may go by."""
        return self._address.name

    @property
    def has_gaps(self) -> bool:
        """Whether some parts read as zeros."""
        return not bool((self._fetched | self._required).all())

    def find_index(self) -> None:
        """Reads the file's own index; without a reliable one, the file is required in full."""
        if self.has_gaps:
            self.container_index = read_container_index(self.size, self.read_at)
            if self.container_index is None:
                self.require_all()

    def require_all(self) -> None:
        """Makes all bytes read as they are from now on."""
        self._required[:] = True

    def require(self, start: int, end: int) -> None:
        """Makes the bytes start..end (exclusive) read as they are from now on."""
        self._required[max(0, start) // BLOCK_BYTES : -(-end // BLOCK_BYTES)] = True

    @contextmanager
    def open(self) -> Iterator[io.RawIOBase]:
        """The file as a decoder opens it. Inside the block all that is read is fetched; afterwards what is required."""
        self._is_opening = True
        try:
            yield _FileView(self)
        finally:
            self._is_opening = False

    def check_reads(self) -> None:
        """Raises the error of a failed read, which decoders take for the end of the file.

        Raises:
            OSError: a read has failed since the file was opened.
        """
        if self._failure is not None:
            raise self._failure

    def read_at(self, start: int, end: int) -> bytes:
        """The bytes start..end (exclusive), up to the end of the file; fetches those that are missing."""
        end = min(end, self.size)
        if start >= end:
            return b""
        first, last = start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        for number in range(first, last + 1):
            if not self._fetched[number]:
                self._fetch(number, max(number + PREFETCH_BLOCKS, last + 1))
        self._file.seek(start)
        return self._file.read(end - start)

    def read_with_gaps(self, start: int, end: int) -> bytes:
        """The bytes start..end (exclusive); where neither fetched nor required, zeros and the index's headers."""
        end = min(end, self.size)
        if start >= end:
            return b""
        blocks = slice(start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1)
        if self._is_opening or bool((self._fetched[blocks] | self._required[blocks]).all()):
            return self._read_checked(start, end)
        assert self.container_index is not None, "a file with gaps has an index"
        content = bytearray(end - start)
        self.container_index.fill(content, start)
        for number in range(blocks.start, blocks.stop):
            if self._fetched[number] or self._required[number]:
                a, b = max(start, number * BLOCK_BYTES), min(end, (number + 1) * BLOCK_BYTES)
                content[a - start : b - start] = self._read_checked(a, b)
        return bytes(content)

    def close(self) -> None:
        """Closes the temporary file, which deletes it."""
        self._file.close()

    def _read_checked(self, start: int, end: int) -> bytes:
        try:
            return self.read_at(start, end)
        except OSError as error:  # the server can't be reached, or this disk is full
            self._failure = error
            raise

    def _fetch(self, first: int, stop: int) -> None:
        """Fetches the missing blocks from first on in one request: up to stop, and further while they are required."""
        last = first + 1
        while (
            last < len(self._fetched) and (last - first) * BLOCK_BYTES < MAX_REQUEST_BYTES and not self._fetched[last]
        ):
            if not self._required[last] and last >= stop:
                break
            last += 1
        start, end = first * BLOCK_BYTES, min(last * BLOCK_BYTES, self.size)
        content = read(self._address, start, end)
        self._file.seek(start)
        self._file.write(content)
        self._fetched[first:last] = True


class _FileView(io.RawIOBase):
    """A partial copy as an open file with a position."""

    def __init__(self, copy: PartialCopy) -> None:
        super().__init__()
        self._copy, self._position = copy, 0
        self.name = copy.name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._copy.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = self._copy.size if size is None or size < 0 else self._position + size
        content = self._copy.read_with_gaps(self._position, end)
        self._position += len(content)
        return content

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)
