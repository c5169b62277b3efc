"""A copy of a package: the same files, byte for byte, but for those that are replaced."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from trapmeter.errors import InputError, RunError
from trapmeter.files import whole_path
from trapmeter.tables.camtrapdp.container import Archive, Folder, is_archive, leads_out, opened


def copy_package(path: Path, out: Path, replaced: Mapping[str, bytes]) -> None:
    """Copies a package, of the same kind: an archive to an archive, a folder to a folder that isn't there yet.

    replaced: the new content of some of its files, by their names in it; all others are copied byte for byte.

    Raises:
        InputError: an archive has names that lead out of it, or can't be read.
        RunError: the copy can't be written.
    """
    with opened(path) as package:
        if isinstance(package, Archive):
            with whole_path(out) as partial:
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
    root = Folder(path).root
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is there already; remove it, or choose another --out")
    if out.resolve().is_relative_to(root.resolve()):
        raise RunError(f"{out} lies in the package {root}; choose another --out")


def _copy_archive(package: Archive, path: Path, out: Path, replaced: Mapping[str, bytes]) -> None:
    new = {info.filename: content for name, content in replaced.items() if (info := package.entry(name)) is not None}
    with zipfile.ZipFile(out, "w") as copy:
        copy.comment = package.file.comment
        for info in package.file.infolist():
            if leads_out(info.filename):
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


def _copy_folder(package: Folder, out: Path, replaced: Mapping[str, bytes]) -> None:
    partial = out.with_name(f".{out.name[:40]}.part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(package.root, partial)
        for name, content in replaced.items():
            (partial / package.where(name).relative_to(package.root)).write_bytes(content)
        # An empty folder of that name may be there.
        partial.replace(out)
    except (OSError, shutil.Error) as error:
        reason = "; ".join(str(one[2]) for one in error.args[0][:3]) if isinstance(error, shutil.Error) else error
        raise RunError(f"{out} can't be written: {reason}; check {package.root} and the free space") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
