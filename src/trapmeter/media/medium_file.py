"""The file behind a video or photo as a decoder opens it: on this machine or remote."""

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
    """The file of a video or photo, parts of which may not have been fetched yet."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    @property
    def has_gaps(self) -> bool:
        """Whether some parts read as zeros, because they have not been required so far."""
        ...

    @property
    def container_index(self) -> ContainerIndex | None:
        """The index of a file with gaps; None for a file without."""
        ...

    def open(self) -> AbstractContextManager[Path | RawIOBase]:
        """What a decoder opens, from the start. Inside the block there are no gaps; afterwards they read as zeros."""
        ...

    def require(self, start: int, end: int) -> None:
        """Makes the bytes start..end (exclusive) read as they are from now on."""
        ...

    def require_all(self) -> None:
        """Makes all bytes read as they are from now on."""
        ...

    def check_reads(self) -> None:
        """Raises the error that a decoder may have taken for the end of the file.

        Raises:
            OSError: a read has failed since the file was opened.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine, which has no gaps. Satisfies `MediumFile`."""

    path: Path
    size: int
    has_gaps: bool = False
    container_index: ContainerIndex | None = None

    @contextmanager
    def open(self) -> Iterator[Path]:
        """Its path."""
        yield self.path

    def require(self, start: int, end: int) -> None:
        """Nothing to do."""

    def require_all(self) -> None:
        """Nothing to do."""

    def check_reads(self) -> None:
        """Nothing to do: the decoder itself reports what is wrong."""


@contextmanager
def open_medium_file(path: AnyPath, *, sparsely: bool) -> Iterator[MediumFile]:
    """The file, for as long as the block lasts. sparsely: only some of its bytes may be needed, as of a video.

    Raises:
        OSError: the file does not exist or can't be reached.
    """
    if isinstance(path, Path):
        yield LocalFile(path, path.stat().st_size)
        return
    from trapmeter.media.partial_copy import PartialCopy

    with closing(PartialCopy(path)) as copy:
        if sparsely:
            copy.find_index()
        else:
            copy.require_all()
        yield copy
