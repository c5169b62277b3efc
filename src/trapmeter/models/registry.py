"""The registry of published models: addresses, licence, checksum and input. Reading it opens no connection."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trapmeter.errors import InputError, error_text
from trapmeter.models.input_spec import InputSpec

REGISTRY = Path(__file__).parent / "registry.toml"
SCHEMES = ("https", "http", "file")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]|\.(?!\.)){0,63}")
_HEX = re.compile(r"[0-9a-f]+")


class PublishedFormat(StrEnum):
    """The kind of file that is published."""

    TORCHSCRIPT = "torchscript"
    """A torch program with its weights; converted once."""
    BUNDLE = "bundle"
    """A zip file of a bundle's two files."""


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """An entry of the registry; registry.toml explains its fields."""

    name: str
    urls: tuple[str, ...]
    format: PublishedFormat
    licence: str
    trained_on: str
    title: str = ""
    spec: InputSpec | None = None
    sha256: str | None = None
    digest_starts: str | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.urls:
            raise InputError(f"{self.name}: expected at least one URL")
        for url in self.urls:
            if urlsplit(url).scheme not in SCHEMES:
                raise InputError(f"{self.name}: expected a URL that starts with {', '.join(SCHEMES)}, got {url!r}")
        if self.format is PublishedFormat.TORCHSCRIPT and self.spec is None:
            raise InputError(
                f"{self.name}: the entry of a TorchScript file needs `input`, as the file doesn't describe it"
            )
        if self.sha256 is not None:
            check_sha256(self.sha256)
        if self.digest_starts is not None and not _HEX.fullmatch(self.digest_starts):
            raise InputError(f"{self.name}: expected hexadecimal digits in digest_starts, got {self.digest_starts!r}")
        if self.size_bytes is not None and self.size_bytes < 1:
            raise InputError(f"{self.name}: expected size_bytes above 0, got {self.size_bytes}")


def check_name(name: str) -> str:
    """Returns a model's name if it is allowed. It is also a folder's name, so it must not contain a path.

    Raises:
        InputError: it isn't allowed.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"a model's name has up to 64 lower-case letters, digits, dots, dashes and underscores, such as zamba-depth; "
            f"got {name!r}"
        )
    return name


def check_sha256(text: str) -> str:
    """Returns a SHA-256 checksum in lower case.

    Raises:
        InputError: it isn't a SHA-256 checksum.
    """
    lower = text.lower()
    if len(lower) != 64 or not _HEX.fullmatch(lower):
        raise InputError(f"a SHA-256 checksum has 64 hexadecimal digits, got {text!r}")
    return lower


def read_registry(path: Path = REGISTRY) -> dict[str, PublishedModel]:
    """The entries of the registry by name.

    Raises:
        InputError: the file is missing or an entry is invalid; the text names it.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: the registry of models can't be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: not a TOML file ({error})") from error
    return {name: _parse_entry(path, name, fields) for name, fields in content.items()}


def published_model(name: str, path: Path = REGISTRY) -> PublishedModel:
    """The entry of this name.

    Raises:
        InputError: there is none.
    """
    entries = read_registry(path)
    if name not in entries:
        raise InputError(f"{name!r} is not in the registry; it has {', '.join(sorted(entries)) or 'nothing'}")
    return entries[name]


def _parse_entry(path: Path, name: str, fields: Any) -> PublishedModel:
    try:
        if not isinstance(fields, Mapping):
            raise TypeError("expected a table")
        others = {**fields}
        spec = others.pop("input", None)
        urls = others.pop("urls")
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise TypeError("urls must be a list of texts")
        form = PublishedFormat(others.pop("format"))
        return PublishedModel(
            name, tuple(urls), form, spec=None if spec is None else InputSpec.from_json(dict(spec)), **others
        )
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise InputError(f"{path}: the entry {name!r} is invalid: {error_text(error)}") from error
