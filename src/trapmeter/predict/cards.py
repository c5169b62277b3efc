"""What should be known of the models that answered: for run.json, and from there for every report of its results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trapmeter.boxmodel.bundle import BundleCard
from trapmeter.boxmodel.bundle import read_bundle as read_box_bundle
from trapmeter.boxmodel.model import EMBEDDED
from trapmeter.detect.megadetector_lite import EMBEDDED as DETECTORS
from trapmeter.models.bundle import Bundle
from trapmeter.predict.settings import PredictSettings
from trapmeter.uncertainty import FARTHEST_LABEL_M, MAX_M

OUR_LICENCE = "MIT, as trapmeter itself"

Card = dict[str, str]
"""Plain texts: model_id, role, licence, trained_on, held_out, valid, and attribution, each "" where nobody told it."""


def model_cards(settings: PredictSettings, bundles: Sequence[Bundle], *, has_detector: bool) -> list[Card]:
    """The cards of a run's models: detector, networks, box model."""
    cards = [_of_detector(DETECTORS[settings.detector])] if has_detector else []
    cards += [_of_network(bundle) for bundle in bundles]
    if not bundles or settings.blend is not None:
        folder = EMBEDDED if settings.box_model is None else settings.box_model
        cards.append(_of_box_model(read_box_bundle(folder)[0], is_ours=settings.box_model is None))
    return cards


def _of_detector(path: Path) -> Card:
    told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return {
        "model_id": told["model_id"],
        "role": "finds the animals",
        "licence": f"{told['licence']} ((c) DrivenData Inc.)",
        "trained_on": "pictures of camera traps, with MegaDetector's boxes as the truth",
        "held_out": "",
        "valid": "animals that are large enough to be seen in a picture of 640 pixels; small, far and hidden ones are missed",
        "attribution": told["source"]["package"],
    }


def _of_box_model(card: BundleCard, *, is_ours: bool) -> Card:
    counts, figures = card.trained_on, card.held_out
    low, high = card.seen.get("log_h", (-math.inf, 0.0))
    heights = f"boxes of {math.exp(low):.0%} to {math.exp(min(high, 0.0)):.0%} of the picture's height; "
    return {
        "model_id": card.model_id,
        "role": "tells distances from boxes alone",
        "licence": OUR_LICENCE if is_ours else "",
        "trained_on": ", ".join(f"{counts[name]:,} {name}" for name in ("rows", "media", "sites") if name in counts),
        "held_out": _error(figures.get("mae_m"), "sites that it had not seen", figures.get("coverage")),
        "valid": f"{heights}distances up to {FARTHEST_LABEL_M:g} m, intervals end at {MAX_M:g} m; other places, species and "
        "lenses only where checked with --truth",
        "attribution": card.attribution,
    }


def _of_network(bundle: Bundle) -> Card:
    told = bundle.provenance
    held_out = _mapping(told.get("held_out"))
    trained = told.get("trained_on")
    return {
        "model_id": bundle.identity.model_id,
        "role": "tells distances from pictures",
        "licence": bundle.licence,
        "trained_on": _moments(trained) or _short(trained),
        "held_out": _error(held_out.get("mae_m"), f"{_short(held_out.get('moments'))} moments held out", None),
        "valid": "cameras, animals and places like those that it has learnt from",
        "attribution": "",
    }


def _error(mae_m: Any, where: str, coverage: float | None) -> str:
    if not isinstance(mae_m, int | float):
        return ""
    inside = "" if coverage is None else f"; {coverage:.0%} inside the 90 % interval"
    return f"mean absolute error {mae_m:.2f} m at {where}{inside}"


def _moments(trained: object) -> str:
    moments = trained.get("moments") if isinstance(trained, dict) else None
    return f"{moments:,} moments" if isinstance(moments, int) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _short(value: Any) -> str:
    """A text of a card as it stands, cut where it is long: cards come from elsewhere."""
    return "" if value is None else str(value)[:300]
