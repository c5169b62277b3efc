"""The content of run.json: arguments, models with their cards, counts and seconds spent."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trapmeter._version import __version__
from trapmeter.boxmodel.bundle import BundleCard
from trapmeter.boxmodel.bundle import read_bundle as read_box_bundle
from trapmeter.boxmodel.model import EMBEDDED
from trapmeter.calibration.field_facts import FieldFacts
from trapmeter.detect.megadetector_lite import EMBEDDED as DETECTORS
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.models.bundle import Bundle
from trapmeter.models.runtimes.choice import RuntimeChoice
from trapmeter.prediction.camera_correction import count_known_cameras
from trapmeter.prediction.estimates import RunSummary
from trapmeter.prediction.medium_result import MediumResult
from trapmeter.prediction.plan import RunModels, RunPlan
from trapmeter.prediction.settings import PredictSettings
from trapmeter.records import ModelIdentity
from trapmeter.settings import to_values
from trapmeter.tables.medium_times import MediumTime
from trapmeter.uncertainty import FARTHEST_LABEL_M, MAX_M


class RunClock:
    """When a run started, and the wall-clock seconds of each of its stages."""

    def __init__(self) -> None:
        self.started_at = datetime.now(UTC)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the block as the stage with this name."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - started, 3)


def describe_run(
    plan: RunPlan,
    models: RunModels,
    media: Sequence[MediumResult],
    camera_facts: FieldFacts,
    times: Sequence[MediumTime],
    summary: RunSummary,
    clock: RunClock,
) -> dict[str, Any]:
    """How the results came about, as plain values."""
    return {
        "trapmeter": __version__,
        "started": clock.started_at.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "root": str(plan.found.root),
        "arguments": to_values(plan.settings),
        "models": {role: asdict(identity) for role, identity in models.identities.items()},
        "runtime": None if models.runtime_choice is None else _runtime_facts(models.runtime_choice),
        "model_cards": model_cards(plan.settings, models.bundles, models.identities.get("detector")),
        "cameras": count_known_cameras(media, camera_facts),
        "recorded": _recording_dates(times),
        "counts": {name: value for name, value in asdict(summary).items() if name not in ("failures", "doubts")},
        "other_files": dict(plan.found.n_other),
        "notes": [*plan.sources.notes, *plan.task_plan.notes, *models.notes],
        "errors_of_ours": sum(bool(medium.trace) for medium in media),
        "unreadable_folders": [{"folder": str(folder), "reason": reason} for folder, reason in plan.found.unreadable],
        "failures": [{"media_id": media_id, "reason": reason} for media_id, reason in summary.failures],
        "doubts": [{"media_id": media_id, "reason": reason} for media_id, reason in summary.doubts],
        "seconds": {
            **clock.seconds,
            "decode_all_workers": round(sum(medium.decode_s for medium in media), 3),
            "detect_all_workers": round(sum(medium.detect_s for medium in media), 3),
            "networks_all_workers": round(sum(medium.network_s for medium in media), 3),
        },
    }


def _runtime_facts(choice: RuntimeChoice) -> dict[str, str]:
    return {"runtime": choice.runtime, "why": choice.reason}


def _recording_dates(times: Sequence[MediumTime]) -> dict[str, Any]:
    """The number of media with a known date, the first and last date, and how many media each source dated."""
    dates = sorted(medium.taken_at.isoformat() for medium in times if medium.taken_at and medium.is_date_known)
    sources = Counter("unknown" if medium.source is None else medium.source.value for medium in times)
    first, last = (dates[0], dates[-1]) if dates else (None, None)
    return {"n_media": len(dates), "first": first, "last": last, "sources": dict(sorted(sources.items()))}


RECOMPUTED = {
    "site": "--site",
    "hfov_deg": "--hfov",
    "cameras": "--cameras",
    "exif": "--exif",
    "trained_hfov_deg": "--trained-hfov",
    "species": "--species",
    "shoulder_m": "--shoulder-height",
    "min_species_score": "--min-species-score",
    "media_times": "--media-times",
    "deployments": "--deployments",
    "clock_offset": "--clock-offset",
    "timezone": "--timezone",
    "burst_gap_s": "--burst-gap",
    "independence_min": "--independence",
    "box_model": "--box-model",
    "blend": "--blend",
}
"""Arguments that don't affect detection, with their options: a resumed run may change them, and recomputes its rows."""


def find_changed_arguments(path: Path, facts: dict[str, Any]) -> list[str]:
    """Texts on the RECOMPUTED arguments that differ from those of the run whose run.json is at path, if there is one."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["arguments"]
        pairs = [(option, before.get(name), facts["arguments"][name]) for name, option in RECOMPUTED.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [f"{option} was {_argument_text(old)}, is {_argument_text(new)}" for option, old, new in pairs if old != new]


def _argument_text(value: Any) -> str:
    return "not given" if value is None else str(value)


TRAPMETER_LICENCE = "MIT, as trapmeter itself"
DETECTOR_ROLE = "finds the animals"

ModelCard = dict[str, str]
"""Plain texts: model_id, role, licence, trained_on, held_out, valid, and attribution, each "" if unknown."""


def model_cards(
    settings: PredictSettings, bundles: Sequence[Bundle], detector: ModelIdentity | None
) -> list[ModelCard]:
    """The cards of a run's models: detector (None if no detector ran), networks, box model."""
    cards = [] if detector is None else [_detector_card(settings.detector, detector)]
    cards += [_network_card(bundle) for bundle in bundles]
    if not bundles or settings.blend is not None:
        folder = EMBEDDED if settings.box_model is None else settings.box_model
        cards.append(_box_model_card(read_box_bundle(folder)[0], is_embedded=settings.box_model is None))
    return cards


def _detector_card(detector: DetectorPrecision | Path, identity: ModelIdentity) -> ModelCard:
    if isinstance(detector, Path):
        return {
            "model_id": identity.model_id,
            "role": DETECTOR_ROLE,
            "licence": "as given by the user",
            "trained_on": "",
            "held_out": "",
            "valid": "unknown: trapmeter has not measured how many animals this detector finds",
            "attribution": f"a file of the user, sha256 {identity.sha256}",
        }
    card = json.loads(DETECTORS[detector].with_suffix(".json").read_text(encoding="utf-8"))
    return {
        "model_id": card["model_id"],
        "role": DETECTOR_ROLE,
        "licence": f"{card['licence']} ((c) DrivenData Inc.)",
        "trained_on": "camera-trap pictures, with MegaDetector's boxes as the truth",
        "held_out": "",
        "valid": "animals that are visible in a picture of 640 pixels; it misses small, far and hidden ones",
        "attribution": card["source"]["package"],
    }


def _box_model_card(card: BundleCard, *, is_embedded: bool) -> ModelCard:
    counts, figures = card.trained_on, card.held_out
    low, high = card.seen.get("log_h", (-math.inf, 0.0))
    heights = f"boxes of {math.exp(low):.0%} to {math.exp(min(high, 0.0)):.0%} of the picture's height; "
    simulated = f", and {counts['simulated_rows']:,} simulated rows" if counts.get("simulated_rows") else ""
    held_out = "real and rendered sites held out of training" if is_embedded else "sites held out of training"
    return {
        "model_id": card.model_id,
        "role": "predicts distances from boxes and what is known about cameras and animals",
        "licence": TRAPMETER_LICENCE if is_embedded else "",
        "trained_on": ", ".join(f"{counts[name]:,} {name}" for name in ("rows", "media", "sites") if name in counts)
        + simulated,
        "held_out": _error_text(figures.get("mae_m"), held_out, figures.get("coverage")),
        "valid": f"{heights}distances up to {FARTHEST_LABEL_M:g} m, intervals end at {MAX_M:g} m; for other places, species "
        "and lenses, check with --truth",
        "attribution": card.attribution,
    }


def _network_card(bundle: Bundle) -> ModelCard:
    provenance = bundle.provenance
    held_out = as_mapping(provenance.get("held_out"))
    trained = provenance.get("trained_on")
    return {
        "model_id": bundle.identity.model_id,
        "role": "predicts distances from pictures",
        "licence": bundle.licence,
        "trained_on": _count_text(trained) or _shortened(trained),
        "held_out": _error_text(held_out.get("mae_m"), f"{_shortened(held_out.get('moments'))} held-out seconds", None),
        "valid": "cameras, animals and places like those of its training",
        "attribution": "",
    }


def _error_text(mae_m: Any, where: str, coverage: float | None) -> str:
    if not isinstance(mae_m, int | float):
        return ""
    inside = "" if coverage is None else f"; {coverage:.0%} inside the 90 % interval"
    return f"mean absolute error {mae_m:.2f} m at {where}{inside}"


def _count_text(trained: object) -> str:
    moments = trained.get("moments") if isinstance(trained, dict) else None
    return f"{moments:,} seconds" if isinstance(moments, int) else ""


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, as from a JSON object; else an empty one."""
    return value if isinstance(value, dict) else {}


def _shortened(value: Any) -> str:
    """The text of a card, cut if it is long: cards may come from anywhere."""
    return "" if value is None else str(value)[:300]
