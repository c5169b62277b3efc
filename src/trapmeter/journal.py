"""Keeps each piece of a long run as soon as it is done, so that the run can be killed at any moment and go on.

One file of JSON lines: the first says with which settings the run was started, each other one is a piece, such as what was
seen in one video. A line that was cut off by a crash is dropped, and its piece is done again.
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
DELETE_FILE = "delete the file and give its command again to start anew"
START_OVER = "choose another folder with --out, or --overwrite to start anew"


class JournalEntry(Protocol):
    """A part of a run that is done or not, as a whole."""

    @property
    def key(self) -> str:
        """What tells it from the other pieces of the run."""
        ...

    def to_json(self) -> dict[str, Any]:
        """As plain values that json writes and the journal's `read` turns back into an equal piece."""
        ...


EntryT = TypeVar("EntryT", bound=JournalEntry)


class Journal(Generic[EntryT]):
    """The pieces that are done, by their keys. Open it with `with`; `add` writes through to the file at once."""

    def __init__(
        self,
        path: Path,
        settings: dict[str, Any],
        read: Callable[[dict[str, Any]], EntryT],
        remedy: str = START_OVER,
    ) -> None:
        """Opens or makes the journal.

        settings: what a piece depends on, as plain JSON values; read: the inverse of the pieces' to_json. way_out: what the
        user can do about a journal that doesn't fit.

        Raises:
            RunError: the file was made with other settings, or is no journal.
        """
        self._path = path
        self.done: dict[str, EntryT] = {}
        try:
            self.done, whole_bytes = read_journal(path, settings, read, remedy) if path.exists() else ({}, 0)
            # Unbuffered: what a full disk refused is not tried again when the file is closed.
            self._file = path.open("ab", buffering=0)
            self._file.truncate(whole_bytes)
        except OSError as error:
            raise self._cannot_write(error) from error
        if whole_bytes == 0:
            self._write(_header(settings))

    def add(self, piece: EntryT) -> None:
        """Stores a piece; a later one replaces an earlier one of the same key."""
        self.done[piece.key] = piece
        self._write(piece.to_json())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def _write(self, data: dict[str, Any]) -> None:
        # One write call per line: a kill leaves the line there or not, and at worst its beginning; fsync holds it against a
        # power cut.
        try:
            line = _line(data)
            while line:
                # A disk that is nearly full takes a part, and refuses the next.
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> RunError:
        return RunError(
            f"{self._path} can't be written: {error.strerror or error}; what is done is kept: free some space or check the "
            "permissions, and give the same command again"
        )


def read_journal(
    path: Path, settings: dict[str, Any], read: Callable[[dict[str, Any]], EntryT], remedy: str = START_OVER
) -> tuple[dict[str, EntryT], int]:
    """The pieces of a journal by their keys, and how many bytes of the file are whole lines; the file is left as it is.

    Arguments and errors as for `Journal`; the file must be there.
    """
    done: dict[str, EntryT] = {}
    whole_bytes = 0
    for piece, place in _read_entries(path, _header(settings), read, remedy):
        if piece is not None:
            done[piece.key] = piece
        whole_bytes = place.start + place.n_bytes
    return done, whole_bytes


@dataclass(frozen=True, slots=True)
class JournalPosition:
    """Where a piece stands: in which journal, at which byte, and how many bytes long it is with its end of line."""

    path: Path
    start: int
    n_bytes: int


def find_entries(
    path: Path, settings: dict[str, Any], read: Callable[[dict[str, Any]], EntryT]
) -> Iterator[tuple[EntryT, JournalPosition]]:
    """Each piece of a journal that nobody is writing, with its place; arguments as for `Journal`.

    Raises:
        RunError: the journal was made with other settings, or is damaged.
        OSError: it can't be read.
    """
    for piece, place in _read_entries(path, _header(settings), read, DELETE_FILE):
        if piece is not None:
            yield piece, place


def join_journals(places: Iterable[JournalPosition], settings: dict[str, Any], out: Path) -> None:
    """Writes a new journal, whole or not at all, of pieces that stand in others. Takes no memory but for the open files.

    Raises:
        RunError: it can't be written.
    """
    with ExitStack() as stack:
        file = stack.enter_context(atomic_file(out))
        file.write(_line(_header(settings)).decode())
        sources: dict[Path, IO[bytes]] = {}
        for place in places:
            if place.path not in sources:
                sources[place.path] = stack.enter_context(place.path.open("rb"))
            sources[place.path].seek(place.start)
            file.write(sources[place.path].read(place.n_bytes).decode())


def _header(settings: dict[str, Any]) -> dict[str, Any]:
    return {"trapmeter_journal": FORMAT, "settings": settings}


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _read_entries(
    path: Path, header: dict[str, Any], read: Callable[[dict[str, Any]], EntryT], remedy: str
) -> Iterator[tuple[EntryT | None, JournalPosition]]:
    """Each whole line of a journal: None for its header, then its pieces. What a crash has cut off is left out."""
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                break
            piece: EntryT | None = None
            try:
                data = json.loads(line)
                if number == 0:
                    _check_header(path, data, header, remedy)
                else:
                    piece = read(data)
            except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
                raise RunError(f"{path}, line {number + 1}: not a line that trapmeter wrote; {remedy}") from error
            yield piece, JournalPosition(path, start, len(line))
            start += len(line)


def _check_header(path: Path, data: dict[str, Any], header: dict[str, Any], remedy: str) -> None:
    if data["trapmeter_journal"] != FORMAT:
        raise RunError(
            f"{path}: written by another version of trapmeter (format {data['trapmeter_journal']}, "
            f"here {FORMAT}); {remedy}"
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
