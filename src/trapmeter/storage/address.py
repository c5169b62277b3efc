"""Paths on this machine and addresses such as s3://bucket/survey, behind one small interface.

An address has those names of `pathlib.Path` that finding and reading media needs, so most code works with either. It consists
of texts and can be sent to other processes. Nothing here opens a connection: `trapmeter.storage.remote` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from trapmeter.errors import InputError

BUCKET_SCHEMES = frozenset({"s3", "gs"})
"""Schemes of addresses that name a bucket; the others name a web server."""

SCHEMES = (*sorted(BUCKET_SCHEMES), "https")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class FileState(NamedTuple):
    """A file's size in bytes and when it was last changed (nanoseconds since 1970); together they detect a changed file.

    Servers give whole seconds; their nanoseconds are derived from the ETag, which tells apart two versions of one second.
    """

    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file or folder in object storage or on a web server.

    origin: the bucket or server, such as s3://bucket or https://host:8080; inner: the names below it, separated by slashes,
    not quoted. known_state: the file's state from a listing, which saves another request.
    """

    origin: str
    inner: str
    known_state: FileState | None = field(default=None, compare=False)

    @property
    def scheme(self) -> str:
        """One of s3, gs, http and https."""
        return self.origin.partition(":")[0]

    @property
    def name(self) -> str:
        """The last name; that of the bucket or server if there is no other."""
        return self.parts[-1]

    @property
    def suffix(self) -> str:
        """The end of the name, from its last dot."""
        return Path(self.name).suffix

    @property
    def parts(self) -> tuple[str, ...]:
        """The bucket or server, followed by each name."""
        return (self.origin.partition("://")[2], *filter(None, self.inner.split("/")))

    @property
    def parent(self) -> RemotePath:
        """The folder above; an origin is its own parent."""
        return RemotePath(self.origin, self.inner.rpartition("/")[0])

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self.origin, f"{self.inner}/{name}" if self.inner else name)

    def __str__(self) -> str:
        inner = self.inner if self.scheme in BUCKET_SCHEMES else quote(self.inner)
        return f"{self.origin}/{inner}" if inner else self.origin

    def absolute(self) -> RemotePath:
        """Itself: an address does not depend on the current folder."""
        return self

    def with_state(self, state: FileState) -> RemotePath:
        """The same address with the file's state."""
        return replace(self, known_state=state)


AnyPath: TypeAlias = Path | RemotePath


def parse_path(text: str | AnyPath) -> AnyPath:
    """The path or address that a text stands for; paths and addresses are returned as they are.

    Raises:
        InputError: an address with an unknown scheme, or with a password or key in it.

    Example:
        >>> str(parse_path("s3://bucket/survey/"))
        's3://bucket/survey'
    """
    if not isinstance(text, str):
        return text
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is None:
        return Path(text)
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    host, _, inner = rest.partition("/")
    if "@" in host:
        raise InputError(
            f"the {scheme}:// address contains a user name or password, which could end up in logs; remove it (credentials "
            "come from the environment or the provider's own files, see docs/how-to/training-and-machines/object-storage.md)"
        )
    if scheme in BUCKET_SCHEMES:
        if not host:
            raise InputError(f"{text} names no bucket; expected {scheme}://BUCKET/FOLDER")
        return RemotePath(f"{scheme}://{host}", inner.strip("/"))
    if scheme not in ("http", "https"):
        raise InputError(f"{scheme}:// is not a known kind of address; expected {', '.join(SCHEMES)}, or a path")
    split = urlsplit(text)
    if split.query or split.fragment:
        raise InputError(
            f"the address at {host} has a part after ? or #, which may be a key and could end up in logs; give the address "
            "without it"
        )
    if scheme == "http" and split.hostname not in LOOPBACK:
        raise InputError(f"{text}: http:// is not encrypted and is only accepted for this machine; give https://")
    return RemotePath(f"{scheme}://{host}", unquote(inner).strip("/"))
