"""Compares all methods of estimating a distance in one table, at held-out sites.

Rows: the training median for every animal; the box model (no pixels, trained on the same sites' boxes); the 2nd-place system
at CPU scale; the default recipe at the same scale; its blend with the box model; box model and blend with five labelled
seconds per site, taken from one half of a site's videos while the other half is scored. Columns: rendered training sites held
out, and rendered test sites, on which nothing was chosen, with 95 % intervals over sites; coverage and width of the 90 %
intervals at the test sites; the error for each animal in seconds with several (given its box); real labels (Deep Chimpact's
tables, boxes alone); milliseconds for an estimate on this machine.

    python benchmarks/accuracy.py --simtrap DIR --out DIR [--tables DIR]

Runs `benchmarks/simtrap.py` first if its results are not in --out: some hours on two cores. The same command resumes it.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simtrap import N_FOLDS, pipeline_settings
from trapmeter.boxmodel.evaluation import evaluate_box_model
from trapmeter.boxmodel.model import BoxModel
from trapmeter.boxmodel.settings import BoxModelSettings
from trapmeter.boxmodel.training import train_box_model
from trapmeter.boxmodel.training_data import read_labelled_observations
from trapmeter.calibration.site_correction import SiteFacts, correct_site
from trapmeter.competition.pipeline import run_competition
from trapmeter.frames.store import FrameStore
from trapmeter.metrics import bootstrap_interval, coverage, mean_width
from trapmeter.models.network_input import network_input
from trapmeter.models.runtimes.network import Ensemble
from trapmeter.prediction.blend import HeldOutPair, blend_log1p, fit_blend, predict_held_out
from trapmeter.prediction.estimators import DetectedAnimal, NetworkEstimator
from trapmeter.records import Distance, Observation
from trapmeter.tables.csvfile import read_rows
from trapmeter.tables.drivendata import MetadataRow, best_box_rows, read_labels
from trapmeter.tables.truth import TruthRow, read_truth

Second = tuple[str, float]
RECIPES = ("second_place_cpu", "default_cpu")
N_LABELS = 5
REPETITIONS = 10
MIN_VIDEOS = 4
"""Videos of a calibrated site: two may be labelled, two are scored."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    held_out: str
    test: str
    intervals: str = ""
    several: str = ""
    real: str = ""
    ms: str = ""


def main() -> None:
    """Runs the missing steps and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", type=Path, help="folder with Deep Chimpact's tables, for the column of real labels")
    arguments = parser.parse_args()
    data, out = arguments.simtrap, arguments.out
    for recipe in RECIPES:
        run_competition(pipeline_settings(data, out / recipe, recipe, 0), lambda text: print(text, flush=True))
    benchmark = Benchmark(data, out)
    rows = [benchmark.median_row(), *benchmark.box_rows(arguments.tables)]
    rows += [benchmark.network_row(recipe) for recipe in RECIPES]
    rows += benchmark.blend_rows("default_cpu")
    print(
        "\n| method | held-out training sites, m | test sites, m (95 % over sites) | "
        "coverage and width of 90 % intervals at test sites | each of several animals, m | "
        "real labels, m | ms per prediction |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for row in rows:
        print(f"| {row.name} | {row.held_out} | {row.test} | {row.intervals} | {row.several} | {row.real} | {row.ms} |")


class Benchmark:
    """simtrap's tables, and the predictions of each method for them."""

    def __init__(self, data: Path, out: Path) -> None:
        self.data, self.out = data, out
        self.train_samples = read_labelled_observations(data)
        self.train_m = np.array([sample.distance_m for sample in self.train_samples])
        self.test = {(row.video_id, row.time_s): row.distance_m for row in read_labels(data / "test_labels.csv")}
        self.test_rows = best_box_rows(data / "test_metadata.csv")
        self.train_rows = best_box_rows(data / "train_metadata.csv")
        self.several = several_animals(read_truth(data / "truth.csv"), self.test)
        self.box_model = out / "box-model"
        if not (self.box_model / "bundle.json").exists():
            train_box_model(self.train_samples, self.box_model, BoxModelSettings(model_id="simtrap-boxes"), print)
        self.by_boxes = BoxModel.load(self.box_model)
        evaluation = evaluate_box_model(self.train_samples, BoxModelSettings(), N_FOLDS)
        self.boxes_held_out = {
            (row.observation.media_id, row.observation.time_s): row.full.distance_m for row in evaluation.rows
        }

    def median_row(self) -> Row:
        """Always the median of the training labels."""
        middle = float(np.median(self.train_m))
        several = np.abs([animal.distance_m - middle for animals in self.several.values() for animal in animals]).mean()
        held_out = np.abs(self.train_m - middle).mean()
        return Row(
            "always the median",
            f"{held_out:.2f}",
            self.error_text(dict.fromkeys(self.test, middle)),
            several=f"{several:.2f}",
        )

    def box_rows(self, tables: Path | None) -> list[Row]:
        """The box model, trained at these sites and evaluated on real labels; then with labels of each site."""
        distances = self.box_distances()
        truth = {(s.observation.media_id, s.observation.time_s): s.distance_m for s in self.train_samples}
        held_out = np.mean([abs(metres - truth[second]) for second, metres in self.boxes_held_out.items()])
        real = "", ""
        if tables is not None:
            figures = evaluate_box_model(read_labelled_observations(tables), BoxModelSettings())
            real_rows, real_distances = [row.observation for row in figures.rows], [row.full for row in figures.rows]
            truth_m = np.array([row.truth_m for row in figures.rows])
            real = f"{figures.subset('all').mae_m:.2f}", with_labels(real_rows, real_distances, truth_m)
        observations = [
            Observation(row.video_id, row.time_s, row.box, number, self.test_rows[second].site_id)
            for second, animals in self.several.items()
            for number, row in enumerate(animals, 1)
        ]
        several = [
            abs(distance.distance_m - row.distance_m)
            for distance, row in zip(
                self.by_boxes.estimate(observations),
                (row for animals in self.several.values() for row in animals),
                strict=True,
            )
        ]
        ms = 1000 * seconds(self.box_distances) / len(self.test)
        plain = Row(
            "box model, no pixels",
            f"{held_out:.2f}",
            self.error_text({second: distance.distance_m for second, distance in distances.items()}),
            self.intervals(distances),
            f"{np.mean(several):.2f}",
            real[0],
            f"{ms:.1f}",
        )
        return [plain, Row(f"... with {N_LABELS} labelled seconds per site", "", "", real=real[1])]

    def network_row(self, recipe: str) -> Row:
        """The mean of the folds' networks with mirror images."""
        distances = self.network_distances(recipe)
        errors = [abs(row.networks_m - row.truth_m) for row in self.held_out(recipe).values()]
        several, ms = self.several_error(recipe)
        return Row(
            f"{recipe}, mean of {N_FOLDS} with flips",
            f"{np.mean(errors):.2f}",
            self.error_text({second: distance.distance_m for second, distance in distances.items()}),
            self.intervals(distances),
            f"{several:.2f}",
            ms=f"{ms:.0f}",
        )

    def blend_rows(self, recipe: str) -> list[Row]:
        """Networks and box model, shares learned at held-out sites; then with labels of each site."""
        rows = self.held_out(recipe)
        truth_m = np.array([row.truth_m for row in rows.values()])
        held_out_m = predict_held_out(list(rows.values()))
        blend = fit_blend(list(rows.values()), self.by_boxes.identity.sha256)
        networks, boxes = self.network_distances(recipe), self.box_distances()
        point = [
            blend_log1p(blend.shares, self.test_rows[m].box, networks[m].distance_m, boxes[m].distance_m)
            for m in self.test
        ]
        distances = dict(zip(self.test, blend.uncertainty.distances(np.array(point)), strict=True))
        shares = ", ".join(f"{kind} {share:.0%}" for kind, share in blend.shares.items())
        print(f"shares of the networks: {shares}")
        plain = Row(
            f"blend of {recipe} and box model",
            f"{np.abs(held_out_m - truth_m).mean():.2f}",
            self.error_text({second: distance.distance_m for second, distance in distances.items()}),
            self.intervals(distances),
        )
        train_observations = [observation_of(self.train_rows[second]) for second in rows]
        test_observations = [observation_of(self.test_rows[second]) for second in self.test]
        held_out = [Distance(metres, metres, metres) for metres in held_out_m.tolist()]
        labelled = Row(
            f"... with {N_LABELS} labelled seconds per site",
            with_labels(train_observations, held_out, truth_m),
            with_labels(test_observations, list(distances.values()), np.array(list(self.test.values()))),
        )
        return [plain, labelled]

    def held_out(self, recipe: str) -> dict[Second, HeldOutPair]:
        """The distances of networks and box model for seconds at sites held out from both."""
        rows = {}
        for fold in range(N_FOLDS):
            path = self.out / recipe / "round-0" / f"fold-{fold}" / "held_out.csv"
            for row in read_rows(path, required=("video_id", "time", "distance", "truth")):
                second = row.text("video_id"), row.non_negative_number("time", "seconds")
                metadata = self.train_rows[second]
                numbers = max(row.number("distance"), 0.0), self.boxes_held_out[second], row.number("truth")
                rows[second] = HeldOutPair(metadata.site_id, metadata.box, *numbers)
        return rows

    def box_distances(self) -> dict[Second, Distance]:
        """The box model's distances for the test seconds."""
        observations = [observation_of(self.test_rows[second]) for second in self.test]
        return dict(zip(self.test, self.by_boxes.estimate(observations), strict=True))

    def network_distances(self, recipe: str) -> dict[Second, Distance]:
        """The ensemble's distances for the test seconds, from its submission."""
        submission = {
            (row.video_id, row.time_s): row.distance_m for row in read_labels(self.out / recipe / "submission-0.csv")
        }
        animals = [DetectedAnimal(Observation(*second), (submission[second],)) for second in self.test]
        members = self.ensemble(recipe).members
        return dict(zip(self.test, NetworkEstimator(members, flip=True).estimate(animals), strict=True))

    def ensemble(self, recipe: str) -> Ensemble:
        """The folds' networks."""
        folders = [self.out / recipe / "round-0" / f"fold-{fold}" / "bundle" for fold in range(N_FOLDS)]
        return Ensemble.load(folders, flip=True, threads=2)

    def several_error(self, recipe: str) -> tuple[float, float]:
        """The mean error for each animal in seconds with several, and milliseconds for an estimate."""
        ensemble, store = self.ensemble(recipe), FrameStore.open(self.out / recipe / "frames")
        errors, spent, n = [], 0.0, 0
        for (video, time_s), animals in self.several.items():
            window = store.window(video, time_s, ensemble.spec.offsets_s, ensemble.spec.edge)
            inputs = np.stack([network_input(window, animal.box, ensemble.spec) for animal in animals])
            started = time.perf_counter()
            metres = ensemble.metres(inputs)
            spent, n = spent + time.perf_counter() - started, n + len(inputs)
            errors += [abs(estimate - animal.distance_m) for estimate, animal in zip(metres, animals, strict=True)]
        return float(np.mean(errors)), 1000 * spent / n

    def error_text(self, distances: dict[Second, float]) -> str:
        """The mean error at the test sites with its 95 % interval."""
        errors = np.array([abs(distances[second] - truth) for second, truth in self.test.items()])
        low, high = bootstrap_interval(errors, [self.test_rows[second].site_id for second in self.test])
        return f"{errors.mean():.2f} ({low:.2f} to {high:.2f})"

    def intervals(self, distances: dict[Second, Distance]) -> str:
        """Coverage of the test truths by the intervals, and their mean width."""
        low = [distances[second].low_m for second in self.test]
        high = [distances[second].high_m for second in self.test]
        return f"{coverage(low, high, list(self.test.values())):.0%}, {mean_width(low, high):.1f} m"


def observation_of(row: MetadataRow) -> Observation:
    """The observation of a table's row."""
    return Observation(row.video_id, row.time_s, row.box, 1, row.site_id)


def with_labels(
    observations: Sequence[Observation], distances: Sequence[Distance], truth_m: NDArray[np.float64]
) -> str:
    """The error after calibration by a few labels per site, and that of the same rows without it.

    At each site with at least four videos, a random half of the videos may be labelled and the other half is scored, in
    each repetition.
    """
    sites: dict[str, list[int]] = defaultdict(list)
    for number, observation in enumerate(observations):
        sites[observation.site_id].append(number)
    before, after = [], []
    for name, numbers in sorted(sites.items()):
        videos = sorted({observations[number].media_id for number in numbers})
        if not name or len(videos) < MIN_VIDEOS:
            continue
        rng = np.random.default_rng(list(map(ord, name)))
        site_rows, before_site = [observations[n] for n in numbers], [distances[n] for n in numbers]
        for _ in range(REPETITIONS):
            may_label = set(rng.permutation(videos)[: len(videos) // 2].tolist())
            pool = [i for i, row in enumerate(site_rows) if row.media_id in may_label]
            labels = tuple((i, float(truth_m[numbers[i]])) for i in rng.permutation(pool)[:N_LABELS].tolist())
            corrected = correct_site(site_rows, before_site, SiteFacts(labels)).distances
            for i, n in enumerate(numbers):
                if site_rows[i].media_id not in may_label:
                    before.append(abs(before_site[i].distance_m - truth_m[n]))
                    after.append(abs(corrected[i].distance_m - truth_m[n]))
    return f"{np.mean(after):.2f}; the same rows without {np.mean(before):.2f}"


def several_animals(truth: Sequence[TruthRow], seconds_m: dict[Second, float]) -> dict[Second, list[TruthRow]]:
    """The animals of the seconds that show more than one."""
    animals: dict[Second, list[TruthRow]] = defaultdict(list)
    for row in truth:
        if row.box is not None and (row.video_id, row.time_s) in seconds_m:
            animals[row.video_id, row.time_s].append(row)
    return {second: rows for second, rows in animals.items() if len(rows) > 1}


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
