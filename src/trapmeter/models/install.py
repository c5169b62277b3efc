"""Installs models: downloads published ones, imports bundles and TorchScript files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from typing import Any

from trapmeter.errors import InputError, MissingExtraError, ModelError
from trapmeter.models.bundle import (
    CARD_FILE,
    MAX_NETWORK_BYTES,
    NETWORK_FILE,
    Bundle,
    is_bundle_archive,
    read_bundle,
    unpack_bundle,
)
from trapmeter.models.download import DownloadProgress, RetryPolicy, download
from trapmeter.models.input_spec import SECOND_PLACE_INPUT, InputSpec
from trapmeter.models.installed import download_path, locked_model, model_name_from, models_folder, new_model
from trapmeter.models.registry import REGISTRY, PublishedFormat, PublishedModel, check_sha256, published_model
from trapmeter.progress import Announce

CONVERTER = "trapmeter.training.torchscript"
CONVERSION_TIMEOUT_S = 3600.0
CONVERTER_ENVIRONMENT = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT"),
    *("HOME", "USER", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL", "OMP_NUM_THREADS"),
)
"""The environment variables that the converter gets; passwords and keys among the others stay out."""


@dataclass(frozen=True, slots=True)
class TorchscriptOrigin:
    """The source of a TorchScript file, stored in the card of its bundle. sha256: the expected one, None if unknown."""

    spec: InputSpec
    licence: str = "not stated"
    trained_on: str = "not stated"
    sha256: str | None = None
    digest_starts: str | None = None
    size_bytes: int | None = None
    urls: tuple[str, ...] = ()


def torchscript_origin(entry: PublishedModel, sha256: str | None = None) -> TorchscriptOrigin:
    """The registry's entry of a TorchScript file. sha256: the user's, in place of the entry's."""
    assert entry.spec is not None
    return TorchscriptOrigin(
        entry.spec,
        entry.licence,
        entry.trained_on,
        sha256 or entry.sha256,
        None if sha256 else entry.digest_starts,
        None if sha256 else entry.size_bytes,
        entry.urls,
    )


def pull(
    entry: PublishedModel,
    *,
    sha256: str | None = None,
    overwrite: bool = False,
    announce: Announce,
    progress: DownloadProgress = lambda *_: None,
    retries: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
) -> Bundle:
    """Downloads a published model and installs it. sha256: the file's checksum, in place of the registry's.

    Raises:
        MissingExtraError: the file must be converted, and torch is not installed; nothing was downloaded.
        ModelError: no mirror delivered the right file, or it can't be used.
        RunError: the model exists already, another process is installing it, or the folder can't be written.
    """
    if entry.format is PublishedFormat.TORCHSCRIPT:
        require_converter()
    part = download_path(entry.name)
    complete = part.with_suffix(".file")

    def mismatch(path: Path) -> str | None:
        return find_mismatch(
            path, sha256 or entry.sha256, None if sha256 else entry.digest_starts, None if sha256 else entry.size_bytes
        )

    with locked_model(entry.name), new_model(entry.name, overwrite=overwrite) as folder:
        # A failed conversion leaves the complete file, so that it need not be downloaded again.
        if not (complete.exists() and mismatch(complete) is None):
            limit = (None if sha256 else entry.size_bytes) or MAX_NETWORK_BYTES
            try:
                url = download(entry.urls, part, check=mismatch, max_bytes=limit, progress=progress, retries=retries)
            except ModelError as error:
                raise ModelError(f"{entry.name} {error}") from error
            part.replace(complete)
            announce(f"downloaded from {url}")
        if entry.format is PublishedFormat.TORCHSCRIPT:
            _convert(complete, folder, entry.name, torchscript_origin(entry, sha256), announce)
        else:
            unpack_bundle(complete, folder)
        bundle = read_bundle(folder)
    complete.unlink()
    return _installed_bundle(bundle, entry.name)


def import_bundle(source: str | Path, name: str, *, overwrite: bool = False) -> Bundle:
    """Installs a bundle from its folder or zip file.

    Raises:
        ModelError: it isn't a valid bundle.
        RunError: a model of that name exists already, or the folder can't be written.
    """
    source = Path(source)
    with new_model(name, overwrite=overwrite) as folder:
        if source.is_dir():
            # Checked before it is copied, and the copy again.
            read_bundle(source)
            for part in (CARD_FILE, NETWORK_FILE):
                copyfile(source / part, folder / part)
        else:
            unpack_bundle(source, folder)
        bundle = read_bundle(folder)
    return _installed_bundle(bundle, name)


def import_torchscript(
    file: str | Path, name: str, origin: TorchscriptOrigin, *, overwrite: bool = False, announce: Announce
) -> Bundle:
    """Converts a TorchScript file into a bundle, in a process of its own. Only for files from a source that you trust.

    Raises:
        MissingExtraError: torch is not installed.
        ModelError: the file is missing, doesn't match its checksum, or can't be converted.
        RunError: a model of that name exists already, or the folder can't be written.
    """
    file = Path(file)
    if not file.is_file():
        raise ModelError(f"{file}: no such file; expected a TorchScript file, or the folder or zip file of a bundle")
    require_converter()
    reason = find_mismatch(file, origin.sha256, origin.digest_starts, origin.size_bytes)
    if reason is not None:
        raise ModelError(f"{file}: {reason}")
    with new_model(name, overwrite=overwrite) as folder:
        _convert(file, folder, name, origin, announce)
        bundle = read_bundle(folder)
    return _installed_bundle(bundle, name)


def is_bundle(source: Path) -> bool:
    """Whether a path is a bundle's folder or zip file; otherwise it may be a TorchScript file."""
    return source.is_dir() or (source.is_file() and is_bundle_archive(source))


def require_converter() -> None:
    """Checks that TorchScript files can be converted.

    Raises:
        MissingExtraError: torch or onnx is not installed.
    """
    for package in ("torch", "onnx"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "train")


def find_mismatch(path: Path, sha256: str | None, digest_starts: str | None, size_bytes: int | None) -> str | None:
    """How a file differs from the expected size and checksum; None if it doesn't, or if neither is known."""
    size = path.stat().st_size
    if size_bytes is not None and size != size_bytes:
        return f"expected {size_bytes:,} bytes, got {size:,}"
    sums = digests(path)
    if sha256 is not None:
        return None if sums[0] == sha256.lower() else f"expected the sha256 {sha256.lower()}, got {sums[0]}"
    if digest_starts is not None and not any(digest.startswith(digest_starts) for digest in sums):
        return (
            f"expected a checksum that starts with {digest_starts}, got the sha256 {sums[0]}; if its publisher states "
            "this checksum, give it with --sha256"
        )
    return None


def digests(path: Path) -> tuple[str, str, str]:
    """A file's SHA-256, SHA-1 and MD5 in hexadecimal. The last two reveal a mix-up, but not a forgery."""
    sums = [hashlib.new(name, usedforsecurity=False) for name in ("sha256", "sha1", "md5")]
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            for digest in sums:
                digest.update(block)
    return sums[0].hexdigest(), sums[1].hexdigest(), sums[2].hexdigest()


def _convert(file: Path, folder: Path, name: str, origin: TorchscriptOrigin, announce: Announce) -> None:
    sha256 = digests(file)[0]
    if origin.sha256 is None:
        announce(
            f"warning: the full checksum of this file is not known (its sha256 is {sha256}). A TorchScript file is a "
            "program: continue only if you trust its source."
        )
    announce("converting the file; this takes a few minutes, once ...")
    source = {"format": "torchscript", "sha256": sha256, "urls": list(origin.urls)}
    job = {
        "file": str(file.resolve()),
        "folder": str(folder.resolve()),
        "model_id": name,
        "spec": origin.spec.to_json(),
        "licence": origin.licence,
        "provenance": {"source": source, "trained_on": origin.trained_on},
    }
    announce(f"converted; predictions differ from the TorchScript file's by at most {_run_converter(job):.1g} m")


def _run_converter(job: dict[str, Any]) -> float:
    environment = {key: os.environ[key] for key in CONVERTER_ENVIRONMENT if key in os.environ}
    with tempfile.TemporaryDirectory() as empty:
        result_path = Path(empty) / "result.json"
        try:
            # -P: Python imports no module from the current folder.
            done = subprocess.run(
                [sys.executable, "-P", "-m", CONVERTER],
                input=json.dumps({**job, "result": str(result_path)}),
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                cwd=empty,
                env=environment,
                timeout=CONVERSION_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{job['file']}: the conversion was stopped after {error.timeout:.0f} s") from error
        written = result_path.read_text(encoding="utf-8") if result_path.exists() else ""
    try:
        result = json.loads(written)
        if "error" in result:
            raise ModelError(result["error"])
        return float(result["difference_m"])
    except (ValueError, KeyError, TypeError) as error:
        last = (done.stderr.strip().splitlines() or ["without a message"])[-1]
        raise ModelError(
            f"{job['file']}: the converter ended with status {done.returncode} ({last[:300]}); "
            "it may need more memory: several times the size of the file"
        ) from error


def _is_published_file(file: Path, entry: PublishedModel) -> bool:
    """Whether a file is the one of an entry, as far as the entry's checksum tells."""
    if not file.is_file() or not (entry.sha256 or entry.digest_starts):
        return False
    return find_mismatch(file, entry.sha256, entry.digest_starts, entry.size_bytes) is None


def _installed_bundle(bundle: Bundle, name: str) -> Bundle:
    """The bundle in its final folder, to which `new_model` has moved it."""
    return replace(bundle, folder=models_folder() / name)


def import_model(
    file: str | Path,
    name: str | None = None,
    *,
    like: str | None = None,
    registry: str | Path | None = None,
    spec: Mapping[str, Any] | None = None,
    licence: str | None = None,
    trained_on: str | None = None,
    sha256: str | None = None,
    overwrite: bool = False,
    announce: Announce = print,
) -> Bundle:
    """Installs a model from a TorchScript file or a bundle.

    like: an entry of the registry whose input and checksum apply; its licence and origin apply only to the file that has the
    entry's own checksum. spec: fields of `InputSpec` that differ from that
    entry's or, without one, from the 2nd-place system's.

    Raises:
        InputError: an option is invalid, or was given for a bundle, whose card already states it.
        ModelError: the file is damaged, or its network can't be converted.
    """
    file = Path(file)
    chosen = model_name_from(file) if name is None else name
    known = None if sha256 is None else check_sha256(sha256)
    if is_bundle(file):
        if spec or like or licence or trained_on or known:
            raise InputError(f"{file} is a bundle, and its card states all this: leave out every option but --name")
        return import_bundle(file, chosen, overwrite=overwrite)
    origin = TorchscriptOrigin(SECOND_PLACE_INPUT, sha256=known)
    if like is not None:
        entry = published_model(like, Path(registry) if registry else REGISTRY)
        if entry.spec is None:
            raise InputError(f"--like {like}: that entry is a bundle and states no input")
        origin = torchscript_origin(entry, known)
        if not _is_published_file(file, entry):
            # Anybody's file may have the same input.
            origin = replace(origin, licence="not stated", trained_on="not stated", urls=())
    origin = replace(
        origin,
        spec=replace(origin.spec, **(spec or {})),
        licence=licence or origin.licence,
        trained_on=trained_on or origin.trained_on,
    )
    return import_torchscript(file, chosen, origin, overwrite=overwrite, announce=announce)
