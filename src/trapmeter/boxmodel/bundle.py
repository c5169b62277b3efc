"""A box model on disk: a folder with model.onnx (trees and networks) and bundle.json (all that is needed to use them)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from trapmeter.boxmodel.features import FEATURES
from trapmeter.boxmodel.novelty import CHECKED_FEATURES, Ranges
from trapmeter.errors import InputError, ModelError
from trapmeter.files import atomic_file, atomic_path, sha256_of_bytes
from trapmeter.uncertainty import Uncertainty

FORMAT = 2
TARGET = "log1p_m"
MODEL, CARD = "model.onnx", "bundle.json"


@dataclass(frozen=True, slots=True)
class BundleCard:
    """What bundle.json says."""

    model_id: str
    onnx_sha256: str
    uncertainty: Uncertainty
    seen: Ranges
    """Within which the boxes of the training lay (novelty.py)."""
    trained_on: Mapping[str, int]
    """Counts of rows, media and sites."""
    held_out: Mapping[str, float]
    """Figures at sites that the model had not seen."""
    settings: Mapping[str, Any]
    attribution: str = ""
    features: tuple[str, ...] = FEATURES
    target: str = TARGET
    format: int = FORMAT


def write_bundle(folder: Path, card: BundleCard, model: bytes) -> None:
    """Writes both files; the folder is made if need be."""
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
        raise ModelError(
            f"{folder / MODEL}: cannot be read ({error.strerror}); a bundle needs {MODEL} and {CARD}"
        ) from error
    found = sha256_of_bytes(model)
    if found != card.onnx_sha256:
        raise ModelError(
            f"{folder / MODEL}: is damaged or not the file that {CARD} tells of: expected sha256 "
            f"{card.onnx_sha256}, got {found}; copy or train the bundle again"
        )
    return card, model


def _read_card(path: Path) -> BundleCard:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); a bundle needs {MODEL} and {CARD}") from error
    except ValueError as error:
        raise ModelError(f"{path}: is not JSON ({error}); copy or train the bundle again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        came = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ModelError(f"{path}: expected a bundle of format {FORMAT}, got {came!r}; train it with this version")
    expected = {field.name for field in fields(BundleCard)}
    if set(content) != expected:
        odd = ", ".join(sorted(set(content) ^ expected))
        raise ModelError(f"{path}: these entries are missing or unknown: {odd}; train the bundle with this version")
    if content["target"] != TARGET:
        raise ModelError(f"{path}: expected the target {TARGET!r}, got {content['target']!r}")
    if content["features"] != list(FEATURES):
        raise ModelError(f"{path}: {_differing_features(content['features'])}; train the bundle with this version")
    if not isinstance(content["model_id"], str) or not isinstance(content["onnx_sha256"], str):
        raise ModelError(f"{path}: model_id and onnx_sha256 must be texts; train the bundle with this version")
    try:
        uncertainty = Uncertainty.from_json(content["uncertainty"])
    except InputError as error:
        raise ModelError(f"{path}: {error}; train the bundle with this version") from error
    seen = content["seen"]
    if (
        not isinstance(seen, dict)
        or not set(seen) <= set(CHECKED_FEATURES)
        or not all(_is_range(ends) for ends in seen.values())
    ):
        raise ModelError(f"{path}: seen must hold two numbers for some of {', '.join(CHECKED_FEATURES)}, got {seen!r}")
    return BundleCard(**{**content, "uncertainty": uncertainty, "features": FEATURES})


def _is_range(ends: object) -> bool:
    return isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, float) for end in ends)


def _differing_features(names: object) -> str:
    if not isinstance(names, list):
        return f"features must be a list of names, got {type(names).__name__}"
    if len(names) != len(FEATURES):
        return f"it was trained on {len(names)} features, this version computes {len(FEATURES)}"
    first = next(i for i, (theirs, ours) in enumerate(zip(names, FEATURES, strict=True)) if theirs != ours)
    return f"it was trained on other features: number {first} is {names[first]!r}, expected {FEATURES[first]!r}"
