"""A network on disk: a folder with model.onnx and bundle.json, which says what goes in, what comes out, and where it is from.

The file can run no code. Both parts are checked before use: sizes, the card, the checksum, the network's outline.
"""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmeter.errors import InputError, ModelError, told
from trapmeter.files import sha256_of, sha256_of_bytes, whole_file, whole_path
from trapmeter.models.onnx_file import check_onnx
from trapmeter.models.spec import InputSpec
from trapmeter.records import ModelIdentity
from trapmeter.uncertainty import Uncertainty

FORMAT = 1
CARD = "bundle.json"
NETWORK = "model.onnx"
MAX_CARD_BYTES = 1_000_000
MAX_NETWORK_BYTES = 2_000_000_000
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Bundle:
    """A network's card. provenance: what it was trained on and how, as plain values; licence: of the weights.

    uncertainty: how sure its answers are, None where nothing was held out to learn it from.
    """

    identity: ModelIdentity
    spec: InputSpec
    uncertainty: Uncertainty | None
    licence: str
    provenance: dict[str, Any]
    folder: Path

    @property
    def network(self) -> Path:
        """The ONNX file: input `windows`, uint8 (n, channels, height, width); output `metres`, float32 (n,)."""
        return self.folder / NETWORK


def write_bundle(
    folder: Path,
    network: bytes,
    model_id: str,
    spec: InputSpec,
    licence: str,
    provenance: dict[str, Any],
    uncertainty: Uncertainty | None = None,
) -> Bundle:
    """Writes a bundle; the card comes last, so that a folder with a card is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    with whole_path(folder / NETWORK) as partial:
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
    with whole_file(folder / CARD) as file:
        json.dump(card, file, indent=1)
        file.write("\n")
    return Bundle(ModelIdentity(model_id, sha256), spec, uncertainty, licence, provenance, folder)


def read_bundle(folder: Path) -> Bundle:
    """Reads and checks a bundle, its network's checksum included.

    Raises:
        ModelError: a part is missing, damaged, too large, of another format, or nothing that a bundle may hold.
    """
    card_path = folder / CARD
    try:
        _check_files(folder)
        card = json.loads(card_path.read_text(encoding="utf-8"))
        if card["trapmeter_bundle"] != FORMAT:
            raise ModelError(
                f"{card_path}: format {card['trapmeter_bundle']}, this version reads {FORMAT}; export it anew"
            )
        spec = InputSpec.from_json(card["input"])
        identity = ModelIdentity(_text(card, "model_id"), _text(card, "sha256"))
        known = card["uncertainty"]
        uncertainty = None if known is None else Uncertainty.from_json(known)
        bundle = Bundle(identity, spec, uncertainty, str(card["licence"]), dict(card["provenance"]), folder)
    except OSError as error:
        raise ModelError(f"{folder}: no bundle there ({error.strerror}); expected {CARD} and {NETWORK}") from error
    # A number too large, and brackets within brackets, are no ValueError.
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError, InputError) as error:
        raise ModelError(f"{card_path}: not a card of trapmeter ({told(error)}); export the bundle anew") from error
    found = sha256_of(bundle.network)
    if found != bundle.identity.sha256:
        raise ModelError(
            f"{bundle.network}: damaged or another one: expected sha256 {bundle.identity.sha256}, got {found}; copy it anew"
        )
    check_onnx(bundle.network)
    return bundle


def _check_files(folder: Path) -> None:
    for name, limit in ((CARD, MAX_CARD_BYTES), (NETWORK, MAX_NETWORK_BYTES)):
        status = (folder / name).stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{folder / name}: not a file; a bundle holds the files {CARD} and {NETWORK}")
        if status.st_size > limit:
            raise ModelError(
                f"{folder / name}: larger than in any bundle of trapmeter: expected at most {limit:,} bytes, got "
                f"{status.st_size:,}; take one from where it was made"
            )


def _text(card: dict[str, Any], key: str) -> str:
    """A short printable text; it goes into tables, reports and terminals."""
    text = card[key]
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        raise TypeError(f"{key} must be a printable text of 1 to {MAX_NAME} characters")
    return text
