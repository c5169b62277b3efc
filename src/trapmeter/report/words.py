"""Fixed texts of the reports, and the way they write numbers and dates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trapmeter.records import Status

if TYPE_CHECKING:
    from trapmeter.prediction.estimates import RunSummary

COLUMN_MEANINGS = {
    "media_id": "The video or photo: its path below the measured folder.",
    "time_s": "The time in seconds from the start of the video; 0 for a photo.",
    "animal_id": "The number of the animal within its video or photo, from 1; the same in every second.",
    "x1": "Left edge of the animal's box, from 0 (left edge of the picture) to 1 (right edge).",
    "y1": "Top edge of the box, from 0 (top of the picture) to 1 (bottom).",
    "x2": "Right edge of the box.",
    "y2": "Bottom edge of the box.",
    "score": "How sure the detector is that there is an animal, from 0 to 1.",
    "distance_m": "Distance from the camera to the animal, in metres.",
    "low_m": "Lower end of the 90 % interval, in metres.",
    "high_m": "Upper end of the 90 % interval, in metres.",
    "angle_deg": "Direction of the animal in degrees: 0 straight ahead, positive to the right.",
    "site_id": "The site of the camera, if known.",
    "status": "The outcome for this second (see the next table).",
    "reason": "Why the second failed or is unknown, or what is doubtful about it.",
    "model_id": "The model that estimated the distance.",
    "q05_m ... q95_m": "Ten equally likely distances in metres, called draws: the middles of the ten tenths of the model's "
    "estimate. For density, give each draw a tenth of the row's weight; together they have the spread that distance_m lacks.",
    "night": "1 if most pictures of the video or photo lack colour, as with an infrared flash; 0 if they have colour.",
    "species": "The species by its scientific name, from --species, a classifier or a Camtrap DP; the column exists only if "
    "species are known. Homo sapiens and vehicle are kept apart from animals: such rows have no distance.",
    "species_score": "How sure the classifier is of the species, from 0 to 1; empty if a person named it.",
    "species_label": "What the classifier or a person said, if that is another name than species.",
}
"""What the columns of distances.csv mean, in their order."""

STATUS_MEANINGS = {
    Status.MEASURED: "An animal was found and its distance measured. One row per animal.",
    Status.NO_ANIMAL: "The picture was read, and no animal was found in it.",
    Status.UNKNOWN: "There may be an animal or not: no detector saw this picture, or a part of it is lost.",
    Status.FAILED: "The picture could not be read; the reason says why. Whether it shows animals is unknown.",
    Status.PAST_END: "The requested second is past the end of the video.",
}

STAGE_NAMES = {
    "find": "Finding videos and photos",
    "load models": "Loading the models",
    "look": "Finding animals",
    "measure": "Measuring distances",
    "write": "Writing the tables",
    "decode_all_workers": "Decoding, sum over all workers",
    "detect_all_workers": "Detection, sum over all workers",
    "networks_all_workers": "Networks, sum over all workers",
}

NIGHT_MEANING = "Night means that most pictures of a video or photo lack colour, as with an infrared flash."
NO_NIGHT = (
    "Day and night are unknown, since this run never examined the colours of the pictures: its boxes come from a table, or "
    "its version of trapmeter was older."
)

CARD_NAMES = {
    "role": "Task",
    "licence": "Licence",
    "trained_on": "Training data",
    "held_out": "Error on held-out data",
    "valid": "Valid for",
    "attribution": "Source",
}
"""The rows of a model card, in their order."""

MODEL_ROLES = {"detector": "Detector", "distance": "Distance model"}


def metres(value: float | None, decimals: int = 1) -> str:
    """A distance without its unit; a dash for None."""
    return "–" if value is None else f"{value:.{decimals}f}"


def signed(value: float) -> str:
    """A difference in metres with its sign and without its unit; without a sign if it rounds to 0."""
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def percent(share: float) -> str:
    """A share (0..1) as a whole number of percent."""
    return f"{share * 100:.0f} %"


def seconds_text(value: float) -> str:
    """A time without its unit and without trailing zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def band_text(low_m: float, high_m: float) -> str:
    """The name of a range of distances: 2–4, or 15+ if it has no end."""
    return f"{low_m:g}+" if math.isinf(high_m) else f"{low_m:g}–{high_m:g}"


def counted(n: int, singular: str, plural: str) -> str:
    """A number and its noun, such as "1 site" or "1,200 sites"."""
    return f"{n:,} {singular if n == 1 else plural}"


def date_text(text: Any) -> str:
    """A date and time of run.json in readable form; any other text unchanged."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    return f"{when:%Y-%m-%d %H:%M %Z}".strip()


def value_text(value: Any) -> str:
    """The value of an argument as text."""
    if value is None or value == {}:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {value_text(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(value_text, value))
    return str(value)


def calibration_sentence(facts: Mapping[str, Any]) -> str:
    """What `calibrate` changed; "" without a calibration."""
    calibration, counts = _step(facts, "calibration")
    if calibration is None:
        return ""
    inputs = calibration.get("inputs")
    sources = [name for name in ("labels", "points", "cameras") if isinstance(inputs, Mapping) and name in inputs]
    by = f" by {', '.join(sources)}" if sources else ""
    return (
        f"{counts.get('moved', 0):,} distances at {counted(counts.get('sites', 0), 'site', 'sites')}{by}, with trapmeter "
        f"{calibration.get('trapmeter', '')}"
    )


def review_sentence(facts: Mapping[str, Any]) -> str:
    """How many rows people reviewed, and with what result; "" without a review."""
    review, counts = _step(facts, "review")
    if review is None:
        return ""
    decided = ", ".join(f"{n:,} {str(verdict).replace('_', ' ')}" for verdict, n in counts.items() if verdict != "open")
    return f"{decided}; {counts.get('open', 0):,} not reviewed; with trapmeter {review.get('trapmeter', '')}"


def _step(facts: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any] | None, Mapping[str, Any]]:
    """What run.json says of a later step, and its counts; None and {} without them."""
    step = facts.get(name)
    counts = step.get("counts") if isinstance(step, Mapping) else None
    return (step, counts) if isinstance(step, Mapping) and isinstance(counts, Mapping) else (None, {})


def recording_span(facts: Mapping[str, Any]) -> str:
    """The first and last day of recording, according to the files; "" if no file says."""
    recorded = facts.get("recorded")
    if not isinstance(recorded, Mapping) or not recorded.get("n_media"):
        return ""
    first, last = (str(recorded.get(name)).split("T")[0] for name in ("first", "last"))
    span = first if first == last else f"{first} to {last}"
    return f"{span}, according to {counted(recorded['n_media'], 'file', 'files')}"


def card_rows(cards: Any) -> list[dict[str, Any]]:
    """The model cards of run.json as rows of names and values; missing values read "unknown"."""
    return [
        {
            "model_id": str(card.get("model_id", "")),
            "rows": [(name, str(card.get(key) or "unknown")) for key, name in CARD_NAMES.items()],
        }
        for card in (cards if isinstance(cards, list) else [])
        if isinstance(card, Mapping)
    ]


def status_sentence(summary: RunSummary) -> str:
    """One sentence on how much of the media was read."""
    n, n_failed = summary.n_media, summary.n_failed_media
    if not n_failed:
        read = "The only video or photo was read." if n == 1 else f"All {n:,} videos and photos were read."
    else:
        media = counted(n, "video or photo", "videos and photos")
        read = f"{n - n_failed:,} of {media} read; {n_failed:,} failed at least in part."
    return read if summary.n_measured else f"{read} No animal was measured."
