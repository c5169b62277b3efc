"""Computes error, coverage and interval width of the box model at held-out sites, by subset of the rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.box_groups import Flags, Floats
from trapmeter.boxmodel.cross_validation import (
    assign_site_folds,
    held_out_distances,
    predict_held_out,
    with_simulated_sites,
)
from trapmeter.boxmodel.ensemble import load_lightgbm
from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training_data import CASES, FULL, Case, LabelledObservation, View, build_training_table
from trapmeter.files import PathLike, atomic_file, make_folder
from trapmeter.metrics import BANDS_M, bias, coverage, mae, mean_width
from trapmeter.progress import Announce
from trapmeter.records import Distance, Observation
from trapmeter.tables.csvfile import to_cell
from trapmeter.tables.distances import DRAW_COLUMNS


@dataclass(frozen=True, slots=True)
class HeldOutRow:
    """A sample, and its distance in each case that applies to it, from an ensemble that was not trained on its site."""

    observation: Observation
    truth_m: float
    fold: int
    distances: Mapping[Case, Distance]

    @property
    def full(self) -> Distance:
        """The distance from all boxes of its site, and nothing else."""
        return self.distances[FULL]


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
    name, see `trapmeter.boxmodel.training_data.View`); told what is known about camera and animal (rows with facts); bands
    of true distance; parks, each untold and told. Rows without a box count too, those of simulated sites don't.

    Raises:
        MissingExtraError: LightGBM or threadpoolctl is not installed.
        InputError: fewer sites than folds.
    """
    load_lightgbm()
    n = len(samples)
    everything, asked = with_simulated_sites(samples, settings)
    fold = assign_site_folds(everything, folds)
    announce(f"features of {len(everything)} rows")
    table = build_training_table(everything)
    raw = predict_held_out(everything, table, fold, settings, announce, asked)
    questions = [sample for sample, is_asked in zip(everything, asked.tolist(), strict=True) if is_asked]
    distances = held_out_distances(questions, fold[asked], raw)
    applies = {case: case.applies_to(samples) for case in CASES}
    rows = tuple(
        HeldOutRow(
            sample.observation,
            sample.distance_m,
            int(fold[i]),
            {case: distances[case][i] for case in CASES if applies[case][i]},
        )
        for i, sample in enumerate(samples)
    )
    park = np.array([sample.park for sample in samples])
    of_samples = {case: distances[case][:n] for case in CASES}
    return Evaluation(folds, settings, _subsets(rows, park, of_samples, applies), rows)


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
        ends = [f"{_column(case)}_{end}" for case in CASES for end in ("distance_m", "low_m", "high_m")]
        names = ("media_id", "time_s", "animal_id", "site_id", "has_box", "fold", "truth_m")
        writer.writerow([*names, *ends, *(f"{View.FULL}_{name}" for name in DRAW_COLUMNS)])
        for row in evaluation.rows:
            observation = row.observation
            key = (to_cell(observation.media_id), f"{observation.time_s:g}", observation.animal_id)
            site = (to_cell(observation.site_id), int(observation.box is not None))
            metres = [cell for case in CASES for cell in _metre_cells(row.distances.get(case))]
            writer.writerow(
                [*key, *site, row.fold, row.truth_m, *metres, *(f"{draw:.3f}" for draw in row.full.draws_m)]
            )


def _column(case: Case) -> str:
    return str(case).replace(" ", "_").replace(",", "")


def _metre_cells(distance: Distance | None) -> tuple[str, str, str]:
    """The cells of a distance; empty if the case doesn't apply to the row."""
    if distance is None:
        return "", "", ""
    return f"{distance.distance_m:.3f}", f"{distance.low_m:.3f}", f"{distance.high_m:.3f}"


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
    rows: Sequence[HeldOutRow],
    park: NDArray[np.str_],
    distances: Mapping[Case, Sequence[Distance]],
    applies: Mapping[Case, Flags],
) -> tuple[SubsetFigures, ...]:
    truth_m = np.array([row.truth_m for row in rows])
    fold = np.array([row.fold for row in rows])
    is_boxed = np.array([row.observation.box is not None for row in rows])
    all_rows = np.ones(len(rows), dtype=bool)
    subsets = [("all", FULL, all_rows), ("with box", FULL, is_boxed), ("without box", FULL, ~is_boxed)]
    for view, name in (
        (View.OTHER_DETECTOR, "other detector"),
        (View.SITE_UNKNOWN, "site unknown"),
        (View.SINGLE, "single observation"),
    ):
        subsets += [(name, Case(view), all_rows), (f"{name}, boxed", Case(view), is_boxed)]
    told = [case for case in CASES if case.knowledge is not Knowledge.NOTHING]
    subsets += [(str(case), case, applies[case]) for case in told]
    for low, high in pairwise(BANDS_M):
        name = f"{low:g}-{high:g} m" if np.isfinite(high) else f"{low:g}+ m"
        subsets.append((name, FULL, (truth_m >= low) & (truth_m < high)))
    for name in sorted(set(park.tolist()) - {""}):
        subsets.append((f"park {name}", FULL, park == name))
        subsets += [(f"park {name}, {case}", case, applies[case] & (park == name)) for case in told]
    medians = np.array([np.median(truth_m[fold != index]) for index in range(int(fold.max()) + 1)])[fold]
    return tuple(
        _figures(name, truth_m[chosen], medians[chosen], [distances[case][i] for i in np.flatnonzero(chosen).tolist()])
        for name, case, chosen in subsets
        if chosen.any()
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
