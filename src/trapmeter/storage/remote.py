"""List, read, write and lock remote files, with retries."""

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
from trapmeter.storage.address import BUCKET_SCHEMES, RemotePath, RemoteStat
from trapmeter.storage.filesystems import SELF_RETRYING, RemoteError, RemoteMissingError, explain_error, filesystem

MAX_TRIES = 6
FIRST_RETRY_S = 0.5
"""Before the second try; doubled before each further one, and up to half as long again so that workers don't come at once."""

N_STAT_REQUESTS = 16
"""Requests for the sizes of a web server's files: its lists don't tell them."""

MAX_PAGES = 10_000
"""Folders of a web server that are looked into."""

Result = TypeVar("Result")


def files_below(address: RemotePath) -> list[RemotePath]:
    """The file of this name, or else all files below it, with their states, in the order of their names.

    Raises:
        RemoteError: it can't be listed; the text says what to do. RemoteMissingError: there is nothing.
        MissingExtraError: the package for this kind of address is not installed.
    """
    found = _in_bucket(address) if address.scheme in BUCKET_SCHEMES else _on_web_server(address)
    if not found:
        raise RemoteMissingError(f"there is nothing at {address}; check the name, capitals matter")
    return sorted(found, key=lambda file: file.inner)


def stat(address: RemotePath) -> RemoteStat:
    """The size and date of a file; errors as `files_below`."""
    info = _retry(lambda: filesystem(address.scheme).info(_url(address)), address)
    if info.get("type") == "directory":
        raise RemoteMissingError(f"there is no file {address}")
    return _state(info, address)


def exists(address: RemotePath) -> bool:
    """Whether there is a file of this name, or any below it, and it can be reached.

    Raises:
        MissingExtraError: the package for this kind of address is not installed.
    """
    try:
        _retry(lambda: filesystem(address.scheme).info(_url(address)), address)
    except RemoteError:
        return False
    return True


def read(address: RemotePath, start: int, end: int) -> bytes:
    """The bytes start..end (exclusive) of a file; errors as `files_below`."""

    def ask() -> bytes:
        content: bytes = filesystem(address.scheme).cat_file(_url(address), start=start, end=end)
        if len(content) > end - start and address.scheme not in BUCKET_SCHEMES:
            # A web server that knows no ranges sends all there is.
            content = content[start:end]
        if len(content) != end - start:
            raise RemoteError(
                f"{address}: {len(content):,} bytes came in place of {end - start:,}; it changed, or the connection broke",
                is_transient=True,
            )
        return content

    return _retry(ask, address)


def read_all(address: RemotePath) -> bytes:
    """All bytes of a small file; errors as `files_below`."""
    content: bytes = _retry(lambda: filesystem(address.scheme).cat_file(_url(address)), address)
    return content


def write(content: Path, address: RemotePath) -> None:
    """Puts a file of this machine there: its readers see the whole of it or nothing; errors as `files_below`."""
    _retry(lambda: filesystem(address.scheme).put_file(str(content), _url(address)), address)


def create(content: bytes, address: RemotePath) -> bool:
    """Puts a small file where there is none; False where there is one. Errors as `files_below`."""

    def ask() -> bool:
        try:
            filesystem(address.scheme).pipe_file(_url(address), content, mode="create")
        except FileExistsError:
            return False
        return True

    return _retry(ask, address)


def delete(address: RemotePath) -> None:
    """Removes a file; errors as `files_below`."""
    _retry(lambda: filesystem(address.scheme).rm_file(_url(address)), address)


def _in_bucket(address: RemotePath) -> list[RemotePath]:
    def ask() -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = filesystem(address.scheme).find(_url(address), detail=True)
        return found

    bucket = address.origin.partition("://")[2]
    return [
        RemotePath(address.origin, name.removeprefix(f"{bucket}/"), _state(info, address))
        for name, info in _retry(ask, address).items()
        if info["type"] == "file" and not name.endswith("/")
    ]


def _on_web_server(address: RemotePath) -> list[RemotePath]:
    """A file, or the files that the pages of a folder lead to, as web servers make them of folders."""
    if address.suffix:
        return [address.with_stat(stat(address))]
    files = list(_linked_files(address))
    # Each costs a request.
    with ThreadPoolExecutor(N_STAT_REQUESTS) as threads:
        return list(threads.map(lambda file: file.with_stat(stat(file)), files))


def _linked_files(address: RemotePath) -> Iterator[RemotePath]:
    """Files that pages below a folder lead to; links to other servers and folders above are not followed."""
    top = f"{_url(address)}/"
    pages, seen = [top], {top}
    while pages:
        page = pages.pop()
        for link in _retry(partial(_links, page, address.scheme), address):
            inner = unquote(link.removeprefix(f"{address.origin}/"))
            is_below = link.startswith(top) and ".." not in inner.split("/") and not set(link) & {"?", "#"}
            if not is_below or link in seen:
                continue
            seen.add(link)
            if link.endswith("/"):
                if len(seen) > MAX_PAGES:
                    raise RemoteError(f"{address}: more than {MAX_PAGES:,} links; give folders further down")
                pages.append(link)
            elif PurePosixPath(inner).suffix:
                yield RemotePath(address.origin, inner)


def _links(page: str, scheme: str) -> list[str]:
    found: list[str] = filesystem(scheme).ls(page, detail=False)
    return found


def _state(info: dict[str, Any], address: RemotePath) -> RemoteStat:
    size = info.get("size")
    if not isinstance(size, int):
        raise RemoteError(f"{address}: the server doesn't tell the file's size; download it and give its folder")
    when = next((info[name] for name in ("LastModified", "mtime", "updated", "Last-Modified") if info.get(name)), None)
    seconds = 0 if when is None else int(_parse_time(when).timestamp())
    tag = info.get("ETag") or info.get("etag") or info.get("md5Hash") or ""
    within = int.from_bytes(hashlib.sha256(str(tag).encode()).digest()[:8]) % 1_000_000_000 if tag else 0
    return RemoteStat(size, seconds * 1_000_000_000 + within)


def _parse_time(when: datetime | str) -> datetime:
    if isinstance(when, datetime):
        return when
    try:
        return datetime.fromisoformat(when)
    except ValueError:
        return parsedate_to_datetime(when)


def _url(address: RemotePath) -> str:
    """As fsspec takes it: names in buckets as they are, those on web servers quoted."""
    return f"{address.origin}/{address.inner if address.scheme in BUCKET_SCHEMES else quote(address.inner)}".rstrip("/")


def _retry(ask: Callable[[], Result], address: RemotePath) -> Result:
    tries = 1 if address.scheme in SELF_RETRYING else MAX_TRIES
    for tried in range(1, tries + 1):
        try:
            return ask()
        except (MissingExtraError, LookupError, TypeError, AttributeError):
            raise  # the last three are somebody's mistake, which no trying again would mend
        except Exception as error:
            reason = explain_error(error, address)
            if not reason.is_transient or tried == tries:
                raise reason from None
        time.sleep(FIRST_RETRY_S * 2 ** (tried - 1) * random.uniform(1.0, 1.5))  # noqa: S311
    raise AssertionError("the last try returns or raises")


LOCK_FILE = ".trapmeter-lock"


@contextmanager
def hold_lock(out: RemotePath, owner: str, option: str) -> Iterator[None]:
    """Keeps runs of others out until the block ends; a lock that the owner's own killed run left behind is taken up again.

    Raises:
        RunError: another run has it. RemoteError: it can't be written.
    """
    told = {"owner": owner, "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    if not create(json.dumps(told).encode(), out / LOCK_FILE) and not is_locked_by(out, owner):
        raise RunError(locked_text(out, option))
    try:
        yield
    finally:
        with suppress(RemoteError):
            if is_locked_by(out, owner):
                delete(out / LOCK_FILE)


def is_locked_by(out: RemotePath, owner: str) -> bool:
    """The lock is there, and the owner's."""
    return _read_lock(out).get("owner") == owner


def locked_text(out: RemotePath, option: str) -> str:
    """Who has the lock, and what can be done."""
    held = _read_lock(out)
    started = f"started on {held.get('host', '?')} at {held.get('since', '?')}"
    return (
        f"{out}: another run is writing there ({started}); wait for it or choose another {option}; if that machine is gone, "
        f"delete {out / LOCK_FILE} and give the same command again"
    )


def _read_lock(out: RemotePath) -> dict[str, str]:
    try:
        held = json.loads(read_all(out / LOCK_FILE))
    except (RemoteMissingError, ValueError):
        return {}
    return {name: str(value) for name, value in held.items()} if isinstance(held, dict) else {}
