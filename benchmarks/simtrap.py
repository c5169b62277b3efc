"""Compares the 2nd-place system, the default recipe and the box model on simtrap with held-out sites, at CPU scale.

Runs the whole pipeline (frames, three folds by site, ensemble with flips) on the rendered videos of simtrap for
`second_place_cpu` (with a round of pseudolabels) and `default_cpu`: the same backbone, size, epochs and folds. Prints one
table: the error at the held-out training sites, and at the test sites, on which nothing was chosen. For comparison: the
training median for every animal, and the box model trained on the same boxes.

    python benchmarks/simtrap.py --simtrap DIR --out DIR

Takes some hours on two cores. You can stop it at any time; the same command resumes.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from trapmeter.boxmodel.evaluation import evaluate_box_model
from trapmeter.boxmodel.model import BoxModel
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training import train_box_model
from trapmeter.boxmodel.training_data import read_labelled_observations
from trapmeter.competition.pipeline import run_competition
from trapmeter.competition.settings import CompetitionSettings
from trapmeter.metrics import bootstrap_interval
from trapmeter.records import Observation
from trapmeter.tables.drivendata import best_box_rows, read_labels

N_FOLDS = 3


def main() -> None:
    """Runs the missing steps and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=1, help="rounds of pseudolabels")
    arguments = parser.parse_args()
    data, out = arguments.simtrap, arguments.out
    rounds = {"second_place_cpu": arguments.rounds, "default_cpu": 0}
    for recipe, n_rounds in rounds.items():
        run_competition(pipeline_settings(data, out / recipe, recipe, n_rounds), lambda text: print(text, flush=True))

    truth = {(row.video_id, row.time_s): row.distance_m for row in read_labels(data / "test_labels.csv")}
    metadata = best_box_rows(data / "test_metadata.csv")
    sites = [metadata[key].site_id for key in truth]
    train_m = [row.distance_m for row in read_labels(data / "train_labels.csv")]

    def interval_text(distances_m: dict[tuple[str, float], float]) -> str:
        errors = np.array([abs(distances_m[key] - truth[key]) for key in truth])
        low, high = bootstrap_interval(errors, sites)
        return f"{errors.mean():.2f} ({low:.2f} to {high:.2f})"

    box_model = out / "box-model"
    samples = read_labelled_observations(data)
    if not (box_model / "bundle.json").exists():
        train_box_model(samples, box_model, BoxModelSettings(model_id="simtrap-boxes"), print)
    observations = [
        Observation(video, time_s, metadata[video, time_s].box, 1, metadata[video, time_s].site_id)
        for video, time_s in truth
    ]
    by_boxes = dict(zip(truth, (d.distance_m for d in BoxModel.load(box_model).estimate(observations)), strict=True))
    boxes_cv = evaluate_box_model(samples, BoxModelSettings(), N_FOLDS).subset("all")

    print("\n| method | held-out training sites, m | test sites, m (95 % over sites) |\n| --- | --- | --- |")
    median_m = dict.fromkeys(truth, float(np.median(train_m)))
    print(f"| always the training median | {boxes_cv.median_mae_m:.2f} | {interval_text(median_m)} |")
    print(f"| box model, no pixels | {boxes_cv.mae_m:.2f} | {interval_text(by_boxes)} |")
    for recipe, n_rounds in rounds.items():
        for number in range(n_rounds + 1):
            held_out = [
                abs(float(row["distance"]) - float(row["truth"]))
                for fold in range(N_FOLDS)
                for row in read_csv(out / recipe / f"round-{number}" / f"fold-{fold}" / "held_out.csv")
            ]
            submission = {
                (row.video_id, row.time_s): row.distance_m
                for row in read_labels(out / recipe / f"submission-{number}.csv")
            }
            name = recipe if number == 0 else f"... and {number} round(s) of pseudolabels"
            print(f"| {name}, mean of {N_FOLDS} with flips | {np.mean(held_out):.2f} | {interval_text(submission)} |")


def pipeline_settings(data: Path, out: Path, recipe: str, rounds: int) -> CompetitionSettings:
    """The same tables, videos and folds for every recipe. The 2nd-place system doesn't use the animals' boxes."""
    return CompetitionSettings(
        labels=data / "train_labels.csv",
        metadata=data / "train_metadata.csv",
        videos=data / "train_videos",
        test_format=data / "submission_format.csv",
        test_metadata=data / "test_metadata.csv",
        test_labels=data / "test_labels.csv",
        test_videos=data / "test_videos",
        animals=data / "truth.csv" if recipe == "default_cpu" else None,
        out=out,
        recipe=recipe,
        folds=N_FOLDS,
        rounds=rounds,
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
