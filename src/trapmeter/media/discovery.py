"""Finds videos and photos in files and folders, on this machine or remote."""

from __future__ import annotations

import os
import posixpath
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from trapmeter.errors import InputError
from trapmeter.records import Medium, MediumKind
from trapmeter.storage.address import AnyPath, RemotePath, parse_path
from trapmeter.storage.remote import files_below

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".asf", ".mov", ".mkv", ".wmv", ".webm", ".m4v", ".3gp", ".gif"}
    | {".mpg", ".mpeg", ".mts", ".m2ts", ".flv", ".h264"},
)
HEIF_SUFFIXES = frozenset({".heic", ".heif"})
"""Photos that need the extra "heif"."""
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}) | HEIF_SUFFIXES
PACKAGE_FILE = "datapackage.json"
"""The file by which a Camtrap DP is recognised."""


@dataclass(frozen=True, slots=True)
class FoundMedia:
    """The media among some files and folders.

    root: the folder that every media_id is relative to; media: sorted by media_id; n_other: the number of files that are
    neither video nor photo, by suffix in small letters, most frequent first ("" for files without one); unreadable: folders
    that could not be listed, each with the reason.
    """

    root: AnyPath
    media: tuple[Medium, ...]
    n_other: Mapping[str, int]
    unreadable: tuple[tuple[Path, str], ...]


def find_media(paths: str | AnyPath | Iterable[str | AnyPath]) -> FoundMedia:
    """Videos and photos among files and, recursively, folders: one path or several, all local or all remote.

    The root is the folder that was given, or the innermost folder that contains all paths. A medium's id is its path below
    the root with forward slashes, so a card gives the same ids wherever it is mounted. Links to folders are followed, but no
    folder is entered twice. Sockets, pipes, devices, and hidden files and folders are left out.

    Raises:
        InputError: a path does not exist, a file is neither a video nor a photo, or no media were found.
    """
    listed = (paths,) if isinstance(paths, str | Path | RemotePath) else paths
    parsed = [parse_path(path) if isinstance(path, str) else path for path in listed]
    if not parsed:
        raise InputError("no path given; name at least one video, photo or folder")
    addresses = [path for path in parsed if isinstance(path, RemotePath)]
    if not addresses:
        return _find_local([path for path in parsed if isinstance(path, Path)])
    if len(addresses) < len(parsed):
        raise InputError(f"{addresses[0]} is remote but other paths are local; measure them in separate runs")
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
    listing = _list_files(_absolute(path) for path in paths)
    media = [
        Medium(path.relative_to(root).as_posix(), path, kind)
        for path in listing.files
        if (kind := medium_kind(path)) is not None
    ]
    return _found(paths, root, media, listing.files, listing.unreadable)


def _find_remote(addresses: Sequence[RemotePath]) -> FoundMedia:
    """The media at addresses of one bucket or server, each with the size and time of change from its listing."""
    if len({address.origin for address in addresses}) > 1:
        raise InputError(
            f"{addresses[0]} and {addresses[1]} are in different buckets or servers; measure them in separate runs"
        )
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
            f"{root} is a Camtrap DP, whose tables can only be read on this machine; download them with their media, or "
            "name the folders of its media to measure without the tables"
        )
    media = [
        Medium(inner.removeprefix(root.inner).lstrip("/"), file, kind)
        for inner, file in files.items()
        if (kind := medium_kind(file)) is not None
    ]
    return _found(addresses, root, media, files.values(), ())


def _found(
    paths: Sequence[AnyPath],
    root: AnyPath,
    media: Sequence[Medium],
    files: Iterable[AnyPath],
    unreadable: tuple[tuple[Path, str], ...],
) -> FoundMedia:
    n_other = count_by_suffix(file for file in files if medium_kind(file) is None)
    if not media:
        folders = "".join(f"; {folder}: {reason}" for folder, reason in unreadable)
        raise InputError(
            f"{', '.join(map(str, paths))}: no video or photo found "
            f"(other files: {suffix_text(n_other) or 'none'}; expected one of {_known_suffixes()}){folders}"
        )
    ordered = tuple(sorted(media, key=lambda medium: medium.media_id))
    return FoundMedia(root, ordered, n_other, unreadable)


def count_by_suffix(files: Iterable[PurePath | RemotePath]) -> dict[str, int]:
    """The number of files with each suffix in small letters, most frequent first."""
    return dict(sorted(Counter(file.suffix.lower() for file in files).items(), key=lambda item: (-item[1], item[0])))


def suffix_text(n_files: Mapping[str, int]) -> str:
    """Counts by suffix as text for users, such as "12 .txt, 3 .wav, 1 without suffix"; "" for none."""
    return ", ".join(f"{n:,} {suffix or 'without suffix'}" for suffix, n in n_files.items())


@dataclass(frozen=True, slots=True)
class _Listing:
    """Regular files, and what could not be listed, each with the reason; of a folder, also the folders inside."""

    files: tuple[Path, ...]
    unreadable: tuple[tuple[Path, str], ...]
    folders: tuple[Path, ...] = ()
    linked_folders: tuple[Path, ...] = ()


def _list_files(paths: Iterable[Path]) -> _Listing:
    """All regular files at or below the paths; every folder is listed once, even if links form a loop.

    In the order of names, real folders before links to them, so that a file gets the same name on every disk.
    """
    files: dict[Path, None] = {}
    unreadable: list[tuple[Path, str]] = []
    visited: set[tuple[int, int]] = set()
    for path in paths:
        if path.is_file():
            files[path] = None
            continue
        folders, links = [path], deque[Path]()
        while folders or links:
            # Links are followed last: a real folder's own name takes precedence over a link's.
            folder = folders.pop() if folders else links.popleft()
            try:
                status = folder.stat()
                if (status.st_dev, status.st_ino) in visited:
                    continue
                visited.add((status.st_dev, status.st_ino))
                listing = _list_folder(folder)
            except OSError as error:
                unreadable.append((folder, error.strerror or str(error)))
                continue
            files |= dict.fromkeys(listing.files)
            unreadable += listing.unreadable
            folders += reversed(listing.folders)
            links += listing.linked_folders
    return _Listing(tuple(files), tuple(unreadable))


def _list_folder(folder: Path) -> _Listing:
    with os.scandir(folder) as scanned:
        entries = sorted(scanned, key=lambda entry: (entry.is_symlink(), entry.name))
    files: list[Path] = []
    folders: list[Path] = []
    links: list[Path] = []
    unreadable: list[tuple[Path, str]] = []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(Path(entry.path))
            elif entry.is_file():
                files.append(Path(entry.path))
        except OSError as error:
            unreadable.append((Path(entry.path), error.strerror or str(error)))
    return _Listing(tuple(files), tuple(unreadable), tuple(folders), tuple(links))


def medium_kind(path: PurePath | RemotePath) -> MediumKind | None:
    """Video or photo, by the suffix; None for other files."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return MediumKind.VIDEO
    return MediumKind.PHOTO if suffix in PHOTO_SUFFIXES else None


def _common_root(paths: Sequence[Path]) -> Path:
    folders = [_absolute(path if path.is_dir() else path.parent) for path in paths]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:  # two drives on Windows
        raise InputError(f"{', '.join(map(str, paths))}: on different drives; measure them in separate runs") from error


def _absolute(path: Path) -> Path:
    # The user's tables use a link's own name; but .. after a link means the parent of the link's target.
    return path.resolve() if ".." in path.parts else Path.cwd() / path


def _known_suffixes() -> str:
    return " ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES | PHOTO_SUFFIXES))
