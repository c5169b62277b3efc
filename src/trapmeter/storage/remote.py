"""Lists, reads, writes and locks files in object storage or on a web server, with retries."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from trapmeter.errors import MissingExtraError, RunError
from trapmeter.storage.address import BUCKET_SCHEMES, AnyPath, FileState, RemotePath
from trapmeter.storage.filesystems import SELF_RETRYING, RemoteError, RemoteMissingError, explain_error, filesystem

MAX_TRIES = 6
FIRST_RETRY_S = 0.5
"""Wait before the second try. It doubles with each try, plus up to half of it at random, so that workers spread out."""

N_STATE_REQUESTS = 16
"""Simultaneous requests for the sizes of a web server's files, which its pages don't give."""

MAX_LINKS = 10_000
"""Links followed below a folder of a web server."""

Result = TypeVar("Result")


def file_state(path: AnyPath) -> FileState:
    """The size of a file and when it was changed; for an address as listed, or else as the server says now.

    Raises:
        OSError: there is no such file, or it can't be reached; for an address, the text says what to do.
    """
    if isinstance(path, Path):
        status = path.stat()
        return FileState(status.st_size, status.st_mtime_ns)
    if path.known_state is not None:
        return path.known_state
    return fetch_state(path)


def file_state_or_zeros(path: AnyPath) -> FileState:
    """As `file_state`; zeros for a file that is missing or out of reach."""
    try:
        return file_state(path)
    except OSError:
        return FileState(0, 0)


def path_exists(path: AnyPath) -> bool:
    """Whether there is a file or folder of this name; an address must also be within reach.

    Raises:
        MissingExtraError: the package for this kind of address is not installed.
    """
    if isinstance(path, Path):
        return path.exists()
    try:
        _retry(lambda: filesystem(path.scheme).info(_url(path)), path)
    except RemoteError:
        return False
    return True


def files_below(address: RemotePath) -> list[RemotePath]:
    """The file of this name, or else all files below it, with their states, sorted by name.

    Raises:
        RemoteError: it can't be listed; the text says what to do. RemoteMissingError: there is nothing.
        MissingExtraError: the package for this kind of address is not installed.
    """
    files = _files_in_bucket(address) if address.scheme in BUCKET_SCHEMES else _files_on_web_server(address)
    if not files:
        raise RemoteMissingError(f"there is nothing at {address}; check the name, capitals matter")
    return sorted(files, key=lambda file: file.inner)


def fetch_state(address: RemotePath) -> FileState:
    """The state of a file as the server says now; errors as in `files_below`."""
    info = _retry(lambda: filesystem(address.scheme).info(_url(address)), address)
    if info.get("type") == "directory":
        raise RemoteMissingError(f"there is no file {address}")
    return _state_from(info, address)


def read(address: RemotePath, start: int, end: int) -> bytes:
    """The bytes start..end (exclusive) of a file; errors as in `files_below`."""

    def request() -> bytes:
        content: bytes = filesystem(address.scheme).cat_file(_url(address), start=start, end=end)
        if len(content) > end - start and address.scheme not in BUCKET_SCHEMES:
            # A web server that doesn't support ranges sends the complete file.
            content = content[start:end]
        if len(content) != end - start:
            raise RemoteError(
                f"{address}: {len(content):,} bytes came in place of {end - start:,}; it changed, or the connection broke",
                is_transient=True,
            )
        return content

    return _retry(request, address)


def read_all(address: RemotePath) -> bytes:
    """All bytes of a small file; errors as in `files_below`."""
    content: bytes = _retry(lambda: filesystem(address.scheme).cat_file(_url(address)), address)
    return content


def write(source: Path, address: RemotePath) -> None:
    """Uploads a file. Readers see all of it or nothing. Errors as in `files_below`."""
    _retry(lambda: filesystem(address.scheme).put_file(str(source), _url(address)), address)


def create(content: bytes, address: RemotePath) -> bool:
    """Writes a small file unless there is one already, which gives False. Errors as in `files_below`."""

    def request() -> bool:
        try:
            filesystem(address.scheme).pipe_file(_url(address), content, mode="create")
        except FileExistsError:
            return False
        return True

    return _retry(request, address)


def delete(address: RemotePath) -> None:
    """Removes a file; errors as in `files_below`."""
    _retry(lambda: filesystem(address.scheme).rm_file(_url(address)), address)


def _files_in_bucket(address: RemotePath) -> list[RemotePath]:
    def request() -> dict[str, dict[str, Any]]:
        listing: dict[str, dict[str, Any]] = filesystem(address.scheme).find(_url(address), detail=True)
        return listing

    bucket = address.origin.partition("://")[2]
    return [
        RemotePath(address.origin, name.removeprefix(f"{bucket}/"), _state_from(info, address))
        for name, info in _retry(request, address).items()
        if info["type"] == "file" and not name.endswith("/")
    ]


def _files_on_web_server(address: RemotePath) -> list[RemotePath]:
    """The file, or the files linked from a folder's pages, as web servers generate them."""
    if address.suffix:
        return [address.with_state(fetch_state(address))]
    files = list(_linked_files(address))
    with ThreadPoolExecutor(N_STATE_REQUESTS) as threads:
        return list(threads.map(lambda file: file.with_state(fetch_state(file)), files))


def _linked_files(address: RemotePath) -> Iterator[RemotePath]:
    """Files linked from the pages of a folder and of those below it; links that lead elsewhere are not followed."""
    top = f"{_url(address)}/"
    pages, known_links = [top], {top}
    while pages:
        page = pages.pop()
        for link in _retry(partial(_links, page, address.scheme), address):
            inner = unquote(link.removeprefix(f"{address.origin}/"))
            is_below = link.startswith(top) and ".." not in inner.split("/") and not set(link) & {"?", "#"}
            if not is_below or link in known_links:
                continue
            known_links.add(link)
            if link.endswith("/"):
                if len(known_links) > MAX_LINKS:
                    raise RemoteError(f"{address}: more than {MAX_LINKS:,} links; give folders further down")
                pages.append(link)
            elif PurePosixPath(inner).suffix:
                yield RemotePath(address.origin, inner)


def _links(page: str, scheme: str) -> list[str]:
    links: list[str] = filesystem(scheme).ls(page, detail=False)
    return links


def _state_from(info: dict[str, Any], address: RemotePath) -> FileState:
    size = info.get("size")
    if not isinstance(size, int):
        raise RemoteError(f"{address}: the server doesn't give the file's size; download it and give its folder")
    when = next((info[name] for name in ("LastModified", "mtime", "updated", "Last-Modified") if info.get(name)), None)
    seconds = 0 if when is None else int(_parse_time(when).timestamp())
    tag = info.get("ETag") or info.get("etag") or info.get("md5Hash") or ""
    within = int.from_bytes(hashlib.sha256(str(tag).encode()).digest()[:8]) % 1_000_000_000 if tag else 0
    return FileState(size, seconds * 1_000_000_000 + within)


def _parse_time(when: datetime | str) -> datetime:
    if isinstance(when, datetime):
        return when
    try:
        return datetime.fromisoformat(when)
    except ValueError:
        return parsedate_to_datetime(when)


def _url(address: RemotePath) -> str:
    """In the form that fsspec takes: names in buckets unchanged, those on web servers quoted."""
    return f"{address.origin}/{address.inner if address.scheme in BUCKET_SCHEMES else quote(address.inner)}".rstrip("/")


def _retry(request: Callable[[], Result], address: RemotePath) -> Result:
    n_tries = 1 if address.scheme in SELF_RETRYING else MAX_TRIES
    for number in range(1, n_tries + 1):
        try:
            return request()
        except (MissingExtraError, LookupError, TypeError, AttributeError):
            raise  # the last three are mistakes in code, which another try would not fix
        except Exception as error:
            reason = explain_error(error, address)
            if not reason.is_transient or number == n_tries:
                raise reason from None
        time.sleep(FIRST_RETRY_S * 2 ** (number - 1) * random.uniform(1.0, 1.5))  # noqa: S311
    raise AssertionError("the last try returns or raises")


LOCK_FILE = ".trapmeter-lock"


@contextmanager
def hold_lock(out: RemotePath, owner: str, option: str) -> Iterator[None]:
    """Keeps other runs out until the block ends. An owner takes back the lock that its own killed run left behind.

    option: the command-line option that named the folder, for messages.

    Raises:
        RunError: another run holds the lock. RemoteError: it can't be written.
    """
    lock = {"owner": owner, "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    if not create(json.dumps(lock).encode(), out / LOCK_FILE) and not is_locked_by(out, owner):
        raise RunError(locked_text(out, option))
    try:
        yield
    finally:
        with suppress(RemoteError):
            if is_locked_by(out, owner):
                delete(out / LOCK_FILE)


def is_locked_by(out: RemotePath, owner: str) -> bool:
    """Whether the lock is there and belongs to the owner."""
    return _read_lock(out).get("owner") == owner


def locked_text(out: RemotePath, option: str) -> str:
    """Who holds the lock, and what the user can do."""
    lock = _read_lock(out)
    started = f"started on {lock.get('host', '?')} at {lock.get('since', '?')}"
    return (
        f"{out}: another run is writing there ({started}); wait for it or choose another {option}; if that machine is gone, "
        f"delete {out / LOCK_FILE} and give the same command again"
    )


def _read_lock(out: RemotePath) -> dict[str, str]:
    try:
        lock = json.loads(read_all(out / LOCK_FILE))
    except (RemoteMissingError, ValueError):
        return {}
    return {name: str(value) for name, value in lock.items()} if isinstance(lock, dict) else {}
