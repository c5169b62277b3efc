"""Copies a package and adds the estimated distances; the original is never changed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any

from trapmeter.errors import InputError, RunError
from trapmeter.files import atomic_folder, atomic_path
from trapmeter.records import Estimate
from trapmeter.tables.camtrapdp.container import (
    DESCRIPTOR,
    PackageArchive,
    PackageFolder,
    is_archive,
    open_package,
    read_observations,
)
from trapmeter.tables.camtrapdp.media_observations import media_by_path
from trapmeter.tables.camtrapdp.observation_cells import NUMBER_COLUMNS
from trapmeter.tables.camtrapdp.observations import WrittenObservations, write_observations
from trapmeter.tables.camtrapdp.package import MediumRow, Package, read_package
from trapmeter.tables.csvfile import decode_text
from trapmeter.tables.file_names import NameIndex, leaves_root
from trapmeter.tables.times import TimeReader


def copy_package(path: Path, out: Path, replaced: Mapping[str, bytes]) -> None:
    """Copies a package: an archive to an archive, a folder to a folder that doesn't exist yet.

    replaced: the new content of some of its files, by their names in it; all others are copied byte for byte.

    Raises:
        InputError: an archive can't be read, or has names that lead out of it.
        RunError: the copy can't be written.
    """
    with open_package(path) as package:
        if isinstance(package, PackageArchive):
            with atomic_path(out) as partial:
                _copy_archive(package, path, partial, replaced)
        else:
            _copy_folder(package, out, replaced)


def check_copy(path: Path, out: Path) -> None:
    """Checks that a copy of a package can be written to out, before any work is done for it.

    Raises:
        InputError: there is no such package.
        RunError: out is of another kind than the package, exists already, or its folder doesn't exist.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name and the folder")
    if is_archive(path) != is_archive(out):
        kind = "a zip archive: let --out end in .zip too" if is_archive(path) else "a folder: give a folder as --out"
        raise RunError(f"{out}: the package {path} is {kind}")
    check_new(out)
    if is_archive(path):
        if out.exists() and out.samefile(path):
            raise RunError(f"{out} is the package itself; choose another --out")
        return
    root = PackageFolder(path).root
    if out.resolve().is_relative_to(root.resolve()):
        raise RunError(f"{out} lies in the package {root}; choose another --out")


def check_new(out: Path) -> None:
    """Checks that a package can be written to out: a zip archive, which is replaced, or a folder that is new or empty.

    Raises:
        RunError: out is something else, or its folder doesn't exist.
    """
    if not out.absolute().parent.is_dir():
        raise RunError(f"{out} can't be written: there is no folder {out.parent}; create it or correct the name")
    if is_archive(out):
        if out.is_dir():
            raise RunError(f"{out} is a folder; choose another --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} exists already; remove it or choose another --out")


def _copy_archive(package: PackageArchive, path: Path, out: Path, replaced: Mapping[str, bytes]) -> None:
    new = {info.filename: content for name, content in replaced.items() if (info := package.entry(name)) is not None}
    with zipfile.ZipFile(out, "w") as copy:
        copy.comment = package.file.comment
        for info in package.file.infolist():
            if leaves_root(info.filename):
                raise InputError(f"{path}: the name {info.filename!r} leads out of the package; pack the archive again")
            # Name, date, attributes and compression stay the same; zipfile counts the sizes again.
            entry = zipfile.ZipInfo(info.filename, info.date_time)
            entry.compress_type, entry.external_attr, entry.comment = (
                info.compress_type,
                info.external_attr,
                info.comment,
            )
            entry.create_system, entry.file_size = info.create_system, info.file_size
            if info.filename in new:
                copy.writestr(entry, new[info.filename])
            else:
                with package.file.open(info) as source, copy.open(entry, "w") as target:
                    shutil.copyfileobj(source, target)


def _copy_folder(package: PackageFolder, out: Path, replaced: Mapping[str, bytes]) -> None:
    with atomic_folder(out) as partial:
        shutil.copytree(package.root, partial, dirs_exist_ok=True)
        for name, content in replaced.items():
            (partial / package.path_of(name).relative_to(package.root)).write_bytes(content)


def export_package(
    path: str | Path,
    out: str | Path,
    estimates: Iterable[Estimate],
    classified_at: str,
    zone: tzinfo | None = None,
) -> list[str]:
    """Writes a copy of the package at path to out, with the measured animals; returns notes about what was done.

    Args:
        path: a folder, a zip archive or a datapackage.json.
        out: a folder that doesn't exist yet, or a zip archive if path is one.
        estimates: sorted by media_id, time and animal.
        classified_at: when they were measured, date and time with a zone; "" when it isn't known.
        zone: of times that carry none.

    Raises:
        InputError: the package is wrong, or has none of the media.
        RunError: the copy can't be written.
    """
    path, out = Path(path), Path(out)
    check_copy(path, out)
    times = TimeReader(zone)
    package = read_package(path, times)
    estimates = list(estimates)
    media, unknown = _media_of(package, dict.fromkeys(estimate.observation.media_id for estimate in estimates))
    measured: dict[str, list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        name = estimate.observation.media_id
        if estimate.distance is not None and name in media:
            measured[media[name].media_id].append(estimate)
    with open_package(path) as files:
        descriptor = decode_text(files.path_of(DESCRIPTOR), files.read(DESCRIPTOR))
        name, content = read_observations(files)
        written = write_observations(
            files.path_of(name),
            content,
            measured,
            {medium.media_id: medium for medium in media.values()},
            (deployment.deployment_id for deployment in package.deployments),
            classified_at,
            times,
        )
    changed = {name: written.content}
    updated = _updated_descriptor(descriptor, written)
    if updated is not None:
        changed[DESCRIPTOR] = updated.encode("utf-8")
    copy_package(path, out, changed)
    return [*package.notes, *_notes(written, unknown)]


def _media_of(package: Package, names: Iterable[str]) -> tuple[dict[str, MediumRow], list[str]]:
    """The package's medium for each name in the results, and the names that it lacks."""
    media = media_by_path(package.media)
    names = list(names)
    paths = NameIndex(media).match(names, package.path, "run `trapmeter predict` on the package itself")
    if not paths:
        raise InputError(
            f"{package.path}: none of its {len(media)} media is in the results; it has {next(iter(media), 'none')}, and "
            f"the results have {names[0]}"
        )
    return {name: media[path] for name, path in paths.items()}, [name for name in names if name not in paths]


def _updated_descriptor(text: str, written: WrittenObservations) -> str | None:
    """The descriptor with the new size, checksum and columns of the observations; None when nothing in it changes."""
    descriptor = json.loads(text)
    resource = next(entry for entry in descriptor["resources"] if entry.get("name") == "observations")
    before = json.dumps(resource)
    resource.update(_updated_figures(resource, written))
    if isinstance(resource.get("stats"), dict):
        resource["stats"].update(_updated_figures(resource["stats"], written))
    schema = resource.get("schema")
    if isinstance(schema, dict) and isinstance(schema.get("fields"), list):
        _add_fields(schema["fields"], written)
    if json.dumps(resource) == before:
        return None
    indent = re.search(r"\n([ \t]+)", text)
    end = "\n" if text.endswith("\n") else ""
    return json.dumps(descriptor, indent=indent[1] if indent else None, ensure_ascii=False) + end


def _updated_figures(stated: Mapping[str, Any], written: WrittenObservations) -> dict[str, Any]:
    """The new values of those figures that frictionless checks and that the resource states."""
    figures: dict[str, Any] = {"bytes": len(written.content), "rows": written.n_rows}
    if isinstance(stated.get("fields"), int):
        figures["fields"] = len(written.columns)
    if stated.get("hash"):
        algorithm, colon, digest = str(stated["hash"]).rpartition(":")
        try:
            digest = hashlib.new(algorithm or _BY_LENGTH[len(digest)], written.content).hexdigest()
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{DESCRIPTOR}: the checksum {stated['hash']!r} of observations can't be updated ({error}); remove it"
            ) from error
        figures["hash"] = f"{algorithm}{colon}{digest}"
    return {name: value for name, value in figures.items() if name in stated}


_BY_LENGTH = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
"""Hexadecimal digits of checksums that don't name their algorithm."""


def _add_fields(fields: list[Any], written: WrittenObservations) -> None:
    """Adds the columns that the table gained to a schema within the descriptor, in the same order."""
    for position, column in enumerate(written.columns):
        names = [field.get("name") if isinstance(field, dict) else None for field in fields]
        if column in written.gained and column not in names:
            before = written.columns[position - 1] if position else None
            field = {"name": column, "type": "number" if column in NUMBER_COLUMNS else "string"}
            fields.insert(names.index(before) + 1 if before in names else len(fields), field)


def _notes(written: WrittenObservations, unknown: list[str]) -> list[str]:
    counts = [
        (written.n_added, "observations added"),
        (written.n_filled, "of the package's own observations filled in"),
        (written.n_renewed, "observations of an earlier export updated"),
        (written.n_already_measured, "animals left out, since the package has a distance for them"),
        (written.n_outdated, "distances of an earlier export kept, since these results have none for them"),
        (len(unknown), f"media of the results left out, since the package lacks them: {', '.join(unknown[:5])}"),
    ]
    notes = [f"{count:,} {what}" for count, what in counts if count]
    if written.gained:
        notes.append(f"the table of observations gained the columns {', '.join(written.gained)}")
    return notes
