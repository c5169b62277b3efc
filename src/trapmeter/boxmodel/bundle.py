"""Writes, reads and checks the bundle of a box model: model.onnx and bundle.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from trapmeter.boxmodel.features import FEATURES
from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.boxmodel.novelty import CHECKED_FEATURES, Ranges
from trapmeter.errors import InputError, ModelError
from trapmeter.files import atomic_file, atomic_path, sha256_of_bytes
from trapmeter.uncertainty import Uncertainty

FORMAT = 3
TARGET = "log1p_m"
MODEL, CARD = "model.onnx", "bundle.json"


@dataclass(frozen=True, slots=True)
class BundleCard:
    """The contents of bundle.json."""

    model_id: str
    onnx_sha256: str
    uncertainties: Mapping[Knowledge, Uncertainty]
    """The errors to expect, by what is known."""
    seen: Ranges
    """Where the boxes of the training data lie (novelty.py)."""
    trained_on: Mapping[str, int]
    """Counts of rows, media and sites."""
    held_out: Mapping[str, Any]
    """Figures at held-out sites, of all rows and by park and what the model was told."""
    settings: Mapping[str, Any]
    attribution: str = ""
    features: tuple[str, ...] = FEATURES
    target: str = TARGET
    format: int = FORMAT


def write_bundle(folder: Path, card: BundleCard, model: bytes) -> None:
    """Writes both files; creates the folder if it doesn't exist."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / MODEL) as partial:
        partial.write_bytes(model)
    text = json.dumps(asdict(card), indent=1, ensure_ascii=False)
    with atomic_file(folder / CARD) as file:
        file.write(text + "\n")


def read_bundle(folder: Path) -> tuple[BundleCard, bytes]:
    """Reads and checks a bundle.

    Raises:
        ModelError: a file is missing or damaged, or the bundle was made for another version of trapmeter.
    """
    card = _read_card(folder / CARD)
    try:
        model = (folder / MODEL).read_bytes()
    except OSError as error:
        raise _unreadable(folder / MODEL, error) from error
    sha256 = sha256_of_bytes(model)
    if sha256 != card.onnx_sha256:
        raise ModelError(
            f"{folder / MODEL}: damaged, or not the file that {CARD} belongs to: expected sha256 "
            f"{card.onnx_sha256}, got {sha256}; copy or train the bundle again"
        )
    return card, model


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"{path}: cannot be read ({error.strerror}); a bundle needs {MODEL} and {CARD}")


def _read_card(path: Path) -> BundleCard:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}); copy or train the bundle again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ModelError(f"{path}: expected a bundle of format {FORMAT}, got {found!r}; {_RETRAIN}")
    expected = {field.name for field in fields(BundleCard)}
    if set(content) != expected:
        odd = ", ".join(sorted(set(content) ^ expected))
        raise ModelError(f"{path}: missing or unknown: {odd}; {_RETRAIN}")
    if content["target"] != TARGET:
        raise ModelError(f"{path}: expected the target {TARGET!r}, got {content['target']!r}")
    if content["features"] != list(FEATURES):
        raise ModelError(f"{path}: {_differing_features(content['features'])}; {_RETRAIN}")
    if not isinstance(content["model_id"], str) or not isinstance(content["onnx_sha256"], str):
        raise ModelError(f"{path}: model_id and onnx_sha256 must be texts; {_RETRAIN}")
    uncertainties = _read_uncertainties(path, content["uncertainties"])
    ranges = content["seen"]
    if (
        not isinstance(ranges, dict)
        or not set(ranges) <= set(CHECKED_FEATURES)
        or not all(_is_range(ends) for ends in ranges.values())
    ):
        raise ModelError(
            f"{path}: seen must have two numbers for some of {', '.join(CHECKED_FEATURES)}, got {ranges!r}; {_RETRAIN}"
        )
    return BundleCard(**{**content, "uncertainties": uncertainties, "features": FEATURES})


def _read_uncertainties(path: Path, content: object) -> dict[Knowledge, Uncertainty]:
    if not isinstance(content, dict) or set(content) != set(Knowledge):
        raise ModelError(f"{path}: uncertainties must have one for each of {', '.join(Knowledge)}; {_RETRAIN}")
    try:
        return {known: Uncertainty.from_json(content[known]) for known in Knowledge}
    except InputError as error:
        raise ModelError(f"{path}: {error}; {_RETRAIN}") from error


_RETRAIN = "train the bundle with this version"


def _is_range(ends: object) -> bool:
    return isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, float) for end in ends)


def _differing_features(names: object) -> str:
    if not isinstance(names, list):
        return f"features must be a list of names, got {type(names).__name__}"
    if len(names) != len(FEATURES):
        return f"it was trained on {len(names)} features, this version computes {len(FEATURES)}"
    first = next(i for i, (name, expected) in enumerate(zip(names, FEATURES, strict=True)) if name != expected)
    return f"it was trained on other features: number {first} is {names[first]!r}, expected {FEATURES[first]!r}"
