"""Downloads one file from the first mirror that delivers it, resuming partial downloads.

A part file keeps what has arrived, and the next attempt or call resumes after it. Its bytes may come from several mirrors:
size and checksum are checked at the end, and a wrong file is deleted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from trapmeter._version import __version__
from trapmeter.errors import ModelError, RunError

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

BLOCK_BYTES = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

DownloadProgress = Callable[[int, int | None], None]
"""Called with the number of bytes so far, and the total if the server states it."""
Check = Callable[[Path], str | None]
"""Called with a complete file; returns what is wrong with it, or None."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """attempts: per mirror. timeout_s: longest wait for a byte. pause_s: before the second attempt, then doubled."""

    attempts: int = 4
    timeout_s: float = 30.0
    pause_s: float = 1.0


class _AttemptError(Exception):
    """A failed attempt. is_final: another attempt at this mirror would fail too."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


def download(
    urls: Sequence[str],
    part: Path,
    *,
    check: Check,
    max_bytes: int,
    progress: DownloadProgress = lambda *_: None,
    retries: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
) -> str:
    """Downloads a file into `part` and checks it; returns the URL that completed it.

    Raises:
        ModelError: no mirror delivered the right file; the text says why for each.
        RunError: the part file can't be written.
    """
    reasons = []
    for url in urls:
        pause_s = retries.pause_s
        for attempt in range(retries.attempts):
            if attempt:
                time.sleep(pause_s)
                pause_s *= 2
            try:
                is_fresh = _fetch(url, part, max_bytes, retries.timeout_s, progress)
                wrong = check(part)
                if wrong is None:
                    return url
                part.unlink()
                # The older bytes of a resumed part may be wrong, so the same mirror gets one more attempt from the start.
                raise _AttemptError(wrong, is_final=is_fresh)
            except _AttemptError as failure:
                reason = f"{url}: {failure}"
                if failure.is_final:
                    break
        reasons.append(reason)
    kept = f"; {part.stat().st_size:,} bytes are kept, and the same command resumes there" if part.exists() else ""
    raise ModelError(
        "can't be downloaded:\n  "
        + "\n  ".join(reasons)
        + f"\ncheck the connection and try again{kept}; or download the file "
        "in another way and run: trapmeter models import FILE"
    )


def _fetch(url: str, part: Path, max_bytes: int, timeout_s: float, progress: DownloadProgress) -> bool:
    """Makes one attempt; returns whether it delivered the entire file, without bytes of an earlier attempt."""
    from urllib.error import HTTPError
    from urllib.request import Request

    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"trapmeter/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with _opener().open(Request(url, headers=headers), timeout=timeout_s) as response:  # noqa: S310 - own opener
            start, total = _byte_range(getattr(response, "status", None), response.headers, have)
            if total is not None and total > max_bytes:
                raise _AttemptError(f"offers {total:,} bytes, expected at most {max_bytes:,}", is_final=True)
            _receive(response, part, start, total, max_bytes, progress)
    except HTTPError as error:
        if error.code == 416 and have:
            # The server has no more bytes than the part: it is complete or wrong, which the check decides.
            return False
        is_final = 300 <= error.code < 500 and error.code not in (408, 425, 429)
        raise _AttemptError(f"the server responds {error.code} {error.reason}", is_final=is_final) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise _AttemptError(f"{reason}" or type(error).__name__) from error
    return start == 0


def _byte_range(status: int | None, headers: object, have: int) -> tuple[int, int | None]:
    """The byte that the response starts at, and the file's size if it is known."""
    header = getattr(headers, "get", lambda _: None)
    if status == 206:
        found = _RANGE.fullmatch(header("Content-Range") or "")
        if found is None or int(found[1]) != have:
            raise _AttemptError(f"requested the bytes from {have:,} on, got {header('Content-Range')!r}")
        return have, None if found[2] == "*" else int(found[2])
    # Any other successful response is the entire file, from a server without ranges.
    length = header("Content-Length")
    return 0, int(length) if length and length.isdecimal() else None


def _receive(
    response: IO[bytes], part: Path, start: int, total: int | None, max_bytes: int, progress: DownloadProgress
) -> None:
    try:
        file = part.open("r+b" if start else "wb")
    except OSError as error:
        raise RunError(f"{part} can't be written: {error.strerror}") from error
    with file:
        done = file.seek(start)
        progress(done, total)
        while block := response.read(BLOCK_BYTES):
            done += len(block)
            if done > max_bytes:
                raise _AttemptError(f"sends more than the expected {max_bytes:,} bytes", is_final=True)
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise RunError(f"{part} can't be written: {error.strerror}; check the free space") from error
            progress(done, total)
    if total is not None and done < total:
        raise _AttemptError(f"the connection ended after {done:,} of {total:,} bytes")


def _opener() -> OpenerDirector:
    """Opens only http, https and file URLs, and follows no redirect from https to http."""
    from http.client import HTTPMessage
    from urllib import request

    class Redirects(request.HTTPRedirectHandler):
        def redirect_request(
            self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
        ) -> request.Request | None:
            schemes = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
            if schemes[1] not in ("http", "https") or schemes == ("https", "http"):
                raise _AttemptError(f"redirects from {schemes[0]} to {newurl}", is_final=True)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.UnknownHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.FileHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        Redirects(),
    ):
        opener.add_handler(handler)
    return opener
