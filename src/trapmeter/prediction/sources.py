"""Finds the media of a run, in folders, a frame store or a Camtrap DP, with the facts that come with them."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path, PurePosixPath

from trapmeter.errors import InputError, RunError
from trapmeter.files import atomic_path, lock_folder, sha256_of_bytes
from trapmeter.frames.store import FrameStore
from trapmeter.media.discovery import FoundMedia, count_by_suffix, find_media
from trapmeter.prediction.settings import RESULTS_LAYOUT, PredictSettings
from trapmeter.records import Medium, MediumKind
from trapmeter.tables.boxes import MediumBoxes
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.camtrapdp.container import (
    DESCRIPTOR,
    PackageArchive,
    PackageFolder,
    is_package,
    open_package,
)
from trapmeter.tables.camtrapdp.media_observations import (
    boxes_by_medium,
    events_by_medium,
    media_by_path,
    species_by_medium,
)
from trapmeter.tables.camtrapdp.package import DeploymentRow, camera_setup_of, read_package
from trapmeter.tables.file_names import leaves_root
from trapmeter.tables.species_names import Identification
from trapmeter.tables.times import TimeReader

# A text of distances.csv, as are the other reasons of this module.
ADDRESS_REASON = "its filePath is an address; download it into the package, for predict opens no connection"


@dataclass(frozen=True, slots=True)
class Sources:
    """The media of a run, and the facts that a Camtrap DP has for them, all by media_id.

    boxes: known animals, or why a medium is not available. cameras: height and pitch of the camera. starts: when a medium
    starts. events, deployment_of: the event and the deployment that it belongs to. species: of its animals. needs_detector:
    the animals of some media are unknown. notes: what the user should know about the package.
    """

    found: FoundMedia
    boxes: Mapping[str, MediumBoxes] = field(default_factory=dict)
    cameras: Mapping[str, CameraSetup] = field(default_factory=dict)
    starts: Mapping[str, datetime] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    deployment_of: Mapping[str, str] = field(default_factory=dict)
    deployments: tuple[DeploymentRow, ...] = ()
    species: Mapping[str, Identification] = field(default_factory=dict)
    needs_detector: bool = True
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str | None:
        """Of the known boxes; None without any. Missing media don't count, since they may turn up later."""
        known = sorted((name, repr(boxes)) for name, boxes in self.boxes.items() if not boxes.failure)
        return sha256_of_bytes(repr(known).encode("utf-8", "backslashreplace")) if known else None


def find_sources(settings: PredictSettings, store: FrameStore | None) -> Sources:
    """Finds the media that the settings name.

    Raises:
        InputError: a path is not as expected, or there are no media.
        RunError: the media of an archive can't be unpacked into the folder of results.
    """
    if store is not None:
        return Sources(_stored_media(store))
    packages = [path for path in settings.paths if isinstance(path, Path) and _is_package(path)]
    if not packages:
        return Sources(find_media(settings.paths))
    if len(settings.paths) > 1:
        raise InputError(f"{packages[0]} is a Camtrap DP, which must be the only path; give it in a run of its own")
    return _package_sources(packages[0], settings.out, settings.timezone)


def _stored_media(store: FrameStore) -> FoundMedia:
    """The videos of a frame store as media; the file of each is its frame file."""
    media = tuple(Medium(video_id, store.frame_file_path(video_id), MediumKind.VIDEO) for video_id in store.video_ids())
    if not media:
        raise InputError(f"{store.folder}: no frames in it; fill it with `trapmeter frames`")
    return FoundMedia(store.folder, media, {}, ())


def _is_package(path: Path) -> bool:
    return is_package(path) and (not path.is_dir() or (path / DESCRIPTOR).is_file())


def _package_sources(path: Path, out: Path, zone: tzinfo | None) -> Sources:
    package = read_package(path, TimeReader(zone))
    media_rows = media_by_path(package.media)
    if not media_rows:
        raise InputError(f"{path}: its media hold no photo or video (fileMediatype image/... or video/...)")
    deployments = {deployment.deployment_id: deployment for deployment in package.deployments}
    with open_package(path) as files:
        if isinstance(files, PackageArchive):
            root = Path.cwd() / out / RESULTS_LAYOUT.local_only
            with lock_folder(out):
                # Files that a killed run left half unpacked.
                for partial in root.rglob(".*.part"):
                    partial.unlink(missing_ok=True)
                problems = {name: _unpack(files, name, root) for name in media_rows}
        else:
            root = Path.cwd() / files.root
            problems = {name: _missing_reason(files, name) for name in media_rows}
    if all(problems.values()):
        first = next(iter(media_rows))
        raise InputError(
            f"{path}: none of its {len(media_rows)} media is available; the first, {first}: {problems[first]}"
        )
    media = sorted(
        (
            Medium(name, _media_path(root, name), row.kind, deployments[row.deployment_id].site_id)
            for name, row in media_rows.items()
            if row.kind is not None
        ),
        key=lambda medium: medium.media_id,
    )
    known_boxes = boxes_by_medium(package)
    boxes = {name: known_boxes[row.media_id] for name, row in media_rows.items() if row.media_id in known_boxes}
    needs_detector = len(boxes) < len(media_rows)
    boxes |= {name: MediumBoxes(name, failure=problem) for name, problem in problems.items() if problem}
    setups = {name: camera_setup_of(deployments[row.deployment_id]) for name, row in media_rows.items()}
    known_species, known_events = species_by_medium(package), events_by_medium(package)
    return Sources(
        FoundMedia(
            root,
            tuple(media),
            count_by_suffix(PurePosixPath(row.file_path) for row in package.media if row.kind is None),
            (),
        ),
        boxes,
        cameras={name: setup for name, setup in setups.items() if setup is not None},
        starts={name: row.time for name, row in media_rows.items()},
        events={name: known_events[row.media_id] for name, row in media_rows.items() if row.media_id in known_events},
        deployment_of={name: row.deployment_id for name, row in media_rows.items()},
        deployments=package.deployments,
        species={
            name: known_species[row.media_id] for name, row in media_rows.items() if row.media_id in known_species
        },
        needs_detector=needs_detector,
        notes=package.notes,
    )


def _outside_reason(name: str) -> str:
    """Why a filePath can't be followed, whether or not the file exists; "" if it can."""
    if "://" in name:
        return ADDRESS_REASON
    return "its filePath leads out of the package" if not Path(name).is_absolute() and leaves_root(name) else ""


def _missing_reason(files: PackageFolder, name: str) -> str:
    """Why a folder's medium is not available; "" if it is."""
    return _outside_reason(name) or (
        "" if _media_path(files.root, name).is_file() else "there is no such file in the package"
    )


def _unpack(files: PackageArchive, name: str, root: Path) -> str:
    """Unpacks a medium, unless it is unpacked already; returns why it is not available, "" if it is."""
    problem = _outside_reason(name)
    if problem or Path(name).is_absolute():
        return problem or ("" if Path(name).is_file() else "there is no such file")
    info = files.entry(name.replace("\\", "/"))
    if info is None:
        return "the archive has no such file"
    path = _media_path(root, name)
    try:
        # With the archive's date, so that a resumed run finds the same file.
        modified_s = datetime(*info.date_time).timestamp()
    except ValueError:
        modified_s = 0.0
    if path.is_file() and (path.stat().st_size, path.stat().st_mtime) == (info.file_size, modified_s):
        return ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial, files.file.open(info) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target)
        os.utime(path, (modified_s, modified_s))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        return f"it can't be unpacked: {error}"
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror or error}; choose another --out") from error
    return ""


def _media_path(root: Path, name: str) -> Path:
    """The file of a filePath; Windows writes it with backslashes, which may belong to a name elsewhere."""
    path = root / name
    return path if path.exists() else root / name.replace("\\", "/")
