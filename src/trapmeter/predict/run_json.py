"""What run.json tells of a run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trapmeter import __version__
from trapmeter.calibration.facts import Facts
from trapmeter.predict.cards import model_cards
from trapmeter.predict.facts import cameras_told
from trapmeter.predict.plan import Models, Work
from trapmeter.predict.seen import MediumSeen
from trapmeter.predict.summary import Summary


class Clock:
    """When a run was started, and the wall seconds of each of its stages."""

    def __init__(self) -> None:
        self.started_at = datetime.now(UTC)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the block as the stage of this name."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - started, 3)


def facts_of_run(
    work: Work, models: Models, seen: Sequence[MediumSeen], known: Facts, summary: Summary, clock: Clock
) -> dict[str, Any]:
    """All that tells how the results came about, as plain values."""
    return {
        "trapmeter": __version__,
        "started": clock.started_at.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "root": str(work.found.root),
        "arguments": work.settings.to_json(),
        "models": {role: asdict(identity) for role, identity in models.identities.items()},
        "runtime": None if models.chosen is None else asdict(models.chosen),
        "model_cards": model_cards(work.settings, models.bundles, has_detector="detector" in models.identities),
        "cameras": cameras_told(seen, known),
        "recorded": _recorded(seen),
        "counts": {name: value for name, value in asdict(summary).items() if name not in ("failures", "doubts")},
        "other_files": work.found.n_other,
        "errors_of_ours": sum(bool(medium.trace) for medium in seen),
        "unreadable_folders": [{"folder": str(folder), "reason": reason} for folder, reason in work.found.unreadable],
        "failures": [{"media_id": media_id, "reason": reason} for media_id, reason in summary.failures],
        "doubts": [{"media_id": media_id, "reason": reason} for media_id, reason in summary.doubts],
        "seconds": {
            **clock.seconds,
            "decode_all_workers": round(sum(medium.decode_s for medium in seen), 3),
            "detect_all_workers": round(sum(medium.detect_s for medium in seen), 3),
            "networks_all_workers": round(sum(medium.network_s for medium in seen), 3),
        },
    }


def _recorded(seen: Sequence[MediumSeen]) -> dict[str, Any]:
    """Of how many media the date is known, and the first and the last."""
    dates = sorted(medium.recorded for medium in seen if medium.recorded)
    return {"n_media": len(dates), "first": dates[0] if dates else None, "last": dates[-1] if dates else None}


REMADE = {
    "site": "--site",
    "hfov_deg": "--hfov",
    "cameras": "--cameras",
    "exif": "--exif",
    "trained_hfov_deg": "--trained-hfov",
    "species": "--species",
    "shoulder_m": "--shoulder-height",
    "box_model": "--box-model",
    "blend": "--blend",
}
"""Arguments that say what is made of what was seen: a run may go on with others, and its rows are made anew."""


def changed_arguments(path: Path, facts: dict[str, Any]) -> list[str]:
    """Which of REMADE the run that left its run.json at path had otherwise, as texts; none where there was no such run."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["arguments"]
        pairs = [(option, before.get(name), facts["arguments"][name]) for name, option in REMADE.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [f"{option} was {_given(old)}, is {_given(new)}" for option, old, new in pairs if old != new]


def _given(value: Any) -> str:
    return "not given" if value is None else str(value)
