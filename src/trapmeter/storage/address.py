"""Where files are: a path on this machine, or an address such as s3://bucket/survey.

An address answers to the few names of `pathlib.Path` that finding and looking at media needs, so that the rest need not know
which of both it has. It holds texts alone and can be sent to other processes. Only `stat` and `exists` open a
connection: they ask `remote.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, unquote, urlsplit

from trapmeter.errors import InputError

BUCKET_SCHEMES = frozenset({"s3", "gs"})
"""Kinds of address that name a bucket; all others name a web server."""

SCHEMES = (*sorted(BUCKET_SCHEMES), "https")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class RemoteStat:
    """A remote file's size in bytes, and when it was last changed (nanoseconds since 1970).

    The names are those of os.stat_result. Servers tell whole seconds: the nanoseconds within are made of the ETag, so that a
    file that was replaced twice within a second is another one too.
    """

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file or folder in object storage or on a web server.

    origin: what comes before the names, such as s3://bucket or https://host:8080; inner: the names below it, with slashes
    between, not quoted. known: its state as a listing told it, so that nobody has to ask again.
    """

    origin: str
    inner: str
    known_stat: RemoteStat | None = field(default=None, compare=False)

    @property
    def scheme(self) -> str:
        """S3, gs, http or https."""
        return self.origin.partition(":")[0]

    @property
    def name(self) -> str:
        """The last of the names; that of the bucket or server where there is none."""
        return self.parts[-1]

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot on."""
        return Path(self.name).suffix

    @property
    def parts(self) -> tuple[str, ...]:
        """The bucket or server, and each of the names."""
        return (self.origin.partition("://")[2], *filter(None, self.inner.split("/")))

    @property
    def parent(self) -> RemotePath:
        """The folder above; that of an origin is itself."""
        return RemotePath(self.origin, self.inner.rpartition("/")[0])

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self.origin, f"{self.inner}/{name}" if self.inner else name)

    def __str__(self) -> str:
        inner = self.inner if self.scheme in BUCKET_SCHEMES else quote(self.inner)
        return f"{self.origin}/{inner}" if inner else self.origin

    def absolute(self) -> RemotePath:
        """Itself: an address is the same from everywhere."""
        return self

    def stat(self) -> RemoteStat:
        """Its size and when it was changed: as listed, or asked for now.

        Raises:
            OSError: there is no such file, or it can't be reached; the text says what to do.
        """
        if self.known_stat is not None:
            return self.known_stat
        from trapmeter.storage.remote import stat

        return stat(self)

    def exists(self) -> bool:
        """Whether there is such a file, or any file below it."""
        from trapmeter.storage.remote import exists

        return exists(self)

    def with_stat(self, state: RemoteStat) -> RemotePath:
        """The same with its state."""
        return replace(self, known_stat=state)


AnyPath: TypeAlias = Path | RemotePath


def parse_path(text: str) -> AnyPath:
    """The path or address that a user wrote.

    Raises:
        InputError: an address of a kind that is not known, or that holds a password or key.

    Example:
        >>> str(location("s3://bucket/survey/"))
        's3://bucket/survey'
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is None:
        return Path(text)
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    host, _, inner = rest.partition("/")
    if "@" in host:
        raise InputError(
            f"an address of {scheme}:// holds a user name or password, which could end up in logs; take it out (credentials "
            "come from the environment or the provider's own files, see docs/scale.md)"
        )
    if scheme in BUCKET_SCHEMES:
        if not host:
            raise InputError(f"{text} names no bucket; expected {scheme}://BUCKET/FOLDER")
        return RemotePath(f"{scheme}://{host}", inner.strip("/"))
    if scheme not in ("http", "https"):
        raise InputError(f"{scheme}:// is no kind of address that is known; expected {', '.join(SCHEMES)}, or a path")
    split = urlsplit(text)
    if split.query or split.fragment:
        raise InputError(
            f"an address at {host} has a part after ? or #, which may be a key and could end up in logs; give the address "
            "without it"
        )
    if scheme == "http" and split.hostname not in LOOPBACK:
        raise InputError(f"{text}: http:// is not encrypted and serves this machine alone; give https://")
    return RemotePath(f"{scheme}://{host}", unquote(inner).strip("/"))
