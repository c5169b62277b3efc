"""Writes results for object storage into a local working folder and uploads them when they are complete.

A run needs a folder of its own in which each line is kept as soon as it is written; buckets offer neither. So the journal and
the lock stay on this machine, a killed run resumes here, and each result file appears in the bucket complete. An object that
only one machine can create keeps two machines apart.
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
from trapmeter.storage.address import BUCKET_SCHEMES, AnyPath, RemotePath
from trapmeter.storage.filesystems import RemoteError, RemoteMissingError
from trapmeter.storage.remote import LOCK_FILE, file_state, hold_lock, is_locked_by, locked_text, path_exists

WORK_VARIABLE = "TRAPMETER_WORK"
OWNER_FILE = ".owner"
PUBLISHED_FILE = ".published.json"
UPLOAD_INTERVAL_S = 600.0
"""How often the journal is uploaded: the most work that is lost if a machine disappears for good."""

N_UPLOADS = 8
"""Files uploaded at the same time."""


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """Which of a run's files are special.

    journal: what another machine needs to resume; last: what readers look for, uploaded in this order after all others;
    local_only: a folder that is not uploaded.
    """

    journal: str
    last: tuple[str, ...]
    local_only: str = ""


def work_folder(address: RemotePath) -> Path:
    """This machine's folder for results that go to an address: below $TRAPMETER_WORK, or the system's cache folder."""
    chosen = os.environ.get(WORK_VARIABLE)
    base = Path(chosen) if chosen else cache_folder() / "work"
    return base / sha256_of_bytes(str(address).encode("utf-8", "backslashreplace"))[:16] / address.name


@contextmanager
def publish_folder(
    out: AnyPath, layout: FolderLayout, option: str = "--out", *, overwrite: bool = False
) -> Iterator[Path]:
    """The folder to write into: out itself, or for an address a working folder that is uploaded when the block ends.

    Every ten minutes, and if the block fails or is interrupted, only the journal is uploaded: the same command resumes, here
    or on another machine. overwrite: ignore what another machine left there.

    Raises:
        InputError: nothing can be written to this kind of address.
        RunError: another run is writing there, or the address can't be written.
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
        upload = _Upload(out, folder, layout)
        if not overwrite:
            upload.fetch_journal()
        try:
            with _call_regularly(upload.send_journal):
                yield folder
        except BaseException:
            upload.send_journal()
            raise
        if not is_locked_by(out, _read_owner(folder)):
            raise RunError(f"{out}: another run took the lock; nothing was written there, the results are in {folder}")
        upload.send_all()


@contextmanager
def fetch_folder(folder: AnyPath, names: Sequence[str]) -> Iterator[Path]:
    """A folder of results to read from: the folder itself, or for an address a local copy of the named files.

    Raises:
        RunError: a run is writing there, or one of the files is missing or can't be read.
    """
    if isinstance(folder, Path):
        yield folder
        return
    copy = work_folder(folder)
    with _as_run_error(folder):
        if path_exists(folder / LOCK_FILE):
            raise RunError(locked_text(folder, "--out"))
        copy.mkdir(parents=True, exist_ok=True)
        with lock_file(copy):
            for name in names:
                (copy / name).write_bytes(remote.read_all(folder / name))
    yield copy


def expand_pattern(folder: AnyPath) -> list[AnyPath]:
    """The folder; or, for an address whose last name is a pattern such as shard-*-of-8, all folders that match it.

    Raises:
        InputError: the address can't be listed, or nothing matches.
    """
    if isinstance(folder, Path) or "*" not in folder.name:
        return [folder]
    parent = folder.parent
    try:
        files = remote.files_below(parent)
    except RemoteError as error:
        raise InputError(str(error)) from error
    names = sorted({file.inner.removeprefix(f"{parent.inner}/").partition("/")[0] for file in files})
    matches: list[AnyPath] = [parent / name for name in names if fnmatch.fnmatchcase(name, folder.name)]
    if not matches:
        raise InputError(f"{folder}: no folder matches this name")
    return matches


class _Upload:
    """Uploads a working folder and keeps track of the files that this machine has uploaded.

    For each file, `_sent` holds the state of the local file and that of the uploaded one.
    """

    def __init__(self, out: RemotePath, folder: Path, layout: FolderLayout) -> None:
        self._out, self._folder, self._layout = out, folder, layout
        try:
            self._sent: dict[str, list[list[int]]] = json.loads((folder / PUBLISHED_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._sent = {}

    def fetch_journal(self) -> None:
        """Downloads the journal that a run on another machine left there, and joins it with the local one if there is one."""
        name = self._layout.journal
        try:
            state = remote.fetch_state(self._out / name)
        except RemoteMissingError:
            return
        if name in self._sent and self._sent[name][1] == list(state):
            return
        remote_journal = remote.read_all(self._out / name)
        path = self._folder / name
        local_journal = path.read_bytes() if path.exists() else b""
        header, _, remote_entries = remote_journal.partition(b"\n")
        if not local_journal:
            path.write_bytes(remote_journal)
        elif local_journal == remote_journal:
            return
        elif not name.endswith(".jsonl") or local_journal.partition(b"\n")[0] != header:
            raise RunError(
                f"{self._out}: holds a run of another machine with other settings; choose another folder, or --overwrite to "
                f"start over; what this machine has done for it is in {self._folder}"
            )
        else:
            complete_lines = local_journal[: local_journal.rfind(b"\n") + 1]
            with atomic_file(path) as file:
                file.write((complete_lines + remote_entries).decode())

    def send_journal(self) -> None:
        """Uploads the journal as it is now. Failures are ignored: it is sent again later, or another error is on its way."""
        with suppress(OSError, RunError):
            self.send([self._layout.journal])

    def send_all(self) -> None:
        """Uploads new and changed files, and removes files sent earlier that no longer exist here."""
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
        for name in sorted(self._sent.keys() - set(names)):
            with suppress(RemoteMissingError):
                remote.delete(self._out / name)
            del self._sent[name]
        self._save_state()

    def send(self, names: Sequence[str]) -> None:
        """Uploads those of these files that exist and are not there yet."""
        uploaded = self._remote_states() if self._sent.keys() & set(names) else {}
        left = [name for name in names if (self._folder / name).exists() and not self._is_sent(name, uploaded)]
        with ThreadPoolExecutor(N_UPLOADS) as threads:
            for name, states in zip(left, threads.map(self._send, left), strict=True):
                self._sent[name] = states
        self._save_state()

    def _send(self, name: str) -> list[list[int]]:
        state = self._local_state(name)
        remote.write(self._folder / name, self._out / name)
        return [state, list(remote.fetch_state(self._out / name))]

    def _remote_states(self) -> dict[str, list[int]]:
        """The states of all files at the address."""
        prefix = f"{self._out.inner}/" if self._out.inner else ""
        with suppress(RemoteMissingError):
            return {file.inner.removeprefix(prefix): list(file_state(file)) for file in remote.files_below(self._out)}
        return {}

    def _is_sent(self, name: str, uploaded: Mapping[str, list[int]]) -> bool:
        return name in self._sent and self._sent[name] == [self._local_state(name), uploaded.get(name)]

    def _local_state(self, name: str) -> list[int]:
        return list(file_state(self._folder / name))

    def _save_state(self) -> None:
        with atomic_file(self._folder / PUBLISHED_FILE) as file:
            json.dump(self._sent, file)


@contextmanager
def _call_regularly(work: Callable[[], None]) -> Iterator[None]:
    """Calls work every UPLOAD_INTERVAL_S in a thread of its own until the block ends."""
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.wait(UPLOAD_INTERVAL_S):
            work()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextmanager
def _as_run_error(out: RemotePath) -> Iterator[None]:
    """Turns an error of an address into one of the run."""
    try:
        yield
    except RemoteError as error:
        raise RunError(f"{error}; the finished work is kept in {work_folder(out)}") from error


def _read_owner(folder: Path) -> str:
    """An identifier of this working folder, unlike that of any other."""
    path = folder / OWNER_FILE
    if not path.exists():
        with atomic_file(path) as file:
            file.write(uuid.uuid4().hex)
    return path.read_text(encoding="utf-8")
