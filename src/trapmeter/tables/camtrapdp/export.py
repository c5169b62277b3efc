"""Copies a package and adds the estimated distances; the original is never changed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
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
    leaves_root,
    open_package,
    read_observations,
)
from trapmeter.tables.camtrapdp.media_observations import media_by_path
from trapmeter.tables.camtrapdp.observation_cells import NUMBER_COLUMNS
from trapmeter.tables.camtrapdp.observations import WrittenObservations, write_observations
from trapmeter.tables.camtrapdp.package import MediumRow, Package, read_package
from trapmeter.tables.csvfile import decode_text
from trapmeter.tables.file_names import NameIndex


def copy_package(path: Path, out: Path, replaced: Mapping[str, bytes]) -> None:
    """Copies a package, of the same kind: an archive to an archive, a folder to a folder that isn't there yet.

    replaced: the new content of some of its files, by their names in it; all others are copied byte for byte.

    Raises:
        InputError: an archive has names that lead out of it, or can't be read.
        RunError: the copy can't be written.
    """
    with open_package(path) as package:
        if isinstance(package, PackageArchive):
            with atomic_path(out) as partial:
                _copy_archive(package, path, partial, replaced)
        else:
            _copy_folder(package, out, replaced)


def check_copy(path: Path, out: Path) -> None:
    """Makes sure that a copy of a package can be written there, before work is done for it.

    Raises:
        RunError: out is of another kind than the package, is in its way, or its folder isn't there.
    """
    if is_archive(path) != is_archive(out):
        kind = (
            "a zip archive, so that --out ends in .zip too"
            if is_archive(path)
            else "a folder, so that --out is one too"
        )
        raise RunError(f"{out}: the package {path} is {kind}")
    if not out.absolute().parent.is_dir():
        raise RunError(f"{out} can't be written: there is no folder {out.parent}; make it or correct the name")
    if is_archive(path):
        if out.exists() and (out.is_dir() or out.samefile(path)):
            raise RunError(f"{out} is {'a folder' if out.is_dir() else 'the package itself'}; choose another --out")
        return
    root = PackageFolder(path).root
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is there already; remove it, or choose another --out")
    if out.resolve().is_relative_to(root.resolve()):
        raise RunError(f"{out} lies in the package {root}; choose another --out")


def _copy_archive(package: PackageArchive, path: Path, out: Path, replaced: Mapping[str, bytes]) -> None:
    new = {info.filename: content for name, content in replaced.items() if (info := package.entry(name)) is not None}
    with zipfile.ZipFile(out, "w") as copy:
        copy.comment = package.file.comment
        for info in package.file.infolist():
            if leaves_root(info.filename):
                raise InputError(f"{path}: the name {info.filename!r} leads out of the package; pack it anew")
            # Name, date, attributes and way of packing stay; sizes are counted anew.
            same = zipfile.ZipInfo(info.filename, info.date_time)
            same.compress_type, same.external_attr, same.comment = info.compress_type, info.external_attr, info.comment
            same.create_system, same.file_size = info.create_system, info.file_size
            if info.filename in new:
                copy.writestr(same, new[info.filename])
            else:
                with package.file.open(info) as source, copy.open(same, "w") as target:
                    shutil.copyfileobj(source, target)


def _copy_folder(package: PackageFolder, out: Path, replaced: Mapping[str, bytes]) -> None:
    with atomic_folder(out) as partial:
        shutil.copytree(package.root, partial, dirs_exist_ok=True)
        for name, content in replaced.items():
            (partial / package.where(name).relative_to(package.root)).write_bytes(content)


def export_package(path: Path, out: Path, estimates: Iterable[Estimate], classified_at: str) -> list[str]:
    """Writes a copy of the package at path into out, with the measured animals; returns what should be known about it.

    Args:
        path: a folder, a zip archive, or a datapackage.json.
        out: a folder that isn't there yet, or a zip archive, as path is.
        estimates: sorted by media_id, time and animal.
        classified_at: when they were measured, date and time with a zone; "" where nobody knows.

    Raises:
        InputError: the package is not what it should be, or has none of the media.
        RunError: the copy can't be written.
    """
    check_copy(path, out)
    package = read_package(path)
    estimates = list(estimates)
    media, unknown = _media_of(package, dict.fromkeys(one.observation.media_id for one in estimates))
    measured: dict[str, list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        name = estimate.observation.media_id
        if estimate.distance is not None and name in media:
            measured[media[name].media_id].append(estimate)
    with open_package(path) as files:
        descriptor = decode_text(files.where(DESCRIPTOR), files.read(DESCRIPTOR))
        name, content = read_observations(files)
        written = write_observations(
            files.where(name),
            content,
            measured,
            {medium.media_id: medium for medium in media.values()},
            (place.deployment_id for place in package.deployments),
            classified_at,
        )
    changed = {name: written.content}
    renewed = _updated_descriptor(descriptor, written)
    if renewed is not None:
        changed[DESCRIPTOR] = renewed.encode("utf-8")
    copy_package(path, out, changed)
    return _notes(written, unknown)


def _media_of(package: Package, names: Iterable[str]) -> tuple[dict[str, MediumRow], list[str]]:
    """The package's medium for each name in the results, and the names that it lacks."""
    media = media_by_path(package.media)
    index = NameIndex(media)
    names = list(names)
    for file_path, users in index.clashes(names).items():
        raise InputError(
            f"{package.path}: {file_path} could be any of {', '.join(users[:5])} of the results; measure with "
            "`trapmeter predict` in the package itself"
        )
    found: dict[str, MediumRow] = {}
    unknown = []
    for name in names:
        paths = [name] if name in media else index.find(name)
        if len(paths) > 1:
            raise InputError(
                f"{package.path}: {name} could be any of {', '.join(paths[:5])}; measure in the package itself"
            )
        if paths:
            found[name] = media[paths[0]]
        else:
            unknown.append(name)
    if not found:
        raise InputError(
            f"{package.path}: none of its {len(media)} media is in the results; it has {next(iter(media), 'none')}, and "
            f"they have {names[0]}"
        )
    return found, unknown


def _updated_descriptor(text: str, written: WrittenObservations) -> str | None:
    """The descriptor where it tells what is no longer so: size, checksum or columns of the observations; else None."""
    descriptor = json.loads(text)
    resource = next(one for one in descriptor["resources"] if one.get("name") == "observations")
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


def _updated_figures(told: Mapping[str, Any], written: WrittenObservations) -> dict[str, Any]:
    """The figures of a resource that frictionless checks, where they are told."""
    figures: dict[str, Any] = {"bytes": len(written.content), "rows": written.n_rows}
    if isinstance(told.get("fields"), int):
        figures["fields"] = len(written.columns)
    if told.get("hash"):
        algorithm, colon, digest = str(told["hash"]).rpartition(":")
        try:
            digest = hashlib.new(algorithm or _BY_LENGTH[len(digest)], written.content).hexdigest()
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{DESCRIPTOR}: the checksum {told['hash']!r} of observations can't be renewed ({error}); remove it"
            ) from error
        figures["hash"] = f"{algorithm}{colon}{digest}"
    return {name: value for name, value in figures.items() if name in told}


_BY_LENGTH = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
"""Hexadecimal digits of checksums that don't name their algorithm."""


def _add_fields(fields: list[Any], written: WrittenObservations) -> None:
    """Adds the columns that the table gained to a schema that stands in the descriptor itself, in the same places."""
    for place, column in enumerate(written.columns):
        names = [field.get("name") if isinstance(field, dict) else None for field in fields]
        if column in written.gained and column not in names:
            ahead = written.columns[place - 1] if place else None
            field = {"name": column, "type": "number" if column in NUMBER_COLUMNS else "string"}
            fields.insert(names.index(ahead) + 1 if ahead in names else len(fields), field)


def _notes(written: WrittenObservations, unknown: list[str]) -> list[str]:
    lines = [
        (written.n_added, "observations added"),
        (written.n_filled, "of the package's own filled in"),
        (written.n_renewed, "of an earlier export brought up to date"),
        (written.n_known, "animals left out, since their distance is told already"),
        (
            written.n_outdated,
            "distances of an earlier export that nothing in these results answers were left as they are",
        ),
        (len(unknown), f"media of the results are not in the package and were left out: {', '.join(unknown[:5])}"),
    ]
    said = [f"{count:,} {what}" for count, what in lines if count]
    if written.gained:
        said.append(f"the table of observations gained the columns {', '.join(written.gained)}")
    return said
