"""The models installed on this machine: their folder, names and locks.

MODELS/zamba-depth/bundle.json, model.onnx      a complete model
MODELS/.downloads/zamba-depth.part              a download so far
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from trapmeter.errors import InputError, ModelError, RunError
from trapmeter.files import atomic_folder, cache_folder
from trapmeter.models.registry import check_name, read_registry

MODELS_VARIABLE = "TRAPMETER_MODELS"


def models_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The folder of all models: $TRAPMETER_MODELS, or `trapmeter/models` in the system's cache folder."""
    if environment.get(MODELS_VARIABLE):
        return Path(environment[MODELS_VARIABLE])
    return cache_folder(environment, platform) / "models"


def installed_models(folder: Path | None = None) -> dict[str, Path]:
    """The folders of the installed models by name."""
    from trapmeter.models.bundle import CARD_FILE

    root = models_folder() if folder is None else folder
    if not root.is_dir():
        return {}
    return {path.name: path for path in sorted(root.iterdir()) if path.name[0] != "." and (path / CARD_FILE).is_file()}


def find_model(text: str | Path) -> Path:
    """The bundle's folder for a path or the name of an installed model; an existing path takes precedence.

    Raises:
        ModelError: there is neither; the text says how to get it.
    """
    path = Path(text)
    if path.exists():
        return path
    name = str(text)
    installed = installed_models()
    if name in installed:
        return installed[name]
    if name in read_registry():
        raise ModelError(
            f"the model {name!r} is published but not installed; install it with: trapmeter models pull {name}"
        )
    raise ModelError(
        f"{text}: no such folder, and no model of that name in {models_folder()} "
        f"(installed: {', '.join(installed) or 'none'}); "
        "list published models with trapmeter models list, and install one with trapmeter models pull NAME"
    )


@contextmanager
def new_model(name: str, *, overwrite: bool) -> Iterator[Path]:
    """An empty folder to write a bundle into; once the block ends without an error, it becomes the model's folder.

    Raises:
        InputError: the name isn't allowed.
        RunError: a model of that name exists, another process is installing it, or the folder can't be written.
    """
    root = models_folder()
    final = root / check_name(name)
    with locked_model(name):
        if final.exists() and not overwrite:
            raise RunError(f"{final}: this model exists already; choose another --name, or replace it with --overwrite")
        with atomic_folder(final) as fresh:
            yield fresh


def download_path(name: str) -> Path:
    """The part file of a model's download."""
    return models_folder() / ".downloads" / f"{check_name(name)}.part"


@contextmanager
def locked_model(name: str) -> Iterator[None]:
    """Keeps other processes from installing the model of that name. The same process may nest it.

    Raises:
        RunError: another process is installing it, or the folder can't be created.
    """
    part = download_path(name)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(part.with_suffix(".lock"), timeout=0, is_singleton=True)
        lock.acquire()
    except Timeout as error:
        raise RunError(f"another process is installing the model {name!r}; wait for it") from error
    except OSError as error:
        raise RunError(
            f"{part.parent} can't be used: {error.strerror or error}; choose another folder with {MODELS_VARIABLE}"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            lock.release()


def model_name_from(path: Path) -> str:
    """A model's name made from a file's: in lower case, with dashes in place of characters that names can't have.

    Raises:
        InputError: no character is left.
    """
    stem = path.name.split(".")[0] if path.is_file() else path.name
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in stem.lower()).strip("-_")[:64]
    if not name:
        raise InputError(f"{path.name}: can't be turned into a model's name; give one with --name")
    return check_name(name)
