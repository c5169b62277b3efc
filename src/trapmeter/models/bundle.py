"""A network's bundle: ONNX file and card in a folder or a zip file, checked when read."""

from __future__ import annotations

import json
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmeter.errors import InputError, ModelError, error_text
from trapmeter.files import atomic_file, atomic_path, sha256_of, sha256_of_bytes
from trapmeter.models.input_spec import InputSpec
from trapmeter.models.onnx_check import check_onnx
from trapmeter.records import ModelIdentity
from trapmeter.uncertainty import Uncertainty

FORMAT = 1
CARD_FILE = "bundle.json"
NETWORK_FILE = "model.onnx"
MAX_CARD_BYTES = 1_000_000
MAX_NETWORK_BYTES = 2_000_000_000
MAX_NAME_LENGTH = 200
ARCHIVE_LIMITS = {CARD_FILE: MAX_CARD_BYTES, NETWORK_FILE: MAX_NETWORK_BYTES}
BLOCK_BYTES = 1 << 20


def is_bundle_archive(path: Path) -> bool:
    """Whether a file is a zip with a card. A TorchScript file is a zip too, but has none."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.rpartition("/")[2] == CARD_FILE for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def unpack_bundle(path: Path, folder: Path) -> None:
    """Writes a bundle's two files into a folder. Names in the archive are compared, never used as paths.

    Raises:
        ModelError: the archive is damaged, contains other files, or a file is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if sorted(names) != sorted(ARCHIVE_LIMITS):
                others = [name for name in names if name not in ARCHIVE_LIMITS]
                raise ModelError(
                    f"{path}: expected {' and '.join(ARCHIVE_LIMITS)} once each and nothing else, got "
                    f"{len(names)} files{f', among them {others[0][:80]!r}' if others else ''}"
                )
            for name, limit in ARCHIVE_LIMITS.items():
                _unpack_file(archive, name, folder / name, limit)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelError(f"{path}: not a zip file that can be read ({error}); copy it again") from error


def _unpack_file(archive: zipfile.ZipFile, name: str, target: Path, limit: int) -> None:
    """Counts the bytes while unpacking, since the sizes in an archive can be forged."""
    done = 0
    with archive.open(name) as source, target.open("wb") as out:
        while block := source.read(BLOCK_BYTES):
            done += len(block)
            if done > limit:
                raise ModelError(
                    f"{archive.filename}: {name} has more than {limit:,} bytes; not a bundle from trapmeter"
                )
            out.write(block)


def pack_bundle(folder: Path, path: Path) -> None:
    """Writes a bundle as a zip file for publishing, uncompressed, since weights hardly shrink."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in ARCHIVE_LIMITS:
            archive.write(folder / name, name)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A network's card.

    uncertainty: of its predictions, None if no held-out samples were there to estimate it. licence: of the weights.
    provenance: how and on what it was trained, as plain values. uncertainty_told: of predictions for animals whose distance
    by size the network was told (lens, shoulder height and box); None if it is the same.
    """

    identity: ModelIdentity
    spec: InputSpec
    uncertainty: Uncertainty | None
    licence: str
    provenance: dict[str, Any]
    folder: Path
    uncertainty_told: Uncertainty | None = None

    @property
    def network(self) -> Path:
        """The ONNX file: input `windows`, uint8 (n, channels, height, width); output `metres`, float32 (n,).

        If spec.facts names k numbers, a second input `facts`, float32 (n, k), NaN where unknown.
        """
        return self.folder / NETWORK_FILE


def write_bundle(
    folder: Path,
    network: bytes,
    model_id: str,
    spec: InputSpec,
    licence: str,
    provenance: dict[str, Any],
    uncertainty: Uncertainty | None = None,
    uncertainty_told: Uncertainty | None = None,
) -> Bundle:
    """Writes a bundle; the card comes last, so that a folder with a card is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_FILE).unlink(missing_ok=True)
    with atomic_path(folder / NETWORK_FILE) as partial:
        partial.write_bytes(network)
    sha256 = sha256_of_bytes(network)
    card = {
        "trapmeter_bundle": FORMAT,
        "model_id": model_id,
        "sha256": sha256,
        "input": spec.to_json(),
        "uncertainty": None if uncertainty is None else uncertainty.to_json(),
        "licence": licence,
        "provenance": provenance,
    }
    if uncertainty_told is not None:
        card["uncertainty_told"] = uncertainty_told.to_json()
    with atomic_file(folder / CARD_FILE) as file:
        json.dump(card, file, indent=1)
        file.write("\n")
    return Bundle(ModelIdentity(model_id, sha256), spec, uncertainty, licence, provenance, folder, uncertainty_told)


def read_bundle(folder: str | Path) -> Bundle:
    """Reads a bundle and checks it, including the network's checksum.

    Raises:
        ModelError: a file is missing, damaged, too large, of another format, or not allowed in a bundle.
    """
    folder = Path(folder)
    card_path = folder / CARD_FILE
    try:
        _check_files(folder)
        card = json.loads(card_path.read_text(encoding="utf-8"))
        if card["trapmeter_bundle"] != FORMAT:
            raise ModelError(
                f"{card_path}: format {card['trapmeter_bundle']}, this version reads {FORMAT}; export it again"
            )
        spec = InputSpec.from_json(card["input"])
        identity = ModelIdentity(_short_text(card, "model_id"), _short_text(card, "sha256"))
        uncertainty, told = (
            None if stored is None else Uncertainty.from_json(stored)
            for stored in (card["uncertainty"], card.get("uncertainty_told"))
        )
        bundle = Bundle(identity, spec, uncertainty, str(card["licence"]), dict(card["provenance"]), folder, told)
    except OSError as error:
        raise ModelError(
            f"{folder}: no bundle there ({error.strerror}); expected the files {CARD_FILE} and {NETWORK_FILE}"
        ) from error
    # Huge numbers and deeply nested brackets raise other errors than ValueError.
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError, InputError) as error:
        raise ModelError(
            f"{card_path}: not a card of trapmeter ({error_text(error)}); export the bundle again"
        ) from error
    found = sha256_of(bundle.network)
    if found != bundle.identity.sha256:
        raise ModelError(
            f"{bundle.network}: damaged or replaced: expected sha256 {bundle.identity.sha256}, got {found}; copy it again"
        )
    check_onnx(bundle.network)
    return bundle


def _check_files(folder: Path) -> None:
    for name, limit in ((CARD_FILE, MAX_CARD_BYTES), (NETWORK_FILE, MAX_NETWORK_BYTES)):
        status = (folder / name).stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(
                f"{folder / name}: not a file; a bundle consists of the files {CARD_FILE} and {NETWORK_FILE}"
            )
        if status.st_size > limit:
            raise ModelError(
                f"{folder / name}: too large: expected at most {limit:,} bytes, got "
                f"{status.st_size:,}; copy the bundle again from its source"
            )


def _short_text(card: dict[str, Any], key: str) -> str:
    """A short printable text, safe in tables, reports and terminals."""
    text = card[key]
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_NAME_LENGTH or not text.isprintable():
        raise TypeError(f"{key} must be a printable text of 1 to {MAX_NAME_LENGTH} characters")
    return text
