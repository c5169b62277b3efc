"""The fixed texts of the report, and how numbers and foreign texts are written in it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trapmeter.records import Status

if TYPE_CHECKING:
    from trapmeter.prediction.estimates import RunSummary
    from trapmeter.report.groups import DistanceGroups

COLUMN_MEANINGS = {
    "media_id": "The video or photo: its path below the folder that was measured.",
    "time_s": "The moment, in seconds from the start of the video; 0 for a photo.",
    "animal_id": "Counts the animals of a medium from 1 on; an animal keeps its number from second to second.",
    "x1": "Left edge of the animal's box, from 0 (left edge of the picture) to 1 (right edge).",
    "y1": "Top edge of the box, from 0 (top of the picture) to 1 (bottom).",
    "x2": "Right edge of the box.",
    "y2": "Bottom edge of the box.",
    "score": "How sure the detector is that there is an animal, from 0 to 1.",
    "distance_m": "Distance from the camera to the animal, in metres.",
    "low_m": "Lower end of the 90 % interval, in metres.",
    "high_m": "Upper end of the 90 % interval, in metres.",
    "angle_deg": "Direction of the animal in degrees: 0 straight ahead, positive to the right.",
    "site_id": "The place of the camera, where it is known.",
    "status": "What became of the moment (see the next table).",
    "reason": "Why the moment failed, or what is doubtful about it.",
    "model_id": "The model that measured the distance.",
    "q05_m ... q95_m": "Where the animal may stand: the middles of the ten tenths of all possible distances, in metres. For "
    "density give each of a row's ten values a tenth of its weight: their mix has the spread that distance_m lacks.",
    "night": "1 where the medium's pictures are without colours, as by infrared flash; 0 where they have colours.",
    "species": "The species, where --species told it; the column is there only then.",
}
"""What the columns of distances.csv mean, in their order."""

STATUS_MEANINGS = {
    Status.MEASURED: "An animal was found and its distance measured. A row per animal.",
    Status.NO_ANIMAL: "The picture was read, and no animal was found in it.",
    Status.FAILED: "The picture could not be read; the reason says why. Nothing is known of animals in it.",
    Status.PAST_END: "The moment that was asked for lies past the end of the medium.",
}

ARGUMENT_NAMES = {
    "paths": "Files and folders",
    "out": "Folder for the results (--out)",
    "every_s": "Seconds from one moment to the next (--every)",
    "times": "Table of moments (--times)",
    "boxes": "Table of animals' boxes (--boxes)",
    "site": "Where the site stands (--site)",
    "detector": "Precision of the detector (--detector)",
    "min_score": "Least score of a box (--min-score)",
    "hfov_deg": "Horizontal field of view in degrees (--hfov)",
    "cameras": "Facts of the cameras (--cameras)",
    "exif": "Fields of view from EXIF (--exif)",
    "trained_hfov_deg": "Horizontal field of view of the models' training (--trained-hfov)",
    "species": "Species (--species)",
    "shoulder_m": "Shoulder height in metres (--shoulder-height)",
    "truth": "Known distances (--truth)",
    "places": "Places of the sites (--places)",
    "box_model": "Box model (--box-model)",
    "models": "Networks (--model)",
    "blend": "Blend of networks and box model (--blend)",
    "runtime": "What runs the networks (--runtime)",
    "flip": "Mirror images too (--flip)",
    "detect": "Animals are looked for (not with --no-detect)",
    "store": "Frame store (--store)",
    "jobs": "Worker processes (--jobs)",
    "overwrite": "Start anew (--overwrite)",
}

STAGE_NAMES = {
    "find": "Finding the media",
    "load models": "Loading the models",
    "look": "Looking for animals",
    "measure": "Measuring distances",
    "write": "Writing the tables",
    "decode_all_workers": "Decoding, all workers added up",
    "detect_all_workers": "Detecting, all workers added up",
    "networks_all_workers": "Networks, all workers added up",
}

NO_NIGHT = (
    "Whether it was day or night is not known: this run took its boxes from a table or is of an earlier version, so "
    "that nobody looked at the pictures' colours."
)

CARD_NAMES = {
    "role": "What it does",
    "licence": "Licence",
    "trained_on": "Learnt from",
    "held_out": "Error",
    "valid": "Holds for",
    "attribution": "Source",
}
"""The rows of a model card, in their order."""

MODEL_ROLES = {"detector": "Finds the animals", "distance": "Measures the distance"}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")


def printable(text: str) -> str:
    r"""The text as valid UTF-8 and HTML: what is neither (a file name's bytes, control characters) becomes \x or \u codes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def printable_value(value: Any) -> Any:
    """Every value that goes into a page passes here; what is marked as safe HTML is our own."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def metres(value: float | None, decimals: int = 1) -> str:
    """A distance without its unit; a dash when there is none."""
    return "–" if value is None else f"{value:.{decimals}f}"


def signed(value: float) -> str:
    """A difference in metres with its sign and without its unit; a difference that rounds to 0 has none."""
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def percent(share: float) -> str:
    """A share of 0..1 in whole percent."""
    return f"{share * 100:.0f} %"


def seconds(value: float) -> str:
    """A time without needless decimals and without its unit."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def band(low_m: float, high_m: float) -> str:
    """The name of a range of distances: 2–4, or 15+ when it has no end."""
    return f"{low_m:g}+" if math.isinf(high_m) else f"{low_m:g}–{high_m:g}"


def counted(n: int, one: str, many: str) -> str:
    """The number and its noun: 1 medium, 1,200 media."""
    return f"{n:,} {one if n == 1 else many}"


def date_text(text: Any) -> str:
    """A date and time of run.json for people; anything else as it stands."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    zone = when.strftime("%Z")
    return f"{when:%Y-%m-%d %H:%M} {zone}".strip()


def value_text(value: Any) -> str:
    """An argument's value as a text."""
    if value is None or value == {}:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {value_text(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(value_text, value))
    return str(value)


def groups_note(what: str, groups: DistanceGroups) -> str:
    """What stands above small histograms beside each other."""
    note = f"Share of each {what}'s measurements by metre, all on the same scale; the dashed line is the median."
    if what == "half of the day":
        note += " It was night where most pictures of a medium are without colours, as an infrared flash makes them."
    if groups.n_omitted:
        rest = counted(groups.n_rows_omitted, "measurement", "measurements")
        note += f" Shown are the {len(groups.shown)} with the most; {groups.n_omitted:,} more have {rest} in all."
    return note


def calibration_sentence(facts: Mapping[str, Any]) -> str:
    """What `calibrate` did to the distances; "" where it did nothing."""
    done = facts.get("calibration")
    counts = done.get("counts") if isinstance(done, Mapping) else None
    if not isinstance(done, Mapping) or not isinstance(counts, Mapping):
        return ""
    inputs = done.get("inputs")
    told = [name for name in ("labels", "points", "cameras") if isinstance(inputs, Mapping) and name in inputs]
    by = f" by {', '.join(told)}" if told else ""
    return (
        f"{counts.get('moved', 0):,} distances at {counted(counts.get('sites', 0), 'site', 'sites')}{by}, with trapmeter "
        f"{done.get('trapmeter', '')}"
    )


def review_sentence(facts: Mapping[str, Any]) -> str:
    """What people decided about the rows; "" where nobody looked through them."""
    done = facts.get("review")
    counts = done.get("counts") if isinstance(done, Mapping) else None
    if not isinstance(done, Mapping) or not isinstance(counts, Mapping):
        return ""
    decided = ", ".join(f"{n:,} {str(verdict).replace('_', ' ')}" for verdict, n in counts.items() if verdict != "open")
    return f"{decided}; nobody decided about {counts.get('open', 0):,}; with trapmeter {done.get('trapmeter', '')}"


def recording_span(facts: Mapping[str, Any]) -> str:
    """From when to when the media were recorded, as their files say; "" where none says."""
    told = facts.get("recorded")
    if not isinstance(told, Mapping) or not told.get("n_media"):
        return ""
    first, last = (str(told.get(name)).split("T")[0] for name in ("first", "last"))
    span = first if first == last else f"{first} to {last}"
    return f"{span}, by what {counted(told['n_media'], 'file', 'files')} of them {'says' if told['n_media'] == 1 else 'say'}"


def card_rows(cards: Any) -> list[dict[str, Any]]:
    """Model cards of run.json as names and values to list; what nobody told says so."""
    return [
        {
            "model_id": str(card.get("model_id", "")),
            "rows": [(name, str(card.get(key) or "not told")) for key, name in CARD_NAMES.items()],
        }
        for card in (cards if isinstance(cards, list) else [])
        if isinstance(card, Mapping)
    ]


def status_sentence(summary: RunSummary) -> str:
    """One sentence on whether all went well."""
    n, n_failed = summary.n_media, summary.n_failed_media
    if not n_failed:
        read = "The one medium was read." if n == 1 else f"All {n:,} media were read."
    else:
        read = f"{n - n_failed:,} of {counted(n, 'medium', 'media')} read; {n_failed:,} failed, in whole or in part."
    return read if summary.n_measured else f"{read} No animal was measured."
