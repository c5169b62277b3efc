"""The files of a package, in a folder or a zip archive.

Only files inside the package are read: no addresses, and no paths that lead out of it.
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
from trapmeter.tables.file_names import leaves_root

DESCRIPTOR = "datapackage.json"
TABLES = ("deployments", "media", "observations")
MAX_BYTES = 2_000_000_000
"""The largest table in an archive that is read, since a small archive may unpack to any size."""
MAX_COMPRESSION, SMALL_BYTES = 200, 100_000_000
"""An archive that unpacks to more than SMALL_BYTES and to over 200 times its size is refused: tables shrink to a tenth."""


class PackageFiles(Protocol):
    """Access to the files of a package by their names in it."""

    def path_of(self, name: str) -> Path:
        """The path of the file, for messages."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is such a file inside the package."""
        ...

    def read(self, name: str) -> bytes:
        """The content of the file.

        Raises:
            InputError: it is missing, lies outside the package, or is larger than any table.
        """
        ...


def is_package(path: Path) -> bool:
    """Whether this looks like a package: a folder, a zip archive or a datapackage.json."""
    return path.is_dir() or is_archive(path) or path.name == DESCRIPTOR


def is_archive(path: Path) -> bool:
    """Whether the name is that of a zip archive."""
    return path.suffix.lower() == ".zip"


class PackageFolder:
    """A package that is a folder. Satisfies `PackageFiles`."""

    def __init__(self, path: Path) -> None:
        self.root = path if path.is_dir() else path.parent
        self._descriptor = DESCRIPTOR if path.is_dir() else path.name

    def path_of(self, name: str) -> Path:
        """See PackageFiles."""
        return self.root / (self._descriptor if name == DESCRIPTOR else name)

    def has(self, name: str) -> bool:
        """See PackageFiles."""
        return not leaves_root(name) and (self.root / name).is_file()

    def read(self, name: str) -> bytes:
        """See PackageFiles."""
        path = self.path_of(name)
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise InputError(f"{path} lies outside the package; put the file into {self.root}")
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
        # Some programs pack the folder, others its content.
        found = [info.filename for info in file.infolist() if PurePosixPath(info.filename).name == DESCRIPTOR]
        if not found:
            raise InputError(f"{path} has no {DESCRIPTOR}, so it is not a Camtrap DP")
        self._root = PurePosixPath(min(found, key=len)).parent

    def path_of(self, name: str) -> Path:
        """See PackageFiles."""
        return self._path / name

    def entry(self, name: str) -> zipfile.ZipInfo | None:
        """The archive's entry for a file; None when it has no file of that name."""
        try:
            return self.file.getinfo(str(self._root / name))
        except KeyError:
            return None

    def has(self, name: str) -> bool:
        """See PackageFiles."""
        return not leaves_root(name) and self.entry(name) is not None

    def read(self, name: str) -> bytes:
        """See PackageFiles."""
        info = self.entry(name)
        if info is None:
            raise InputError(f"{self._path} has no file {name}, which its {DESCRIPTOR} names; add it to the archive")
        if info.file_size > MAX_BYTES:
            raise InputError(
                f"{self._path}: {name} unpacks to {info.file_size:,} bytes, expected at most {MAX_BYTES:,}"
            )
        return self.file.read(info)


@contextmanager
def open_package(path: str | Path) -> Iterator[PackageFolder | PackageArchive]:
    """Opens a package: its folder, its zip archive, or its datapackage.json.

    Raises:
        InputError: there is no package.
    """
    path = Path(path)
    if not is_archive(path):
        if path.is_dir() and not (path / DESCRIPTOR).is_file():
            raise InputError(f"{path} has no {DESCRIPTOR}, so it is not a Camtrap DP; give the folder that has it")
        yield PackageFolder(path)
        return
    try:
        with zipfile.ZipFile(path) as file:
            total, packed = sum(info.file_size for info in file.infolist()), path.stat().st_size
            if total > max(SMALL_BYTES, MAX_COMPRESSION * packed):
                raise InputError(
                    f"{path} unpacks from {packed:,} to {total:,} bytes, far more than a package; check what is in it"
                )
            yield PackageArchive(file, path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name and the folder") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise InputError(f"{path} can't be read as a zip archive: {error}; unpack it and give the folder") from error


def read_resources(files: PackageFiles) -> dict[str, dict[str, Any]]:
    """The descriptor's resources for the three tables by name, each with the path of one CSV file in the package.

    Raises:
        InputError: the descriptor is missing or not that of a Camtrap DP.
    """
    path = files.path_of(DESCRIPTOR)
    text = decode_text(path, files.read(DESCRIPTOR))
    try:
        resources = json.loads(text)["resources"]
        found = {resource["name"]: resource for resource in resources if resource.get("name") in TABLES}
        for resource in found.values():
            _check_path(path, resource)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: expected JSON with 'resources', each with a name and a path, as in Camtrap DP ({error!r})"
        ) from error
    missing = [name for name in TABLES if name not in found]
    if missing:
        raise InputError(f"{path}: expected the resources {', '.join(TABLES)}, but {', '.join(missing)} is missing")
    return found


def read_profile(files: PackageFiles) -> str:
    """What the descriptor gives as its profile: usually an address with the version of the standard; "" without."""
    try:
        descriptor = json.loads(decode_text(files.path_of(DESCRIPTOR), files.read(DESCRIPTOR)))
    except (ValueError, RecursionError):
        return ""
    profile = descriptor.get("profile") if isinstance(descriptor, dict) else None
    return profile if isinstance(profile, str) else ""


def table_path(resource: Mapping[str, Any]) -> str:
    """The path of a table in the package."""
    paths = resource["path"]
    return str(paths[0] if isinstance(paths, list) else paths)


def table_files(path: Path) -> list[Path]:
    """The paths of a package's descriptor and three tables; those in an archive are only names for messages.

    Raises:
        InputError: the package is incomplete or not a Camtrap DP.
    """
    with open_package(path) as files:
        resources = read_resources(files)
        return [
            files.path_of(DESCRIPTOR),
            *(files.path_of(table_path(resource)) for resource in resources.values()),
        ]


def read_observations(files: PackageFiles) -> tuple[str, bytes]:
    """The name and content of a package's table of observations.

    Raises:
        InputError: the package is incomplete or not a Camtrap DP.
    """
    name = table_path(read_resources(files)["observations"])
    return name, files.read(name)


def checksum_of_observations(path: str | Path) -> str:
    """The SHA-256 of a package's table of observations.

    Raises:
        InputError: the package is incomplete or not a Camtrap DP.
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
