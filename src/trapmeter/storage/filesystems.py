"""The file systems of fsspec, one for each kind of address: no other module knows it.

Credentials come from the environment or the provider's own files alone: none are passed in here.
"""

from __future__ import annotations

import logging
import threading
from functools import lru_cache
from typing import Any

from trapmeter.errors import MissingExtraError
from trapmeter.storage.failures import RemoteError

CONNECT_S, READ_S = 10, 30
"""After so many seconds without an answer a connection counts as broken."""

PACKAGES = {
    "s3": ("s3fs", "cloud"),
    "gs": ("gcsfs", "gcs"),
    "https": ("aiohttp", "cloud"),
    "http": ("aiohttp", "cloud"),
}
"""By the kind of address the package that reads it, and the extra that brings it."""

PATIENT = frozenset({"gs"})
"""Kinds of address whose package tries again by itself, and can't be told otherwise."""

_lock = threading.Lock()


def filesystem(scheme: str) -> Any:
    """The file system for a kind of address, made once in each process.

    Raises:
        MissingExtraError: its package is not installed.
    """
    with _lock:
        return _made(scheme)


@lru_cache
def _made(scheme: str) -> Any:
    package, extra = PACKAGES[scheme]
    try:
        import fsspec

        __import__(package)
    except ImportError:
        raise MissingExtraError(package, extra) from None
    # Their warnings quote addresses and requests, and what failed is told by us.
    for name in ("s3fs", "gcsfs", "fsspec", "aiobotocore", "botocore"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return {"s3": _s3, "gs": _gs, "http": _web, "https": _web}[scheme](fsspec)


def _s3(fsspec: Any) -> Any:
    from botocore.session import Session

    # One loop of tries, ours: theirs would be tried within it, 25 times as often.
    config = {"retries": {"total_max_attempts": 1}, "connect_timeout": CONNECT_S, "read_timeout": READ_S}
    # Whoever has no credentials sees public buckets.
    is_nobody = Session().get_credentials() is None
    made = fsspec.filesystem(
        "s3", anon=is_nobody, use_listings_cache=False, skip_instance_cache=True, config_kwargs=config
    )
    made.retries = 1
    return made


def _gs(fsspec: Any) -> Any:
    return fsspec.filesystem("gs", use_listings_cache=False, skip_instance_cache=True)


def _web(fsspec: Any) -> Any:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)
    # trust_env: proxies and ~/.netrc.
    return fsspec.filesystem(
        "https",
        simple_links=False,
        use_listings_cache=False,
        skip_instance_cache=True,
        get_client=_client,
        client_kwargs={"timeout": timeout, "trust_env": True},
    )


async def _client(**kwargs: Any) -> Any:
    """A session that follows no way from https to http, and none from this machine to others."""
    import aiohttp

    async def look_at(_: Any, __: Any, params: Any) -> None:
        new = params.response.headers.get("Location", "")
        if params.url.scheme == "https" and new.lower().startswith("http:"):
            raise RemoteError(f"{params.url.origin()} leads to an address that is not encrypted; it is not followed")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(look_at)
    return aiohttp.ClientSession(trace_configs=[trace], **kwargs)
