"""Computes error, coverage and interval width of the box model at held-out sites, by subset of the rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.box_groups import Flags, Floats, Ints
from trapmeter.boxmodel.cross_validation import assign_site_folds, held_out_distances, predict_held_out
from trapmeter.boxmodel.ensemble import load_lightgbm
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import LabelledObservation, View, build_training_table
from trapmeter.files import PathLike, atomic_file, make_folder
from trapmeter.metrics import BANDS_M, bias, coverage, mae, mean_width
from trapmeter.progress import Announce
from trapmeter.records import Distance, Observation
from trapmeter.tables.csvfile import to_cell
from trapmeter.tables.distances import DRAW_COLUMNS


@dataclass(frozen=True, slots=True)
class HeldOutRow:
    """A sample, and its distance in each view from an ensemble that was not trained on its site."""

    observation: Observation
    truth_m: float
    fold: int
    full: Distance
    other_detector: Distance
    site_unknown: Distance
    single: Distance


@dataclass(frozen=True, slots=True)
class SubsetFigures:
    """Figures over the rows of a subset. Errors and widths in metres, coverage as a share (0.9 is nominal)."""

    subset: str
    rows: int
    mae_m: float
    median_mae_m: float
    """Error of always predicting the median distance of the other folds' sites."""
    bias_m: float
    coverage: float
    mean_width_m: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result at held-out sites."""

    folds: int
    settings: BoxModelSettings
    subsets: tuple[SubsetFigures, ...]
    rows: tuple[HeldOutRow, ...]

    def subset(self, name: str) -> SubsetFigures:
        """The figures of the named subset; KeyError if it has no rows."""
        for figures in self.subsets:
            if figures.subset == name:
                return figures
        raise KeyError(name)


def evaluate_box_model(
    samples: Sequence[LabelledObservation],
    settings: BoxModelSettings,
    folds: int = 10,
    announce: Announce = lambda _: None,
) -> Evaluation:
    """Predicts every sample with ensembles and intervals that learned only from other folds' sites.

    Subsets: all, with box, without box; other detector, site unknown and single observation (all rows, in the view of that
    name, see `trapmeter.boxmodel.training_data.View`); bands of true distance; parks. Rows without a box count too.

    Raises:
        MissingExtraError: LightGBM or threadpoolctl is not installed.
        InputError: fewer sites than folds.
    """
    load_lightgbm()
    fold = assign_site_folds(samples, folds)
    announce(f"features of {len(samples)} rows")
    table = build_training_table(samples)
    distances = held_out_distances(samples, fold, predict_held_out(table, fold, settings, announce))
    truth = np.array([sample.distance_m for sample in samples])
    park = np.array([sample.park for sample in samples])
    rows = tuple(
        HeldOutRow(sample.observation, sample.distance_m, int(fold[i]), *(distances[view][i] for view in View))
        for i, sample in enumerate(samples)
    )
    return Evaluation(folds, settings, _subsets(truth, fold, table.is_boxed, park, distances), rows)


def write_evaluation(evaluation: Evaluation, folder: PathLike) -> None:
    """Writes evaluation.json (figures and settings) and oof.csv (every row's held-out distances in metres)."""
    folder = Path(folder)
    make_folder(folder)
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
        names = ("media_id", "time_s", "animal_id", "site_id", "has_box", "fold", "truth_m")
        writer.writerow([*names, *ends, *(f"{View.FULL}_{name}" for name in DRAW_COLUMNS)])
        for row in evaluation.rows:
            observation = row.observation
            key = (to_cell(observation.media_id), f"{observation.time_s:g}", observation.animal_id)
            site = (to_cell(observation.site_id), int(observation.box is not None))
            distances = (row.full, row.other_detector, row.site_unknown, row.single)
            metres = [value for d in distances for value in (d.distance_m, d.low_m, d.high_m)]
            writer.writerow([*key, *site, row.fold, row.truth_m, *(f"{m:.3f}" for m in (*metres, *row.full.draws_m))])


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
    fold: Ints,
    is_boxed: Flags,
    park: NDArray[np.str_],
    distances: dict[View, list[Distance]],
) -> tuple[SubsetFigures, ...]:
    all_rows = np.ones(len(truth_m), dtype=bool)
    subsets = [
        ("all", View.FULL, all_rows),
        ("with box", View.FULL, is_boxed),
        ("without box", View.FULL, ~is_boxed),
    ]
    for view, name in (
        (View.OTHER_DETECTOR, "other detector"),
        (View.SITE_UNKNOWN, "site unknown"),
        (View.SINGLE, "single observation"),
    ):
        subsets += [(name, view, all_rows), (f"{name}, boxed", view, is_boxed)]
    for low, high in pairwise(BANDS_M):
        name = f"{low:g}-{high:g} m" if np.isfinite(high) else f"{low:g}+ m"
        subsets.append((name, View.FULL, (truth_m >= low) & (truth_m < high)))
    subsets += [(f"park {name}", View.FULL, park == name) for name in sorted(set(park.tolist()) - {""})]
    medians = np.array([np.median(truth_m[fold != index]) for index in range(int(fold.max()) + 1)])[fold]
    return tuple(
        _figures(name, truth_m[rows], medians[rows], [distances[view][i] for i in np.flatnonzero(rows)])
        for name, view, rows in subsets
        if rows.any()
    )


def _figures(name: str, truth_m: Floats, median_m: Floats, distances: Sequence[Distance]) -> SubsetFigures:
    point = [distance.distance_m for distance in distances]
    low, high = [distance.low_m for distance in distances], [distance.high_m for distance in distances]
    return SubsetFigures(
        subset=name,
        rows=len(distances),
        mae_m=mae(point, truth_m),
        median_mae_m=mae(median_m, truth_m),
        bias_m=bias(point, truth_m),
        coverage=coverage(low, high, truth_m),
        mean_width_m=mean_width(low, high),
    )
