"""Append-only JSON lines that make a long run resumable after a kill at any time.

The first line holds the settings that the run was started with. Each other line is an entry, such as the result of one
video, written as soon as it is done. A line that was cut off by a crash is dropped, and its work is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, Protocol, Self, TypeVar

from trapmeter.errors import InputError, RunError
from trapmeter.files import atomic_file

FORMAT = 1
START_OVER = "choose another folder with --out, or start over with --overwrite"
_DELETE_FILE = "delete the file and give its command again to start over"


class JournalEntry(Protocol):
    """A unit of work that is either done or not."""

    @property
    def key(self) -> str:
        """Identifies the entry within its run."""
        ...

    def to_json(self) -> dict[str, Any]:
        """As plain values that json writes and the journal's `read` turns back into an equal entry."""
        ...


EntryT = TypeVar("EntryT", bound=JournalEntry)


class Journal(Generic[EntryT]):
    """The finished entries by their keys. Open it with `with`; `add` writes through to the file at once."""

    def __init__(
        self,
        path: Path,
        settings: dict[str, Any],
        read: Callable[[dict[str, Any]], EntryT],
        remedy: str = START_OVER,
    ) -> None:
        """Opens or creates the journal.

        settings: all that an entry depends on, as plain JSON values. read: the inverse of the entries' to_json. remedy: what
        the user can do about a journal that doesn't fit.

        Raises:
            RunError: the file was made with other settings, is no journal, or can't be written.
        """
        self._path = path
        self.done: dict[str, EntryT] = {}
        try:
            self.done, n_bytes = read_journal(path, settings, read, remedy) if path.exists() else ({}, 0)
            # Unbuffered: closing the file must not try again to write what a full disk has refused.
            self._file = path.open("ab", buffering=0)
            self._file.truncate(n_bytes)
        except OSError as error:
            raise self._cannot_write(error) from error
        if n_bytes == 0:
            self._write(_header(settings))

    def add(self, entry: EntryT) -> None:
        """Stores an entry; it replaces an earlier one of the same key."""
        self.done[entry.key] = entry
        self._write(entry.to_json())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def _write(self, data: dict[str, Any]) -> None:
        # One write call per line: after a kill the line is there or not, at worst its beginning. fsync guards against a power
        # cut.
        try:
            line = _line(data)
            while line:
                # A disk that is nearly full accepts some bytes and refuses the next.
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> RunError:
        return RunError(
            f"{self._path} can't be written: {error.strerror or error}; finished work is kept: free some space or check the "
            "permissions, and give the same command again"
        )


def has_entries(path: Path) -> bool:
    """Whether there is a journal with any complete entry beyond its header."""
    return path.exists() and path.read_bytes().count(b"\n") > 1


def read_journal(
    path: Path, settings: dict[str, Any], read: Callable[[dict[str, Any]], EntryT], remedy: str = START_OVER
) -> tuple[dict[str, EntryT], int]:
    """The entries of a journal by their keys, and the length of its complete lines in bytes; the file is not changed.

    Arguments and errors as for `Journal`; the file must exist.
    """
    done: dict[str, EntryT] = {}
    n_bytes = 0
    for entry, position in _read_entries(path, _header(settings), read, remedy):
        if entry is not None:
            done[entry.key] = entry
        n_bytes = position.start + position.n_bytes
    return done, n_bytes


@dataclass(frozen=True, slots=True)
class JournalPosition:
    """Where an entry stands: in which journal, at which byte, and its length in bytes with the end of line."""

    path: Path
    start: int
    n_bytes: int


def find_entries(
    path: Path, settings: dict[str, Any], read: Callable[[dict[str, Any]], EntryT]
) -> Iterator[tuple[EntryT, JournalPosition]]:
    """Each entry of a journal that nobody is writing to, with its position; arguments as for `Journal`.

    Raises:
        RunError: the journal was made with other settings, or is damaged.
        OSError: it can't be read.
    """
    for entry, position in _read_entries(path, _header(settings), read, _DELETE_FILE):
        if entry is not None:
            yield entry, position


def join_journals(positions: Iterable[JournalPosition], settings: dict[str, Any], out: Path) -> None:
    """Writes a new journal atomically, from entries of others. Its memory use doesn't grow with their number.

    Raises:
        RunError: it can't be written.
    """
    with ExitStack() as stack:
        file = stack.enter_context(atomic_file(out))
        file.write(_line(_header(settings)).decode())
        sources: dict[Path, IO[bytes]] = {}
        for position in positions:
            if position.path not in sources:
                sources[position.path] = stack.enter_context(position.path.open("rb"))
            sources[position.path].seek(position.start)
            file.write(sources[position.path].read(position.n_bytes).decode())


def _header(settings: dict[str, Any]) -> dict[str, Any]:
    return {"trapmeter_journal": FORMAT, "settings": settings}


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _read_entries(
    path: Path, header: dict[str, Any], read: Callable[[dict[str, Any]], EntryT], remedy: str
) -> Iterator[tuple[EntryT | None, JournalPosition]]:
    """Each complete line of a journal: None for its header, then the entries. A line that a crash cut off is left out."""
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                break
            entry: EntryT | None = None
            try:
                data = json.loads(line)
                if number == 0:
                    _check_header(path, data, header, remedy)
                else:
                    entry = read(data)
            except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
                raise RunError(f"{path}, line {number + 1}: not a line that trapmeter wrote; {remedy}") from error
            yield entry, JournalPosition(path, start, len(line))
            start += len(line)


def _check_header(path: Path, data: dict[str, Any], header: dict[str, Any], remedy: str) -> None:
    if data["trapmeter_journal"] != FORMAT:
        raise RunError(
            f"{path}: written by another version of trapmeter (its format is {data['trapmeter_journal']}, this version's "
            f"{FORMAT}); {remedy}"
        )
    # Through JSON and back, so that tuples equal lists.
    before, now = data["settings"], json.loads(json.dumps(header["settings"]))
    differences = [
        f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if differences:
        raise RunError(f"{path.parent}: holds a run with other settings ({'; '.join(differences)}); {remedy}")
