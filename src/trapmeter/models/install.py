"""Brings models onto this machine: pulled from where they are published, or imported from a file."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
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
from trapmeter.models.library import download_path, locked_model, model_name_from, models_folder, new_model
from trapmeter.models.registry import REGISTRY, PublishedFormat, PublishedModel, check_sha256, published_model

CONVERTER = "trapmeter.training.torchscript"
CONVERSION_TIMEOUT_S = 3600.0
CONVERTER_ENVIRONMENT = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT"),
    *("HOME", "USER", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL", "OMP_NUM_THREADS"),
)
"""Of the environment, what the converter gets: no passwords or keys that may stand there."""

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TorchscriptOrigin:
    """What is known of a TorchScript file, and goes into the card of the bundle made of it.

    sha256: what the file must have; None where nobody has told.
    """

    spec: InputSpec
    licence: str = "not stated"
    trained_on: str = "not stated"
    sha256: str | None = None
    digest_starts: str | None = None
    size_bytes: int | None = None
    urls: tuple[str, ...] = ()


def torchscript_origin(entry: PublishedModel, sha256: str | None = None) -> TorchscriptOrigin:
    """What the registry knows of a TorchScript file; sha256: what the user says instead."""
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
    tell: Announce,
    progress: DownloadProgress = lambda *_: None,
    retries: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
) -> Bundle:
    """Downloads a published model and makes it ready to use. sha256: the file's checksum, where the user knows better.

    Raises:
        MissingExtraError: the file must be converted, and torch is not installed; nothing was downloaded.
        ModelError: no mirror gave the right file, or it can't be used.
        RunError: there is such a model already, another process is getting it, or the folder can't be written.
    """
    if entry.format is PublishedFormat.TORCHSCRIPT:
        require_converter()
    part = download_path(entry.name)
    whole = part.with_suffix(".file")

    def wrong(path: Path) -> str | None:
        return find_mismatch(
            path, sha256 or entry.sha256, None if sha256 else entry.digest_starts, None if sha256 else entry.size_bytes
        )

    with locked_model(entry.name), new_model(entry.name, overwrite=overwrite) as folder:
        # A whole file is left where the conversion failed, after a download that need not be done again.
        if not (whole.exists() and wrong(whole) is None):
            limit = (None if sha256 else entry.size_bytes) or MAX_NETWORK_BYTES
            try:
                url = download(entry.urls, part, check=wrong, max_bytes=limit, progress=progress, retries=retries)
            except ModelError as error:
                raise ModelError(f"{entry.name} {error}") from error
            part.replace(whole)
            tell(f"downloaded from {url}")
        if entry.format is PublishedFormat.TORCHSCRIPT:
            _convert(whole, folder, entry.name, torchscript_origin(entry, sha256), tell)
        else:
            unpack_bundle(whole, folder)
        bundle = read_bundle(folder)
    whole.unlink()
    return _installed_bundle(bundle, entry.name)


def import_bundle(source: Path, name: str, *, overwrite: bool = False) -> Bundle:
    """Takes over a bundle: a folder, or a zip file of one.

    Raises:
        ModelError: it is no sound bundle.
        RunError: there is a model of that name already, or the folder can't be written.
    """
    with new_model(name, overwrite=overwrite) as folder:
        if source.is_dir():
            # Checked before it is copied, and again as it lies here.
            read_bundle(source)
            for part in (CARD_FILE, NETWORK_FILE):
                copyfile(source / part, folder / part)
        else:
            unpack_bundle(source, folder)
        bundle = read_bundle(folder)
    return _installed_bundle(bundle, name)


def import_torchscript(
    file: Path, name: str, origin: TorchscriptOrigin, *, overwrite: bool = False, tell: Announce
) -> Bundle:
    """Converts a TorchScript file into a bundle, once, in a process of its own. Only for files from those whom you trust.

    Raises:
        MissingExtraError: torch is not installed.
        ModelError: the file is missing, not the one that its checksum tells of, or can't be converted.
        RunError: there is a model of that name already, or the folder can't be written.
    """
    if not file.is_file():
        raise ModelError(f"{file}: no such file; expected a TorchScript file, or a bundle's folder or zip file")
    require_converter()
    reason = find_mismatch(file, origin.sha256, origin.digest_starts, origin.size_bytes)
    if reason is not None:
        raise ModelError(f"{file}: {reason}")
    with new_model(name, overwrite=overwrite) as folder:
        _convert(file, folder, name, origin, tell)
        bundle = read_bundle(folder)
    return _installed_bundle(bundle, name)


def is_bundle(source: Path) -> bool:
    """Whether a path is a bundle, as a folder or a zip file, rather than a TorchScript file."""
    return source.is_dir() or (source.is_file() and is_bundle_archive(source))


def require_converter() -> None:
    """Makes sure that TorchScript files can be converted.

    Raises:
        MissingExtraError: torch or onnx is not installed.
    """
    for package in ("torch", "onnx"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "train")


def find_mismatch(path: Path, sha256: str | None, digest_starts: str | None, size_bytes: int | None) -> str | None:
    """Why a file is not the one that is known by its size and checksum; None if it is, or if nothing is known."""
    size = path.stat().st_size
    if size_bytes is not None and size != size_bytes:
        return f"expected {size_bytes:,} bytes, got {size:,}"
    sums = digests(path)
    if sha256 is not None:
        return None if sums[0] == sha256.lower() else f"expected the sha256 {sha256.lower()}, got {sums[0]}"
    if digest_starts is not None and not any(digest.startswith(digest_starts) for digest in sums):
        return (
            f"expected a checksum that starts with {digest_starts}, got the sha256 {sums[0]}; if you know from its publisher "
            "that this is the file, give that checksum with --sha256"
        )
    return None


def digests(path: Path) -> tuple[str, str, str]:
    """A file's SHA-256, SHA-1 and MD5 in hexadecimal. The latter two only tell a mixed-up file, not a forged one."""
    sums = [hashlib.new(name, usedforsecurity=False) for name in ("sha256", "sha1", "md5")]
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            for one in sums:
                one.update(block)
    return sums[0].hexdigest(), sums[1].hexdigest(), sums[2].hexdigest()


def _convert(file: Path, folder: Path, name: str, origin: TorchscriptOrigin, tell: Announce) -> None:
    sha256 = digests(file)[0]
    if origin.sha256 is None:
        tell(
            f"warning: nobody has told the whole checksum of this file (its sha256 is {sha256}). A TorchScript file is a "
            "program: go on only if you trust where it came from."
        )
    tell("converting it, once; this takes a few minutes ...")
    source = {"format": "torchscript", "sha256": sha256, "urls": list(origin.urls)}
    job = {
        "file": str(file.resolve()),
        "folder": str(folder.resolve()),
        "model_id": name,
        "spec": origin.spec.to_json(),
        "licence": origin.licence,
        "provenance": {"source": source, "trained_on": origin.trained_on},
    }
    tell(f"converted; it differs from the TorchScript file by {_run_converter(job):.1g} m at most")


def _run_converter(job: dict[str, Any]) -> float:
    environment = {key: os.environ[key] for key in CONVERTER_ENVIRONMENT if key in os.environ}
    with tempfile.TemporaryDirectory() as empty:
        told = Path(empty) / "result.json"
        try:
            # -P: no module is taken from the folder in which it runs.
            done = subprocess.run(
                [sys.executable, "-P", "-m", CONVERTER],
                input=json.dumps({**job, "result": str(told)}),
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                cwd=empty,
                env=environment,
                timeout=CONVERSION_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{job['file']}: given up after {error.timeout:.0f} s of converting it") from error
        said = told.read_text(encoding="utf-8") if told.exists() else ""
    try:
        result = json.loads(said)
        if "error" in result:
            raise ModelError(result["error"])
        return float(result["difference_m"])
    except (ValueError, KeyError, TypeError) as error:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelError(
            f"{job['file']}: the process that converts it ended with status {done.returncode} ({last[:300]}); "
            "it may need more memory: several times the size of the file"
        ) from error


def _installed_bundle(bundle: Bundle, name: str) -> Bundle:
    """The bundle where it lies now that it is whole: `new_model` has moved its folder."""
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
    """Makes a model of this machine from a TorchScript file or a bundle.

    like: an entry of the registry whose input, licence and checksum apply. spec: fields of `InputSpec` that differ from it,
    or from the 2nd place's input.

    Raises:
        InputError: the file is a bundle, whose card states everything that was given; or an option is wrong.
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
    origin = replace(
        origin,
        spec=replace(origin.spec, **(spec or {})),
        licence=licence or origin.licence,
        trained_on=trained_on or origin.trained_on,
    )
    return import_torchscript(file, chosen, origin, overwrite=overwrite, tell=announce)
