"""A bundle as one zip file, as registries publish it: bundle.json and model.onnx at its root, and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

from trapmeter.errors import ModelError
from trapmeter.models.bundle import CARD, MAX_CARD_BYTES, MAX_NETWORK_BYTES, NETWORK

LIMITS = {CARD: MAX_CARD_BYTES, NETWORK: MAX_NETWORK_BYTES}
BLOCK_BYTES = 1 << 20


def is_bundle_archive(path: Path) -> bool:
    """Whether a file is a zip with a card. A TorchScript file is a zip too, but has none."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.rpartition("/")[2] == CARD for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def unpack(path: Path, folder: Path) -> None:
    """Writes a bundle's two parts into a folder. Names in the archive are compared, never used as paths.

    Raises:
        ModelError: the archive is damaged, holds anything else, or more than its parts may have.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if sorted(names) != sorted(LIMITS):
                odd = [name for name in names if name not in LIMITS]
                raise ModelError(
                    f"{path}: a bundle's zip file holds {' and '.join(LIMITS)} once each and nothing else; got "
                    f"{len(names)} files{f', among them {odd[0][:80]!r}' if odd else ''}"
                )
            for name, limit in LIMITS.items():
                _unpack_one(archive, name, folder / name, limit)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelError(f"{path}: not a zip file that can be read ({error}); copy it anew") from error


def _unpack_one(archive: zipfile.ZipFile, name: str, target: Path, limit: int) -> None:
    """What the archive says of the size may be a lie: what comes out is counted."""
    done = 0
    with archive.open(name) as source, target.open("wb") as out:
        while block := source.read(BLOCK_BYTES):
            done += len(block)
            if done > limit:
                raise ModelError(f"{archive.filename}: {name} has more than {limit:,} bytes; not a bundle of trapmeter")
            out.write(block)


def pack(folder: Path, path: Path) -> None:
    """The zip file of a bundle, to publish. Weights hardly shrink, so nothing is compressed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in LIMITS:
            archive.write(folder / name, name)
