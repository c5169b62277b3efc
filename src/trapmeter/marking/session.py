"""A running page: the only writer of its table, for any number of tabs. Each change is on the disk before it is shown."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from trapmeter.errors import InputError, RunError, TrapmeterError
from trapmeter.files import atomic_path, lock_file
from trapmeter.marking.photographs import Photograph, with_known_dates
from trapmeter.marking.table import MarkTable, PicturePlace, parse_table, put_object, read_table, remove_object
from trapmeter.tables.file_names import NameIndex
from trapmeter.tables.reference_marks import MarkedDeployment, Upright, UprightKind, check_overlaps

MOST_UNDONE = 500


class StaleChangeError(TrapmeterError):
    """The page that sent a change didn't know the current table."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A change that can be undone: the table before it, the photograph and what was done."""

    before: MarkTable
    photograph: int
    text: str


@dataclass(frozen=True, slots=True)
class MarkingState:
    """The current table. version: grows with each change; last: what undo would take back, "" for nothing."""

    version: int
    table: MarkTable
    last: str


@contextmanager
def open_session(path: Path, photographs: Sequence[Photograph]) -> Iterator[MarkingSession]:
    """Opens a table for marking, locked against other processes.

    Raises:
        InputError: the file is no table of reference marks, or dates of the photographs overlap with its deployments.
        RunError: another page has it open, or its folder can't be written.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"--out {path}: expected a CSV file in a folder that exists")
    with lock_file(path, "--out (or use the page that has it open)"):
        yield MarkingSession(path, photographs)


class MarkingSession:
    """The table, and the changes that can be undone."""

    def __init__(self, path: Path, photographs: Sequence[Photograph]) -> None:
        """Starts from the table as it is; `open_session` locks it first."""
        table = read_table(path)
        self._path = path
        self._lock = threading.Lock()
        self._steps: list[_Step] = []
        self.photographs = tuple(with_known_dates(photograph, table.deployments) for photograph in photographs)
        self._names = _names_by_deployment(self.photographs)
        _check_deployments(path, table.deployments, self.photographs)
        self.state = MarkingState(1, table, "")

    def put(self, number: int, base: int, upright: Upright, line: int | None = None) -> MarkingState:
        """Adds an object to a photograph, or replaces the one whose first mark stands on a line; returns once it is saved.

        base: the version that the page knew.

        Raises:
            StaleChangeError: the page didn't know the current table; nothing changed.
            InputError: the change is impossible; nothing changed.
            RunError: the table can't be written; nothing changed.
        """
        with self._lock:
            table = self._current(base)
            photograph = self.photographs[number]
            if photograph.problem:
                raise InputError(f"this photograph can't be marked: {photograph.problem}")
            replaced = _lines(self._object(table, number, line)) if line is not None else ()
            if upright.kind is not UprightKind.GROUND and not upright.name:
                upright = _named(upright, self.objects(number, table).values())
            start, end = photograph.dates
            place = PicturePlace(photograph.site_id, start, end, photograph.name, photograph.width, photograph.height)
            verb = "added" if line is None else "changed"
            return self._save(put_object(table, upright, place, replaced), number, f"{_describe(upright)} {verb}")

    def remove(self, number: int, base: int, line: int) -> MarkingState:
        """Removes the object whose first mark stands on a line. Raises as `put`."""
        with self._lock:
            table = self._current(base)
            upright = self._object(table, number, line)
            return self._save(remove_object(table, _lines(upright)), number, f"{_describe(upright)} removed")

    def undo(self, base: int) -> tuple[MarkingState, int]:
        """Takes back the last change; returns the number of its photograph too. Raises as `put`."""
        with self._lock:
            self._current(base)
            if not self._steps:
                raise InputError("there is nothing to undo")
            step = self._steps[-1]
            self._write(step.before)
            self._steps.pop()
            self._set(step.before)
            return self.state, step.photograph

    def deployment(self, number: int, table: MarkTable | None = None) -> MarkedDeployment:
        """All marks of the deployment that a photograph belongs to, those of other photographs too."""
        photograph = self.photographs[number]
        start, end = photograph.dates
        for found in (table or self.state.table).deployments:
            if (found.site_id, found.start, found.end) == (photograph.site_id, start, end):
                return found
        return MarkedDeployment(photograph.site_id, start, end, ())

    def objects(self, number: int, table: MarkTable | None = None) -> Mapping[int, Upright]:
        """The objects marked in a photograph, by their index in its deployment."""
        photograph = self.photographs[number]
        names = self._names.get(_key(photograph))
        if names is None:
            return {}
        return {
            i: upright
            for i, upright in enumerate(self.deployment(number, table).uprights)
            if upright.photo and names.find(upright.photo) == [photograph.name]
        }

    def _object(self, table: MarkTable, number: int, line: int | None) -> Upright:
        for upright in self.objects(number, table).values():
            if upright.line == line:
                return upright
        raise StaleChangeError("this mark is gone: nothing was changed")

    def _current(self, base: int) -> MarkTable:
        """The table, if the page and the file agree with it."""
        try:
            on_disk = self._path.read_bytes()
        except FileNotFoundError:
            on_disk = self.state.table.content
        except OSError as error:
            raise RunError(f"NOT SAVED: {self._path} can't be read: {error.strerror or error}") from error
        if on_disk != self.state.table.content:
            try:
                table = parse_table(self._path, on_disk)
            except InputError as error:
                raise InputError(f"NOT SAVED: another program has changed the table: {error}") from error
            self._steps.clear()
            self._set(table)
            raise StaleChangeError(
                f"another program has changed {self._path.name}, and it was read again: nothing was changed, try again"
            )
        if base != self.state.version:
            raise StaleChangeError("another tab has changed the marks since: nothing was changed, try again")
        return self.state.table

    def _save(self, table: MarkTable, number: int, text: str) -> MarkingState:
        before = self.state.table
        self._write(table)
        self._steps = [*self._steps[-MOST_UNDONE:], _Step(before, number, text)]
        self._set(table)
        return self.state

    def _set(self, table: MarkTable) -> None:
        self.state = MarkingState(self.state.version + 1, table, self._steps[-1].text if self._steps else "")

    def _write(self, table: MarkTable) -> None:
        try:
            with atomic_path(self._path) as partial:
                partial.write_bytes(table.content)
        except RunError as error:
            raise RunError(f"NOT SAVED: {error}") from error


def _key(photograph: Photograph) -> tuple[object, ...]:
    return (photograph.site_id, *photograph.dates)


def _names_by_deployment(photographs: Sequence[Photograph]) -> dict[tuple[object, ...], NameIndex]:
    names: dict[tuple[object, ...], list[str]] = {}
    for photograph in photographs:
        names.setdefault(_key(photograph), []).append(photograph.name)
    return {key: NameIndex(found) for key, found in names.items()}


def _check_deployments(path: Path, known: Sequence[MarkedDeployment], photographs: Sequence[Photograph]) -> None:
    """Refuses dates that overlap with those of the table, before anything is marked."""
    spans = {(one.site_id, one.start, one.end) for one in known}
    spans |= {(one.site_id, *one.dates) for one in photographs if one.site_id and not one.problem}
    times = [time for _, *dates in spans for time in dates if time is not None]
    if len({time.tzinfo is None for time in times}) > 1:
        raise InputError(
            f"{path}: some dates of deployments have a time zone and others have none, so they can't be compared; add it"
        )
    check_overlaps(path, [MarkedDeployment(site_id, start, end, ()) for site_id, start, end in sorted(spans, key=str)])


def _lines(upright: Upright) -> frozenset[int]:
    return frozenset(mark.line for mark in upright.marks)


def _named(upright: Upright, others: Iterable[Upright]) -> Upright:
    taken = {other.name for other in others}
    return replace(upright, name=next(name for i in count(1) if (name := f"{upright.kind} {i}") not in taken))


def _describe(upright: Upright) -> str:
    what = upright.name or ("point" if upright.kind is UprightKind.GROUND else upright.kind.value)
    return what if upright.distance_m is None else f"{what} at {upright.distance_m:g} m"
