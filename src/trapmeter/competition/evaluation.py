"""Compares predicted with labelled distances: errors by distance, park, night and box, as text, JSON and a picture."""

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
    """A labelled second with its true and its predicted distance; "" and None stand for unknown."""

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
    """Errors of a group of seconds, in metres; mae_low_m and mae_high_m are a 95 % interval by bootstrap over sites.

    If a site is unknown, its videos count as sites of their own.
    """

    part: str
    n: int
    mae_m: float
    mae_low_m: float | None
    mae_high_m: float | None
    bias_m: float
    median_mae_m: float
    """Mean absolute error of always predicting the median of all true distances."""


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
    """For each video in the store, whether it was filmed with infrared flash, judged by its middle frame."""
    is_night = {}
    for video_id in sorted(set(video_ids) & set(store.video_ids())):
        times = store.times(video_id)
        if times:
            is_night[video_id] = is_infrared(store.read(video_id, times[len(times) // 2]))
    return is_night


def pair_predictions(
    predictions: Sequence[Label],
    truth: Sequence[Label],
    metadata: Mapping[VideoSecond, MetadataRow],
    is_night: Mapping[str, bool],
) -> list[PredictionPair]:
    """Joins predictions and labels by video and second, and marks the first and the last labelled second of each video.

    is_night: by video, if known.

    Raises:
        InputError: there are no labels, or one has no prediction.
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
        facts = metadata.get(row.second)
        pairs.append(
            PredictionPair(
                row.video_id,
                row.time_s,
                row.distance_m,
                predicted[row.second],
                "" if facts is None else facts.site_id,
                "" if facts is None else facts.park,
                None if facts is None else facts.box is not None,
                is_night.get(row.video_id),
                row.time_s == min(times[row.video_id]),
                row.time_s == max(times[row.video_id]),
            )
        )
    return pairs


def evaluate_pairs(pairs: Sequence[PredictionPair]) -> list[GroupErrors]:
    """Errors of all seconds and of each group: band of distance, park, day, night, box, first or last second."""
    groups: list[tuple[str, Callable[[PredictionPair], bool]]] = [("all", lambda _: True)]
    groups += [(_band_name(low, high), partial(_is_between, low, high)) for low, high in pairwise(metrics.BANDS_M)]
    groups += [(f"park {park}", partial(_is_in_park, park)) for park in sorted({pair.park for pair in pairs} - {""})]
    groups += [
        ("day", lambda pair: pair.is_night is False),
        ("night", lambda pair: pair.is_night is True),
        ("with box", lambda pair: pair.has_box is True),
        ("without box", lambda pair: pair.has_box is False),
        ("first second", lambda pair: pair.is_first),
        ("last second", lambda pair: pair.is_last),
    ]
    median_m = float(np.median([pair.truth_m for pair in pairs]))
    members = ((name, [pair for pair in pairs if belongs(pair)]) for name, belongs in groups)
    return [_group_errors(name, group, median_m) for name, group in members if group]


def _band_name(low_m: float, high_m: float) -> str:
    return f"{low_m:g} to {high_m:g} m" if high_m < math.inf else f"from {low_m:g} m"


def _is_between(low_m: float, high_m: float, pair: PredictionPair) -> bool:
    return low_m <= pair.truth_m < high_m


def _is_in_park(park: str, pair: PredictionPair) -> bool:
    return pair.park == park


def _group_errors(name: str, pairs: Sequence[PredictionPair], median_m: float) -> GroupErrors:
    truth = np.array([pair.truth_m for pair in pairs])
    predicted = np.array([pair.predicted_m for pair in pairs])
    sites = [pair.site_id or pair.video_id for pair in pairs]
    absolute = np.abs(predicted - truth)
    low, high = metrics.bootstrap_interval(absolute, sites) if len(set(sites)) > 1 else (None, None)
    median_mae_m = metrics.mae(np.full(len(truth), median_m), truth)
    return GroupErrors(
        name, len(pairs), metrics.mae(predicted, truth), low, high, metrics.bias(predicted, truth), median_mae_m
    )


def format_errors(errors: Sequence[GroupErrors]) -> str:
    """The errors as text, with a line for each group."""
    lines = [f"{'':<16}{'rows':>7}{'MAE m':>8}{'95 % interval':>16}{'bias m':>8}{'median':>8}"]
    for group in errors:
        interval = "" if group.mae_low_m is None else f"{group.mae_low_m:.2f} to {group.mae_high_m:.2f}"
        figures = f"{group.mae_m:>8.2f}{interval:>16}{group.bias_m:>+8.2f}{group.median_mae_m:>8.2f}"
        lines.append(f"{group.part:<16}{group.n:>7}{figures}")
    return "\n".join(lines)


def write_evaluation(errors: Sequence[GroupErrors], pairs: Sequence[PredictionPair], folder: Path) -> None:
    """Writes evaluation.json and evaluation.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / "evaluation.json") as file:
        json.dump({"parts": [asdict(group) for group in errors]}, file, indent=1)
        file.write("\n")
    _draw(errors, pairs, folder / "evaluation.png")


def _draw(errors: Sequence[GroupErrors], pairs: Sequence[PredictionPair], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    truth, predicted = [p.truth_m for p in pairs], [p.predicted_m for p in pairs]
    top = max([*truth, *predicted, 1.0]) * 1.03
    left.plot([0, top], [0, top], color="grey", linestyle="--", linewidth=1)
    left.scatter(truth, predicted, s=9, alpha=0.35, linewidths=0)
    left.set(xlim=(0, top), ylim=(0, top), xlabel="true distance (m)", ylabel="predicted distance (m)", aspect="equal")
    names = [f"{group.part} ({group.n})" for group in errors]
    rows = range(len(errors))
    right.barh(rows, [group.mae_m for group in errors], color="#2d6f91", label="mean absolute error")
    right.plot(
        [group.median_mae_m for group in errors], rows, "|", color="black", markersize=10, label="the median alone"
    )
    for row, group in zip(rows, errors, strict=True):
        if group.mae_low_m is not None and group.mae_high_m is not None:
            right.plot([group.mae_low_m, group.mae_high_m], [row, row], color="#d9822b", linewidth=1.5)
    right.set_yticks(list(rows), names)
    right.invert_yaxis()
    right.set_xlabel("metres; orange: 95 % interval over sites")
    right.legend(loc="lower right")
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=110)
