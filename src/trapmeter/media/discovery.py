"""Finds videos and photos in the given files and folders, local or remote."""

from __future__ import annotations

import os
import posixpath
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.records import Medium, MediumKind
from trapmeter.storage.address import AnyPath, RemotePath
from trapmeter.storage.remote import files_below

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".asf", ".mov", ".mkv", ".wmv", ".webm", ".m4v", ".3gp", ".gif"},
)
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class FoundMedia:
    """What stands under the given paths.

    root: the folder that all media_id start from; media: in the order of their media_id; n_other: files that are neither
    video nor photo; unreadable: folders that could not be listed, each with the reason.
    """

    root: AnyPath
    media: tuple[Medium, ...]
    n_other: int
    unreadable: tuple[tuple[Path, str], ...]


def find_media(paths: Sequence[AnyPath]) -> FoundMedia:
    """Videos and photos among the given files and, recursively, folders; here or at addresses, which go by themselves.

    One folder is its own root; else the root is the folder that all paths have in common. A medium's id is its path below
    the root with forward slashes, so the same card gives the same ids wherever it is mounted. Links to folders are followed,
    but no folder is entered twice. Sockets, pipes and devices are left out, and so are hidden files and folders.

    Raises:
        InputError: a path does not exist, a file is of no known kind, nothing was found, or a folder can't be listed and
            nothing else was found.
    """
    if not paths:
        raise InputError("no path given; name at least one video, photo or folder")
    addresses = [path for path in paths if isinstance(path, RemotePath)]
    if not addresses:
        return _find_local([path for path in paths if isinstance(path, Path)])
    if len(addresses) < len(paths):
        raise InputError(
            f"{addresses[0]} and paths of this machine can't be measured in one run; give them in separate runs"
        )
    return _find_remote(addresses)


def _find_local(paths: Sequence[Path]) -> FoundMedia:
    for path in paths:
        try:
            path.stat()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        if path.is_file() and medium_kind(path) is None:
            raise InputError(f"{path}: neither a video nor a photo; expected one of {_known_suffixes()}")
    root = _common_root(paths)
    unreadable: list[tuple[Path, str]] = []
    entered: set[tuple[int, int]] = set()
    files = {path: None for given in paths for path in _walk(_absolute(given), entered, unreadable)}
    media = [
        Medium(path.relative_to(root).as_posix(), path, kind)
        for path in files
        if (kind := medium_kind(path)) is not None
    ]
    folders = "".join(f"; {folder}: {reason}" for folder, reason in unreadable)
    _check_any(paths, media, len(files), folders)
    media.sort(key=lambda medium: medium.media_id)
    return FoundMedia(root, tuple(media), len(files) - len(media), tuple(unreadable))


def _find_remote(addresses: Sequence[RemotePath]) -> FoundMedia:
    """The media at addresses, which must be of one bucket or server, with the states that its lists tell."""
    if len({address.origin for address in addresses}) > 1:
        raise InputError(f"{addresses[0]} and {addresses[1]} are in different places; give them in separate runs")
    files: dict[str, RemotePath] = {}
    folders: list[str] = []
    for address in addresses:
        try:
            below = files_below(address)
        except OSError as error:
            raise InputError(str(error)) from error
        is_file = [file.inner for file in below] == [address.inner]
        if is_file and medium_kind(address) is None:
            raise InputError(f"{address}: neither a video nor a photo; expected one of {_known_suffixes()}")
        top = address.parent.inner if is_file else address.inner
        folders.append(f"/{top}")
        files |= {
            file.inner: file
            for file in below
            if not any(name.startswith(".") for name in file.inner.removeprefix(top).split("/"))
        }
    root = RemotePath(addresses[0].origin, posixpath.commonpath(folders).strip("/"))
    if any(inner.removeprefix(f"{root.inner}/") == PACKAGE_FILE for inner in files):
        raise InputError(
            f"{root} is a Camtrap DP, whose tables are read from this machine alone; download them with their media, or give "
            "the folders of its media one by one to measure without the tables"
        )
    media = [
        Medium(inner.removeprefix(root.inner).lstrip("/"), file, kind)
        for inner, file in files.items()
        if (kind := medium_kind(file)) is not None
    ]
    _check_any(addresses, media, len(files))
    media.sort(key=lambda medium: medium.media_id)
    return FoundMedia(root, tuple(media), len(files) - len(media), ())


PACKAGE_FILE = "datapackage.json"


def _check_any(paths: Sequence[AnyPath], media: Sequence[Medium], n_files: int, folders: str = "") -> None:
    if not media:
        raise InputError(
            f"{', '.join(map(str, paths))}: no video or photo found "
            f"({n_files} other files; expected one of {_known_suffixes()}){folders}"
        )


def _walk(given: Path, entered: set[tuple[int, int]], unreadable: list[tuple[Path, str]]) -> Iterator[Path]:
    """All regular files at or below a path, each folder once even where links go round in circles.

    In the order of names, real folders before links to them, so that a file has one name whatever disk it is on.
    """
    if given.is_file():
        yield given
        return
    folders, links = [given], deque[Path]()
    while folders or links:
        # Links are followed last of all: what they lead to may have a name of its own.
        folder = folders.pop() if folders else links.popleft()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError as error:
            unreadable.append((folder, error.strerror or str(error)))
            continue
        inner: list[Path] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir():
                    (links if entry.is_symlink() else inner).append(Path(entry.path))
                elif entry.is_file():
                    yield Path(entry.path)
            except OSError as error:
                unreadable.append((Path(entry.path), error.strerror or str(error)))
        folders += reversed(inner)


def medium_kind(path: AnyPath) -> MediumKind | None:
    """Video or photo by the end of the name; None for other files."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return MediumKind.VIDEO
    return MediumKind.PHOTO if suffix in PHOTO_SUFFIXES else None


def _common_root(paths: Sequence[Path]) -> Path:
    folders = [_absolute(path if path.is_dir() else path.parent) for path in paths]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:  # two drives on Windows
        raise InputError(
            f"{', '.join(map(str, paths))}: lie on different drives; give them in separate runs"
        ) from error


def _absolute(path: Path) -> Path:
    # A link's own name is what the user's tables call it; but .. after a link means the parent of where it leads.
    return path.resolve() if ".." in path.parts else Path.cwd() / path


def _known_suffixes() -> str:
    return " ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES | PHOTO_SUFFIXES))
