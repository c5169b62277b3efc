"""A remote file as a decoder reads it: those of its parts that are needed are fetched once, into a temporary file."""

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
"""What is fetched is counted in blocks of so many bytes."""

PREFETCH_BLOCKS = 4
"""Blocks that are fetched at once while a decoder looks around in a file."""

MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""At most so many bytes are asked for in one request."""

SMALL_FILE_BYTES = 1024 * 1024
"""Smaller files are fetched whole: what could be saved is less than what a request costs."""


class PartialCopy:
    """The parts of a remote file that were fetched so far. Satisfies `trapmeter.media.medium_file.MediumFile`.

    A video whose skeleton is known can be read over without fetching its pictures: zeros stand in for them, except where
    `want` says that they are wanted.
    """

    def __init__(self, address: RemotePath) -> None:
        """Fetches nothing yet, unless the file is small.

        Raises:
            RemoteError: the file is not there or can't be reached.
        """
        self._address = address
        self.size = file_state(address).size_bytes
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="trapmeter-")  # noqa: SIM115  closed by `close`
        n_blocks = -(-self.size // BLOCK_BYTES)
        self._here = np.zeros(n_blocks, np.bool_)
        self._wanted = np.zeros(n_blocks, np.bool_)
        self._is_opening = False
        self._failure: OSError | None = None
        self.container_index: ContainerIndex | None = None
        if self.size <= SMALL_FILE_BYTES:
            self.complete()

    @property
    def name(self) -> str:
        """The file's own name, by whose end decoders may go."""
        return self._address.name

    @property
    def has_gaps(self) -> bool:
        """Zeros stand in for some of its parts."""
        return not bool((self._here | self._wanted).all())

    def find_index(self) -> None:
        """Looks for the file's own index; a file that has none that can be relied upon is wanted whole."""
        if self.has_gaps:
            self.container_index = read_container_index(self.size, self.read_at)
            if self.container_index is None:
                self.complete()

    def complete(self) -> None:
        """From now on all parts are wanted."""
        self._wanted[:] = True

    def want(self, start: int, end: int) -> None:
        """From now on the bytes start..end (exclusive) are wanted."""
        self._wanted[max(0, start) // BLOCK_BYTES : -(-end // BLOCK_BYTES)] = True

    @contextmanager
    def opening(self) -> Iterator[io.RawIOBase]:
        """The file as a decoder opens it. Within the block all that is read is fetched, afterwards what is wanted."""
        self._is_opening = True
        try:
            yield _FileView(self)
        finally:
            self._is_opening = False

    def check(self) -> None:
        """Decoders take a read that failed for the end of the file: raises what it was.

        Raises:
            OSError: a read has failed since the file was opened.
        """
        if self._failure is not None:
            raise self._failure

    def read_at(self, start: int, end: int) -> bytes:
        """The true bytes start..end (exclusive), as far as the file reaches."""
        end = min(end, self.size)
        if start >= end:
            return b""
        first, last = start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        for number in range(first, last + 1):
            if not self._here[number]:
                self._fetch(number, max(number + PREFETCH_BLOCKS, last + 1))
        self._file.seek(start)
        return self._file.read(end - start)

    def read_with_gaps(self, start: int, end: int) -> bytes:
        """The bytes start..end (exclusive), zeros and the skeleton's own where they are neither fetched nor wanted."""
        end = min(end, self.size)
        if start >= end:
            return b""
        blocks = slice(start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1)
        if self._is_opening or bool((self._here[blocks] | self._wanted[blocks]).all()):
            return self._read_true(start, end)
        assert self.container_index is not None, "what has gaps has a skeleton"
        shown = bytearray(end - start)
        self.container_index.fill(shown, start)
        for number in range(blocks.start, blocks.stop):
            if self._here[number] or self._wanted[number]:
                a, b = max(start, number * BLOCK_BYTES), min(end, (number + 1) * BLOCK_BYTES)
                shown[a - start : b - start] = self._read_true(a, b)
        return bytes(shown)

    def close(self) -> None:
        """Lets go of the temporary file."""
        self._file.close()

    def _read_true(self, start: int, end: int) -> bytes:
        try:
            return self.read_at(start, end)
        except OSError as error:  # not reached, or no room for it here
            self._failure = error
            raise

    def _fetch(self, first: int, stop: int) -> None:
        """Fetches the missing blocks from first on: those that are wanted anyway, or up to stop; one request."""
        last = first + 1
        while last < len(self._here) and (last - first) * BLOCK_BYTES < MAX_REQUEST_BYTES and not self._here[last]:
            if not self._wanted[last] and last >= stop:
                break
            last += 1
        start, end = first * BLOCK_BYTES, min(last * BLOCK_BYTES, self.size)
        content = read(self._address, start, end)
        self._file.seek(start)
        self._file.write(content)
        self._here[first:last] = True


class _FileView(io.RawIOBase):
    """A partial copy as a file that is open at a position."""

    def __init__(self, copy: PartialCopy) -> None:
        super().__init__()
        self._copy, self._at = copy, 0
        self.name = copy.name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._copy.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._copy.size if size is None or size < 0 else self._at + size
        content = self._copy.read_with_gaps(self._at, end)
        self._at += len(content)
        return content

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)
