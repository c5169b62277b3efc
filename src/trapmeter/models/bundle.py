"""A network on disk: a folder with model.onnx and bundle.json, which says what goes in, what comes out, and where it is from.

The file can run no code. Both parts are checked before use: checksum, sizes, shapes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmeter.errors import InputError, ModelError
from trapmeter.files import sha256_of, sha256_of_bytes, whole_file
from trapmeter.models.spec import InputSpec
from trapmeter.records import ModelIdentity
from trapmeter.uncertainty import Uncertainty

FORMAT = 1
CARD = "bundle.json"
NETWORK = "model.onnx"
MAX_CARD_BYTES = 1_000_000
MAX_NETWORK_BYTES = 2_000_000_000


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
    (folder / NETWORK).write_bytes(network)
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
        ModelError: a part is missing, damaged, too large or of another format.
    """
    card_path = folder / CARD
    try:
        if card_path.stat().st_size > MAX_CARD_BYTES or (folder / NETWORK).stat().st_size > MAX_NETWORK_BYTES:
            raise ModelError(f"{folder}: larger than any bundle of trapmeter; take one from where it was made")
        card = json.loads(card_path.read_text(encoding="utf-8"))
        if card["trapmeter_bundle"] != FORMAT:
            raise ModelError(
                f"{card_path}: format {card['trapmeter_bundle']}, this version reads {FORMAT}; export it anew"
            )
        spec = InputSpec.from_json(card["input"])
        identity = ModelIdentity(str(card["model_id"]), str(card["sha256"]))
        known = card["uncertainty"]
        uncertainty = None if known is None else Uncertainty.from_json(known)
        bundle = Bundle(identity, spec, uncertainty, str(card["licence"]), dict(card["provenance"]), folder)
    except OSError as error:
        raise ModelError(f"{folder}: no bundle there ({error.strerror}); expected {CARD} and {NETWORK}") from error
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise ModelError(f"{card_path}: not a card of trapmeter ({error}); export the bundle anew") from error
    found = sha256_of(bundle.network)
    if found != bundle.identity.sha256:
        raise ModelError(
            f"{bundle.network}: damaged or another one: expected sha256 {bundle.identity.sha256}, got {found}; copy it anew"
        )
    return bundle
