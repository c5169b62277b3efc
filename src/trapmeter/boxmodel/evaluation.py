"""Evaluates the box model at held-out sites."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.cross_validation import Folds, Progress, assign_site_folds, held_out_distances, predict_held_out
from trapmeter.boxmodel.ensemble import load_lightgbm
from trapmeter.boxmodel.intervals import Floats
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import LabelledObservation, View, build_training_table
from trapmeter.files import atomic_file
from trapmeter.metrics import BANDS_M, bias, coverage, mae, mean_width
from trapmeter.records import Distance, Observation
from trapmeter.tables.csvfile import to_cell
from trapmeter.tables.distances import DRAW_COLUMNS


@dataclass(frozen=True, slots=True)
class HeldOutRow:
    """A sample and what was answered for it by an ensemble that had not seen its site, under each view."""

    observation: Observation
    truth_m: float
    fold: int
    full: Distance
    other_detector: Distance
    site_unknown: Distance
    single: Distance


@dataclass(frozen=True, slots=True)
class SubsetFigures:
    """Figures over the rows of a subset. Errors and widths in metres, coverage as a share (0.9 is asked for)."""

    subset: str
    rows: int
    mae_m: float
    median_mae_m: float
    """Error of always answering the median distance of the other folds' sites."""
    bias_m: float
    coverage: float
    mean_width_m: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found at held-out sites."""

    folds: int
    settings: BoxModelSettings
    subsets: tuple[SubsetFigures, ...]
    rows: tuple[HeldOutRow, ...]

    def subset(self, name: str) -> SubsetFigures:
        """The figures of the subset of that name; KeyError if it has no rows."""
        for figures in self.subsets:
            if figures.subset == name:
                return figures
        raise KeyError(name)


def evaluate_box_model(
    samples: Sequence[LabelledObservation],
    settings: BoxModelSettings,
    folds: int = 10,
    progress: Progress = lambda _: None,
) -> Evaluation:
    """Answers every sample with ensembles and intervals that learned from other folds' sites only.

    Subsets: all, with box, without box; other detector, site unknown and single observation answer all rows as such
    views show them (views.py); bands of true distance; parks. All rows count, those without a box too.

    Raises:
        MissingExtraError: LightGBM or threadpoolctl is not installed.
        InputError: fewer sites than folds.
    """
    load_lightgbm()
    fold = assign_site_folds(samples, folds)
    progress(f"features of {len(samples)} rows")
    table = build_training_table(samples)
    answers = held_out_distances(samples, fold, predict_held_out(table, fold, settings, progress))
    truth = np.array([sample.distance_m for sample in samples])
    park = np.array([sample.park for sample in samples])
    rows = tuple(
        HeldOutRow(sample.observation, sample.distance_m, int(fold[i]), *(answers[view][i] for view in View))
        for i, sample in enumerate(samples)
    )
    return Evaluation(folds, settings, _subsets(truth, fold, table.is_boxed, park, answers), rows)


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Writes evaluation.json (figures and settings) and oof.csv (every row's held-out answers, metres)."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "folds_by_site": evaluation.folds,
        "subsets": [asdict(figures) for figures in evaluation.subsets],
        "settings": asdict(evaluation.settings),
    }
    with atomic_file(folder / "evaluation.json") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
    with atomic_file(folder / "oof.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        ends = [f"{view}_{end}" for view in View for end in ("distance_m", "low_m", "high_m")]
        about = ("media_id", "time_s", "animal_id", "site_id", "has_box", "fold", "truth_m")
        writer.writerow([*about, *ends, *(f"{View.FULL}_{name}" for name in DRAW_COLUMNS)])
        for row in evaluation.rows:
            seen = row.observation
            told = (to_cell(seen.media_id), f"{seen.time_s:g}", seen.animal_id, to_cell(seen.site_id))
            answers = (
                f"{value:.3f}"
                for answer in (row.full, row.other_detector, row.site_unknown, row.single)
                for value in (answer.distance_m, answer.low_m, answer.high_m)
            )
            writer.writerow(
                [
                    *told,
                    int(seen.box is not None),
                    row.fold,
                    row.truth_m,
                    *answers,
                    *(f"{m:.3f}" for m in row.full.draws_m),
                ]
            )


def format_figures(evaluation: Evaluation) -> str:
    """The figures as text, a line per subset."""
    lines = [f"{'':<28}{'rows':>7}{'MAE m':>8}{'median':>8}{'bias':>8}{'cover':>8}{'width m':>9}"]
    lines += [
        f"{f.subset:<28}{f.rows:>7}{f.mae_m:>8.3f}{f.median_mae_m:>8.3f}{f.bias_m:>8.3f}"
        f"{f.coverage:>8.1%}{f.mean_width_m:>9.2f}"
        for f in evaluation.subsets
    ]
    return "\n".join(lines)


def _subsets(
    truth_m: Floats,
    fold: Folds,
    is_boxed: NDArray[np.bool_],
    park: NDArray[np.str_],
    answers: dict[View, list[Distance]],
) -> tuple[SubsetFigures, ...]:
    everything = np.ones(len(truth_m), dtype=bool)
    chosen = [
        ("all", View.FULL, everything),
        ("with box", View.FULL, is_boxed),
        ("without box", View.FULL, ~is_boxed),
    ]
    for view, name in (
        (View.OTHER_DETECTOR, "other detector"),
        (View.SITE_UNKNOWN, "site unknown"),
        (View.SINGLE, "single observation"),
    ):
        chosen += [(name, view, everything), (f"{name}, boxed", view, is_boxed)]
    for low, high in pairwise(BANDS_M):
        name = f"{low:g}-{high:g} m" if np.isfinite(high) else f"{low:g}+ m"
        chosen.append((name, View.FULL, (truth_m >= low) & (truth_m < high)))
    chosen += [(f"park {name}", View.FULL, park == name) for name in sorted(set(park.tolist()) - {""})]
    medians = np.array([np.median(truth_m[fold != index]) for index in range(int(fold.max()) + 1)])[fold]
    return tuple(
        _figures(name, truth_m[rows], medians[rows], [answers[view][i] for i in np.flatnonzero(rows)])
        for name, view, rows in chosen
        if rows.any()
    )


def _figures(name: str, truth_m: Floats, median_m: Floats, answers: Sequence[Distance]) -> SubsetFigures:
    point = [answer.distance_m for answer in answers]
    low, high = [answer.low_m for answer in answers], [answer.high_m for answer in answers]
    return SubsetFigures(
        subset=name,
        rows=len(answers),
        mae_m=mae(point, truth_m),
        median_mae_m=mae(median_m, truth_m),
        bias_m=bias(point, truth_m),
        coverage=coverage(low, high, truth_m),
        mean_width_m=mean_width(low, high),
    )
