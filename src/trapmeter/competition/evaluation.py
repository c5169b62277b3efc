"""Compare predicted distances with known ones: errors by group, as a table, JSON and a picture."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from trapmeter import metrics
from trapmeter.errors import InputError
from trapmeter.files import PathLike, atomic_file, atomic_path
from trapmeter.frames.store import FrameStore
from trapmeter.media.infrared import is_infrared
from trapmeter.records import VideoSecond
from trapmeter.tables.drivendata import Label, MetadataRow, best_box_rows, read_labels


@dataclass(frozen=True, slots=True)
class PredictionPair:
    """A moment with its true and its predicted distance, and what is known of it; None where it isn't."""

    video_id: str
    time_s: float
    truth_m: float
    predicted_m: float
    site_id: str = ""
    park: str = ""
    has_box: bool | None = None
    is_night: bool | None = None
    is_first: bool = False
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class GroupErrors:
    """Errors over a part of the moments, metres. interval: 95 % bootstrap over sites (videos where no site is known)."""

    part: str
    n: int
    mae_m: float
    mae_low_m: float | None
    mae_high_m: float | None
    bias_m: float
    median_mae_m: float
    """Error of answering the median of all true distances."""


def evaluate_table(
    predictions: PathLike,
    labels: PathLike,
    out: PathLike,
    *,
    metadata: PathLike | None = None,
    store: PathLike | None = None,
) -> list[GroupErrors]:
    """Compares a table of predictions with one of labels and writes evaluation.json and evaluation.png into a folder.

    metadata: adds errors by park and box, and groups the intervals by site. store: a frame store with pictures of the videos,
    which adds errors by day and night.

    Raises:
        InputError: a table is not as expected, or a label has no prediction.
        RunError: the folder can't be written.
    """
    truth = read_labels(Path(labels))
    nights = (
        {} if store is None else find_night_videos(FrameStore.open(Path(store)), (label.video_id for label in truth))
    )
    rows = best_box_rows(None if metadata is None else Path(metadata))
    pairs = pair_predictions(read_labels(Path(predictions)), truth, rows, nights)
    errors = evaluate_pairs(pairs)
    write_evaluation(errors, pairs, Path(out))
    return errors


def find_night_videos(store: FrameStore, video_ids: Iterable[str]) -> dict[str, bool]:
    """Whether each video that the store has pictures of was taken by infrared flash, by its middle one."""
    found = {}
    for video_id in sorted(set(video_ids) & set(store.video_ids())):
        times = store.times(video_id)
        if times:
            found[video_id] = is_infrared(store.read(video_id, times[len(times) // 2]))
    return found


def pair_predictions(
    predictions: Sequence[Label],
    truth: Sequence[Label],
    metadata: Mapping[VideoSecond, MetadataRow],
    is_night: Mapping[str, bool],
) -> list[PredictionPair]:
    """Joins predictions and truth by video and second.

    The first and the last labelled second of each video are marked. is_night: by video, where known.

    Raises:
        InputError: a labelled moment has no prediction.
    """
    if not truth:
        raise InputError("the table of labels has no rows to compare with")
    predicted = {row.second: row.distance_m for row in predictions}
    if missing := [row for row in truth if row.second not in predicted]:
        raise InputError(
            f"{len(missing)} labels have no prediction; the first is {missing[0].video_id} at {missing[0].time_s:g} s"
        )
    times: dict[str, list[float]] = defaultdict(list)
    for row in truth:
        times[row.video_id].append(row.time_s)
    pairs = []
    for row in truth:
        known = metadata.get(row.second)
        pairs.append(
            PredictionPair(
                row.video_id,
                row.time_s,
                row.distance_m,
                predicted[row.second],
                "" if known is None else known.site_id,
                "" if known is None else known.park,
                None if known is None else known.box is not None,
                is_night.get(row.video_id),
                row.time_s == min(times[row.video_id]),
                row.time_s == max(times[row.video_id]),
            )
        )
    return pairs


def evaluate_pairs(pairs: Sequence[PredictionPair]) -> list[GroupErrors]:
    """Figures of all moments and of every part that has any: distance bands, parks, day and night, box, first and last."""
    parts: list[tuple[str, Callable[[PredictionPair], bool]]] = [("all", lambda _: True)]
    parts += [(_band_name(low, high), partial(_is_between, low, high)) for low, high in pairwise(metrics.BANDS_M)]
    parts += [(f"park {park}", partial(_is_in_park, park)) for park in sorted({pair.park for pair in pairs} - {""})]
    parts += [
        ("day", lambda pair: pair.is_night is False),
        ("night", lambda pair: pair.is_night is True),
        ("with box", lambda pair: pair.has_box is True),
        ("without box", lambda pair: pair.has_box is False),
        ("first second", lambda pair: pair.is_first),
        ("last second", lambda pair: pair.is_last),
    ]
    median_m = float(np.median([pair.truth_m for pair in pairs]))
    chosen = ((name, [pair for pair in pairs if belongs(pair)]) for name, belongs in parts)
    return [_group_errors(name, part, median_m) for name, part in chosen if part]


def _band_name(low_m: float, high_m: float) -> str:
    return f"{low_m:g} to {high_m:g} m" if high_m < math.inf else f"{low_m:g} m on"


def _is_between(low_m: float, high_m: float, pair: PredictionPair) -> bool:
    return low_m <= pair.truth_m < high_m


def _is_in_park(park: str, pair: PredictionPair) -> bool:
    return pair.park == park


def _group_errors(name: str, pairs: Sequence[PredictionPair], median_m: float) -> GroupErrors:
    truth = np.array([pair.truth_m for pair in pairs])
    predicted = np.array([pair.predicted_m for pair in pairs])
    groups = [pair.site_id or pair.video_id for pair in pairs]
    absolute = np.abs(predicted - truth)
    low, high = metrics.bootstrap_interval(absolute, groups) if len(set(groups)) > 1 else (None, None)
    median_mae_m = metrics.mae(np.full(len(truth), median_m), truth)
    return GroupErrors(
        name, len(pairs), metrics.mae(predicted, truth), low, high, metrics.bias(predicted, truth), median_mae_m
    )


def format_errors(figures: Sequence[GroupErrors]) -> str:
    """The figures as text, a line per part."""
    lines = [f"{'':<16}{'rows':>7}{'MAE m':>8}{'95 % interval':>16}{'bias m':>8}{'median':>8}"]
    for f in figures:
        interval = "" if f.mae_low_m is None else f"{f.mae_low_m:.2f} to {f.mae_high_m:.2f}"
        lines.append(f"{f.part:<16}{f.n:>7}{f.mae_m:>8.2f}{interval:>16}{f.bias_m:>+8.2f}{f.median_mae_m:>8.2f}")
    return "\n".join(lines)


def write_evaluation(figures: Sequence[GroupErrors], pairs: Sequence[PredictionPair], folder: Path) -> None:
    """Writes evaluation.json and evaluation.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / "evaluation.json") as file:
        json.dump({"parts": [asdict(f) for f in figures]}, file, indent=1)
        file.write("\n")
    _draw(figures, pairs, folder / "evaluation.png")


def _draw(figures: Sequence[GroupErrors], pairs: Sequence[PredictionPair], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    truth, predicted = [p.truth_m for p in pairs], [p.predicted_m for p in pairs]
    top = max([*truth, *predicted, 1.0]) * 1.03
    left.plot([0, top], [0, top], color="grey", linestyle="--", linewidth=1)
    left.scatter(truth, predicted, s=9, alpha=0.35, linewidths=0)
    left.set(xlim=(0, top), ylim=(0, top), xlabel="true distance (m)", ylabel="predicted distance (m)", aspect="equal")
    names = [f"{f.part} ({f.n})" for f in figures]
    rows = range(len(figures))
    right.barh(rows, [f.mae_m for f in figures], color="#2d6f91", label="mean absolute error")
    right.plot([f.median_mae_m for f in figures], rows, "|", color="black", markersize=10, label="the median alone")
    for row, f in zip(rows, figures, strict=True):
        if f.mae_low_m is not None and f.mae_high_m is not None:
            right.plot([f.mae_low_m, f.mae_high_m], [row, row], color="#d9822b", linewidth=1.5)
    right.set_yticks(list(rows), names)
    right.invert_yaxis()
    right.set_xlabel("metres; orange: 95 % interval over sites")
    right.legend(loc="lower right")
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=110)
