"""Results for object storage: written to a local working folder and uploaded when complete.

A run needs a folder in which a line is kept as soon as it is written and which is its own; buckets have neither. So journal
and lock stay here, a killed run goes on here, and each file of the results appears in the bucket as a whole. What keeps two
machines apart is an object that only one of them can create.
"""

from __future__ import annotations

import fnmatch
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError, RunError
from trapmeter.files import atomic_file, cache_folder, lock_file, sha256_of_bytes
from trapmeter.storage import remote
from trapmeter.storage.address import BUCKET_SCHEMES, AnyPath, RemotePath, RemoteStat
from trapmeter.storage.filesystems import RemoteError, RemoteMissingError
from trapmeter.storage.remote import LOCK_FILE, hold_lock, is_locked_by, locked_text

WORK_VARIABLE = "TRAPMETER_WORK"
OWNER_FILE = ".owner"
PUBLISHED_FILE = ".published.json"
UPLOAD_INTERVAL_S = 600.0
"""How often the journal is put there: so much work is lost at most where a machine is gone for good."""

N_UPLOADS = 8
"""Files that are sent side by side."""


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """Which of a run's files are special.

    journal: what other machines need to go on; last: what readers look for, in this order after all others; left_out: a
    folder that stays here.
    """

    journal: str
    last: tuple[str, ...]
    local_only: str = ""


def work_folder(address: RemotePath) -> Path:
    """The folder of this machine for what goes to an address: below $TRAPMETER_WORK, or the system's folder for caches."""
    told = os.environ.get(WORK_VARIABLE)
    base = Path(told) if told else cache_folder() / "work"
    return base / sha256_of_bytes(str(address).encode("utf-8", "backslashreplace"))[:16] / address.name


@contextmanager
def publish_folder(
    out: AnyPath, layout: FolderLayout, option: str = "--out", *, overwrite: bool = False
) -> Iterator[Path]:
    """The folder to write into: out itself, or for an address a working folder, whose files are there once the block ends.

    Every ten minutes, and where the block ends with an error or is stopped, the journal alone is put there: the same command
    goes on, here or on another machine. overwrite: what another machine left there doesn't count.

    Raises:
        InputError: nothing can be written to this kind of address.
        RunError: another run is at work there, or the address can't be written.
    """
    if isinstance(out, Path):
        yield out
        return
    if out.scheme not in BUCKET_SCHEMES:
        raise InputError(
            f"{option} {out}: nothing can be written to a web server; expected a folder, or s3:// or gs://"
        )
    folder = work_folder(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder}: can't be written: {error.strerror or error}; set {WORK_VARIABLE} to a folder"
        ) from error
    with lock_file(folder, option), _as_run_error(out), hold_lock(out, _read_owner(folder), option):
        sent = _Upload(out, folder, layout)
        if not overwrite:
            sent.fetch_journal()
        try:
            with _call_regularly(sent.send_journal):
                yield folder
        except BaseException:
            sent.send_journal()
            raise
        if not is_locked_by(out, _read_owner(folder)):
            raise RunError(
                f"{out}: its lock was taken by another run; nothing was written there, this one's results are in {folder}"
            )
        sent.send_all()


@contextmanager
def fetch_folder(folder: AnyPath, names: Sequence[str]) -> Iterator[Path]:
    """A folder of results to read from: itself, or for an address a copy of these of its files.

    Raises:
        RunError: a run is at work there, or one of the files isn't there or can't be read.
    """
    if isinstance(folder, Path):
        yield folder
        return
    here = work_folder(folder)
    with _as_run_error(folder):
        if (folder / LOCK_FILE).exists():
            raise RunError(locked_text(folder, "--out"))
        here.mkdir(parents=True, exist_ok=True)
        with lock_file(here):
            for name in names:
                (here / name).write_bytes(remote.read_all(folder / name))
    yield here


def expand_pattern(folder: AnyPath) -> list[AnyPath]:
    """The folder; or those whose names match the last of an address, which no shell can list, such as shard-*-of-8.

    Raises:
        InputError: it can't be listed, or none matches.
    """
    if isinstance(folder, Path) or "*" not in folder.name:
        return [folder]
    above = folder.parent
    try:
        below = remote.files_below(above)
    except RemoteError as error:
        raise InputError(str(error)) from error
    names = sorted({file.inner.removeprefix(f"{above.inner}/").partition("/")[0] for file in below})
    found: list[AnyPath] = [above / name for name in names if fnmatch.fnmatchcase(name, folder.name)]
    if not found:
        raise InputError(f"{folder}: no folder of such a name")
    return found


class _Upload:
    """What of a working folder is at its address already, as this machine sent it."""

    def __init__(self, out: RemotePath, folder: Path, layout: FolderLayout) -> None:
        self._out, self._folder, self._layout = out, folder, layout
        try:
            self._known: dict[str, list[list[int]]] = json.loads((folder / PUBLISHED_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._known = {}

    def fetch_journal(self) -> None:
        """Brings the journal that a run on another machine left there; one that is here as well is joined with it."""
        name = self._layout.journal
        try:
            state = remote.stat(self._out / name)
        except RemoteMissingError:
            return
        if name in self._known and self._known[name][1] == _state_list(state):
            return
        theirs = remote.read_all(self._out / name)
        path = self._folder / name
        ours = path.read_bytes() if path.exists() else b""
        head, _, rest = theirs.partition(b"\n")
        if not ours:
            path.write_bytes(theirs)
        elif ours == theirs:
            return
        elif not name.endswith(".jsonl") or ours.partition(b"\n")[0] != head:
            raise RunError(
                f"{self._out}: holds a run of another machine with other settings; choose another folder, or --overwrite to "
                f"start anew; what this machine has done for it is in {self._folder}"
            )
        else:
            whole = ours[: ours.rfind(b"\n") + 1]
            with atomic_file(path) as file:
                file.write((whole + rest).decode())

    def send_journal(self) -> None:
        """Sends the journal as it is now, if that can be done: there is another error to show, or another time to try."""
        with suppress(OSError, RunError):
            self.send([self._layout.journal])

    def send_all(self) -> None:
        """Sends what is new; what was sent before and is not here any more is removed there."""
        names = [
            path.relative_to(self._folder).as_posix()
            for path in sorted(self._folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        ]
        names = [name for name in names if name.partition("/")[0] != self._layout.local_only]
        last = [name for name in self._layout.last if name in names]
        self.send([name for name in names if name not in last])
        for name in last:
            self.send([name])
        for name in sorted(self._known.keys() - set(names)):
            with suppress(RemoteMissingError):
                remote.delete(self._out / name)
            del self._known[name]
        self._save_state()

    def send(self, names: Sequence[str]) -> None:
        """Sends these files, where they are here and not yet there."""
        there = self._remote_states() if self._known.keys() & set(names) else {}
        left = [name for name in names if (self._folder / name).exists() and not self._is_sent(name, there)]
        with ThreadPoolExecutor(N_UPLOADS) as threads:
            for name, states in zip(left, threads.map(self._send, left), strict=True):
                self._known[name] = states
        self._save_state()

    def _send(self, name: str) -> list[list[int]]:
        state = self._local_state(name)
        remote.write(self._folder / name, self._out / name)
        return [state, _state_list(remote.stat(self._out / name))]

    def _remote_states(self) -> dict[str, list[int]]:
        """The states of all that is at the address."""
        prefix = f"{self._out.inner}/" if self._out.inner else ""
        with suppress(RemoteMissingError):
            return {file.inner.removeprefix(prefix): _state_list(file.stat()) for file in remote.files_below(self._out)}
        return {}

    def _is_sent(self, name: str, there: Mapping[str, list[int]]) -> bool:
        return name in self._known and self._known[name] == [self._local_state(name), there.get(name)]

    def _local_state(self, name: str) -> list[int]:
        status = (self._folder / name).stat()
        return [status.st_size, status.st_mtime_ns]

    def _save_state(self) -> None:
        with atomic_file(self._folder / PUBLISHED_FILE) as file:
            json.dump(self._known, file)


@contextmanager
def _call_regularly(send: Callable[[], None]) -> Iterator[None]:
    """Calls send every KEPT_EVERY_S while the block lasts, in a thread of its own."""
    is_over = threading.Event()

    def keep() -> None:
        while not is_over.wait(UPLOAD_INTERVAL_S):
            send()

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _state_list(state: RemoteStat) -> list[int]:
    return [state.st_size, state.st_mtime_ns]


@contextmanager
def _as_run_error(out: RemotePath) -> Iterator[None]:
    """What is wrong with an address as an error of the run."""
    try:
        yield
    except RemoteError as error:
        raise RunError(f"{error}; what is done is kept in {work_folder(out)}") from error


def _read_owner(folder: Path) -> str:
    """What tells this working folder from all others."""
    path = folder / OWNER_FILE
    if not path.exists():
        with atomic_file(path) as file:
            file.write(uuid.uuid4().hex)
    return path.read_text(encoding="utf-8")
