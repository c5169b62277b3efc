"""What the paths of a run lead to: media in folders, in a frame store, or in a Camtrap DP."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from trapmeter.errors import InputError, RunError
from trapmeter.files import alone_in, sha256_of_bytes, whole_path
from trapmeter.frames.store import FrameStore
from trapmeter.media.find import Found, find_media
from trapmeter.predict.settings import PredictSettings
from trapmeter.records import Medium, MediumKind
from trapmeter.tables.boxes import MediumBoxes
from trapmeter.tables.cameras import Camera
from trapmeter.tables.camtrapdp.container import DESCRIPTOR, Archive, Folder, is_package, leads_out, opened
from trapmeter.tables.camtrapdp.moments import boxes_by_medium, media_by_path, species_by_medium
from trapmeter.tables.camtrapdp.package import camera_at, read_package

UNPACKED = "unpacked"
"""In the folder of results: the media of a package that is an archive."""
NO_NETWORK = "its filePath is an address; download it into the package, for predict opens no connection"


@dataclass(frozen=True, slots=True)
class Given:
    """The media of a run, and what comes with them; without a package, nothing does.

    boxes: animals that are known, or why a medium isn't at hand. cameras: height and pitch of the camera. starts: when a
    medium starts. species: of its animals. All by media_id. needs_eyes: there are media whose animals nobody told.
    """

    found: Found
    boxes: Mapping[str, MediumBoxes] = field(default_factory=dict)
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    starts: Mapping[str, datetime] = field(default_factory=dict)
    species: Mapping[str, str] = field(default_factory=dict)
    needs_eyes: bool = True

    @property
    def sha256(self) -> str | None:
        """Of the boxes that are known; None without any. Media that are missing don't count: they may turn up."""
        known = sorted((name, repr(boxes)) for name, boxes in self.boxes.items() if not boxes.failure)
        return sha256_of_bytes(repr(known).encode("utf-8", "backslashreplace")) if known else None


def what_is_given(settings: PredictSettings, store: FrameStore | None) -> Given:
    """Finds the media that the settings name.

    Raises:
        InputError: a path is not what it should be, or there are none.
        RunError: the media of an archive can't be unpacked into the folder of results.
    """
    if store is not None:
        return Given(_stored_media(store))
    packages = [path for path in settings.paths if isinstance(path, Path) and _is_package(path)]
    if not packages:
        return Given(find_media(settings.paths))
    if len(settings.paths) > 1:
        raise InputError(f"{packages[0]} is a Camtrap DP, which goes alone; measure it in a run of its own")
    return _of_package(packages[0], settings.out)


def _stored_media(store: FrameStore) -> Found:
    """The videos of a frame store as media; the file of each is its shard."""
    media = tuple(Medium(video_id, store.shard_path(video_id), MediumKind.VIDEO) for video_id in store.video_ids())
    if not media:
        raise InputError(f"{store.folder}: no frames in it; fill it with `trapmeter frames`")
    return Found(store.folder, media, 0, ())


def _is_package(path: Path) -> bool:
    return is_package(path) and (not path.is_dir() or (path / DESCRIPTOR).is_file())


def _of_package(path: Path, out: Path) -> Given:
    package = read_package(path)
    paths = media_by_path(package.media)
    if not paths:
        raise InputError(f"{path}: its media hold no photo or video (fileMediatype image/... or video/...)")
    place = {one.deployment_id: one for one in package.deployments}
    with opened(path) as files:
        if isinstance(files, Archive):
            root = Path.cwd() / out / UNPACKED
            with alone_in(out):
                # What a killed run left half unpacked.
                for partial in root.rglob(".*.part"):
                    partial.unlink(missing_ok=True)
                problems = {name: _unpacked(files, name, root) for name in paths}
        else:
            root = Path.cwd() / files.root
            problems = {name: _problem(files, name) for name in paths}
    if all(problems.values()):
        first = next(iter(paths))
        raise InputError(f"{path}: none of its {len(paths)} media is at hand; the first, {first}: {problems[first]}")
    known = boxes_by_medium(package)
    media = [
        Medium(name, _below(root, name), one.kind, place[one.deployment_id].site_id)
        for name, one in paths.items()
        if one.kind is not None
    ]
    boxes = {name: known[one.media_id] for name, one in paths.items() if one.media_id in known}
    needs_eyes = len(boxes) < len(paths)
    named = species_by_medium(package)
    boxes |= {name: MediumBoxes(name, failure=problem) for name, problem in problems.items() if problem}
    cameras = {
        name: camera for name, one in paths.items() if (camera := camera_at(place[one.deployment_id])) is not None
    }
    media.sort(key=lambda medium: medium.media_id)
    found = Found(root, tuple(media), len(package.media) - len(media), ())
    starts = {name: one.time for name, one in paths.items()}
    species = {name: named[one.media_id] for name, one in paths.items() if one.media_id in named}
    return Given(found, boxes, cameras, starts, species, needs_eyes)


def _elsewhere(name: str) -> str:
    """Why a filePath can't be followed, whatever is there; "" where it can."""
    if "://" in name:
        return NO_NETWORK
    return "its filePath leads out of the package" if not Path(name).is_absolute() and leads_out(name) else ""


def _problem(files: Folder, name: str) -> str:
    """Why a medium of a folder isn't at hand; "" where it is."""
    return _elsewhere(name) or ("" if _below(files.root, name).is_file() else "there is no such file in the package")


def _unpacked(files: Archive, name: str, root: Path) -> str:
    """Unpacks a medium, if it isn't there yet; returns why it isn't at hand, "" where it is."""
    problem = _elsewhere(name)
    if problem or Path(name).is_absolute():
        return problem or ("" if Path(name).is_file() else "there is no such file")
    info = files.entry(name.replace("\\", "/"))
    if info is None:
        return "the archive has no such file"
    path = _below(root, name)
    try:
        # With the date that the archive tells, so that a run that goes on finds the same file.
        modified_s = datetime(*info.date_time).timestamp()
    except ValueError:
        modified_s = 0.0
    if path.is_file() and (path.stat().st_size, path.stat().st_mtime) == (info.file_size, modified_s):
        return ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_path(path) as partial, files.file.open(info) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target)
        os.utime(path, (modified_s, modified_s))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        return f"it can't be unpacked: {error}"
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror or error}; choose another --out") from error
    return ""


def _below(root: Path, name: str) -> Path:
    """The file that a filePath means; Windows writes it with backslashes, which may be part of a name elsewhere."""
    path = root / name
    return path if path.exists() else root / name.replace("\\", "/")
