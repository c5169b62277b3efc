"""The files of a package: a folder or a zip archive with datapackage.json.

Only files inside of it are read: no addresses, no paths that lead out.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from trapmeter.errors import InputError
from trapmeter.files import sha256_of_bytes
from trapmeter.tables.csvfile import decode_text

DESCRIPTOR = "datapackage.json"
TABLES = ("deployments", "media", "observations")
MAX_BYTES = 2_000_000_000
"""Of a table in an archive: a small archive may unpack to anything."""
MAX_COMPRESSION, SMALL_BYTES = 200, 100_000_000
"""Tables pack to a tenth, media hardly: what unpacks to more than this, and to 200 times its archive, is no package."""


class PackageFiles(Protocol):
    """Where the files of a package are."""

    def where(self, name: str) -> Path:
        """The file's path for messages."""
        ...

    def read(self, name: str) -> bytes:
        """The file's content.

        Raises:
            InputError: it isn't there, leads out of the package, or is larger than a table can be.
        """
        ...


def is_package(path: Path) -> bool:
    """Whether this looks like a package: a folder, an archive, or a descriptor."""
    return path.is_dir() or is_archive(path) or path.name == DESCRIPTOR


def is_archive(path: Path) -> bool:
    """Whether this is meant to be a zip archive, by its name."""
    return path.suffix.lower() == ".zip"


def leaves_root(name: str) -> bool:
    """Whether a relative path with slashes or backslashes may end outside of where it starts."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0]


class PackageFolder:
    """A package that is a folder. Satisfies `PackageFiles`."""

    def __init__(self, path: Path) -> None:
        self.root = path if path.is_dir() else path.parent
        self._descriptor = DESCRIPTOR if path.is_dir() else path.name

    def where(self, name: str) -> Path:
        """As Container has it."""
        return self.root / (self._descriptor if name == DESCRIPTOR else name)

    def read(self, name: str) -> bytes:
        """As Container has it."""
        path = self.where(name)
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise InputError(f"{path} leads out of the package; put the file into {self.root}")
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise InputError(f"{path} does not exist; check the name and the folder") from None
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror or error}") from error


class PackageArchive:
    """A package that is an open zip archive. Satisfies `PackageFiles`."""

    def __init__(self, file: zipfile.ZipFile, path: Path) -> None:
        self.file = file
        self._path = path
        # Some programs pack the folder, others what is in it.
        found = [one.filename for one in file.infolist() if PurePosixPath(one.filename).name == DESCRIPTOR]
        if not found:
            raise InputError(f"{path} has no {DESCRIPTOR}, so that it is no Camtrap DP")
        self._root = PurePosixPath(min(found, key=len)).parent

    def where(self, name: str) -> Path:
        """As Container has it."""
        return self._path / name

    def entry(self, name: str) -> zipfile.ZipInfo | None:
        """What the archive says of a file; None where it has none of that name."""
        try:
            return self.file.getinfo(str(self._root / name))
        except KeyError:
            return None

    def read(self, name: str) -> bytes:
        """As Container has it."""
        info = self.entry(name)
        if info is None:
            raise InputError(f"{self._path} has no file {name}, which its {DESCRIPTOR} names; pack it too")
        if info.file_size > MAX_BYTES:
            raise InputError(
                f"{self._path}: {name} unpacks to {info.file_size:,} bytes, expected at most {MAX_BYTES:,}"
            )
        return self.file.read(info)


@contextmanager
def open_package(path: Path) -> Iterator[PackageFolder | PackageArchive]:
    """Opens a package: its folder, its zip archive, or its datapackage.json.

    Raises:
        InputError: there is none.
    """
    if not is_archive(path):
        if path.is_dir() and not (path / DESCRIPTOR).is_file():
            raise InputError(f"{path} has no {DESCRIPTOR}, so that it is no Camtrap DP; give the folder that has it")
        yield PackageFolder(path)
        return
    try:
        with zipfile.ZipFile(path) as file:
            total, packed = sum(info.file_size for info in file.infolist()), path.stat().st_size
            if total > max(SMALL_BYTES, MAX_COMPRESSION * packed):
                raise InputError(
                    f"{path} unpacks from {packed:,} to {total:,} bytes, which no package does; look into it"
                )
            yield PackageArchive(file, path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name and the folder") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise InputError(f"{path} can't be read as a zip archive: {error}; unpack it and give the folder") from error


def parse_resources(path: Path, text: str) -> dict[str, dict[str, Any]]:
    """The descriptor's resources of the three tables, each with the path of one CSV file in the package.

    Raises:
        InputError: it is no descriptor of a Camtrap DP.
    """
    try:
        resources = json.loads(text)["resources"]
        found = {one["name"]: one for one in resources if one.get("name") in TABLES}
        for one in found.values():
            _check_path(path, one)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: expected JSON with 'resources', each with a name and a path, as Camtrap DP has it ({error!r})"
        ) from error
    missing = [name for name in TABLES if name not in found]
    if missing:
        raise InputError(f"{path}: expected the resources {', '.join(TABLES)}, but {', '.join(missing)} is missing")
    return found


def table_path(resource: Mapping[str, Any]) -> str:
    """The path of a table in the package."""
    paths = resource["path"]
    return str(paths[0] if isinstance(paths, list) else paths)


def table_files(path: Path) -> list[Path]:
    """Where the descriptor and the three tables of a package lie; in an archive nobody finds them there.

    Raises:
        InputError: the package is not what it should be.
    """
    with open_package(path) as files:
        where = files.where(DESCRIPTOR)
        resources = parse_resources(where, decode_text(where, files.read(DESCRIPTOR)))
        return [where, *(files.where(table_path(one)) for one in resources.values())]


def read_observations(files: PackageFiles) -> tuple[str, bytes]:
    """Name and content of a package's table of observations.

    Raises:
        InputError: the package is not what it should be.
    """
    where = files.where(DESCRIPTOR)
    name = table_path(parse_resources(where, decode_text(where, files.read(DESCRIPTOR)))["observations"])
    return name, files.read(name)


def checksum_of_observations(path: Path) -> str:
    """The SHA-256 of a package's table of observations.

    Raises:
        InputError: the package is not what it should be.
    """
    with open_package(path) as files:
        return sha256_of_bytes(read_observations(files)[1])


def _check_path(descriptor: Path, resource: Mapping[str, Any]) -> None:
    paths = resource["path"] if isinstance(resource["path"], list) else [resource["path"]]
    name = table_path(resource)
    if len(paths) > 1 or "://" in name or not name.endswith(".csv"):
        raise InputError(
            f"{descriptor}, resource {resource['name']!r}: expected the path of one CSV file in the package, got "
            f"{', '.join(map(str, paths))}; save the table beside the descriptor"
        )
    if leaves_root(name):
        raise InputError(f"{descriptor}, resource {resource['name']!r}: {name!r} leads out of the package; correct it")
