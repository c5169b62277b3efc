"""The file behind a video or photo, as a decoder opens it: local or remote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Protocol

from trapmeter.media.container_index import ContainerIndex
from trapmeter.storage.address import AnyPath


class MediumFile(Protocol):
    """A video's or photo's file, of which some parts may not be at hand."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    @property
    def has_gaps(self) -> bool:
        """Zeros stand in for parts that nobody wanted so far."""
        ...

    @property
    def container_index(self) -> ContainerIndex | None:
        """Of a file with gaps: what is known of it without its pictures."""
        ...

    def opening(self) -> AbstractContextManager[Path | RawIOBase]:
        """What a decoder opens, from the start. Within the block all of it is true, afterwards what is wanted."""
        ...

    def want(self, start: int, end: int) -> None:
        """From now on the bytes start..end (exclusive) are true."""
        ...

    def complete(self) -> None:
        """From now on all of it is true."""
        ...

    def check(self) -> None:
        """Raises what a decoder may have taken for the end of the file.

        Raises:
            OSError: a read has failed since the file was opened.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine: all of it is at hand. Satisfies `MediumFile`."""

    path: Path
    size: int
    has_gaps: bool = False
    container_index: ContainerIndex | None = None

    @contextmanager
    def opening(self) -> Iterator[Path]:
        """Its path."""
        yield self.path

    def want(self, start: int, end: int) -> None:
        """Nothing to do."""

    def complete(self) -> None:
        """Nothing to do."""

    def check(self) -> None:
        """The decoder itself tells what is wrong."""


@contextmanager
def open_medium_file(path: AnyPath, *, sparsely: bool) -> Iterator[MediumFile]:
    """The file for as long as the block lasts. sparsely: not all of it may be wanted, as of a video.

    Raises:
        OSError: it isn't there or can't be reached.
    """
    if isinstance(path, Path):
        yield LocalFile(path, path.stat().st_size)
        return
    from trapmeter.media.partial_copy import PartialCopy

    with closing(PartialCopy(path)) as copy:
        if sparsely:
            copy.find_index()
        else:
            copy.complete()
        yield copy
