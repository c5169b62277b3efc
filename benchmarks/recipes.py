"""The contribution of each part of the default recipe to the error at held-out sites, at a scale for CPUs.

Trains one small network on the training sites of simtrap with `default_cpu`, again without each of its parts, and with
`second_place_cpu`. Prints the error of each at held-out sites, and the difference from the default with its interval over
sites. The test sites are not used.

    python benchmarks/recipes.py --simtrap DIR --out DIR [--folds 0,1] [--size 96x160] [--epochs 8] [--only NAME ...]

A variant and fold takes about 5 minutes on two cores. The same command resumes an interrupted run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trapmeter.frames.fill import fill_store
from trapmeter.frames.requests import read_requests
from trapmeter.frames.spec import StoreSpec, parse_size
from trapmeter.frames.store import FrameStore
from trapmeter.metrics import bootstrap_interval
from trapmeter.models.input_spec import FrameEncoding
from trapmeter.training.augment.settings import second_place_augmentation
from trapmeter.training.recipes import CosineSchedule, Head, Recipe, default_cpu, second_place_cpu
from trapmeter.training.run import train
from trapmeter.training.settings import TrainSettings
from trapmeter.training.training_log import HeldOutPrediction, read_held_out

N_FOLDS = 3
WITHOUT_ANIMALS = ("second_place", "without drawn boxes")


def variants(size_hw: tuple[int, int], epochs: int) -> dict[str, Recipe]:
    """Recipes by name: the default, the default without one of its parts, and the 2nd-place system's."""
    default, reference = default_cpu(), second_place_cpu()
    default = replace(
        default,
        input=replace(default.input, size_hw=size_hw),
        epochs=epochs,
        schedule=CosineSchedule(lr=1e-3, eta_min=1e-5, t_max=epochs - 1),
    )
    spec, augment = default.input, default.augment
    return {
        "default": default,
        "without drawn boxes": default,
        "without the locating head": replace(default, head=Head.POOLED, place_weight=0.0),
        "without motion": replace(
            default, input=replace(spec, frames=FrameEncoding.RGB, offsets_s=(-2.0, -1.0, 0.0, 1.0, 2.0))
        ),
        "without the box": replace(default, input=replace(spec, box_channel=False), box_dropout=0.0),
        "without zoom": replace(default, augment=replace(augment, p_zoom=0.0)),
        "with the reference's augmentation": replace(default, augment=second_place_augmentation()),
        "with a mean of weights": replace(default, ema_decay=0.98),
        "second_place": replace(
            reference,
            input=replace(reference.input, size_hw=size_hw),
            epochs=epochs,
            schedule=replace(reference.schedule, t_max=epochs * 25 / 80),
        ),
    }


def main() -> None:
    """Trains the missing folds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simtrap", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", default="0,1")
    parser.add_argument("--size", default="96x160")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", nargs="*", help="names of variants")
    arguments = parser.parse_args()
    folds = [int(fold) for fold in arguments.folds.split(",")]
    chosen = variants(parse_size(arguments.size), arguments.epochs)
    if arguments.only:
        chosen = {name: chosen[name] for name in arguments.only}
    errors: dict[str, tuple[NDArray[np.float64], list[str]]] = {}
    for name, recipe in chosen.items():
        rows = held_out(arguments.simtrap, arguments.out, name, recipe, folds)
        errors[name] = np.array([abs(row.prediction_m - row.truth_m) for row in rows]), [row.site_id for row in rows]
        print(table(errors), flush=True)


def held_out(data: Path, out: Path, name: str, recipe: Recipe, folds: Sequence[int]) -> list[HeldOutPrediction]:
    """The predictions at held-out sites; trains the folds that are missing."""
    labels, metadata = data / "train_labels.csv", data / "train_metadata.csv"
    size = "x".join(map(str, recipe.input.size_hw))
    store = FrameStore.create(
        out / f"frames-{size}-{recipe.input.resize}", StoreSpec(recipe.input.size_hw, recipe.input.resize)
    )
    requests, missing = read_requests([labels], data / "train_videos", recipe.input.offsets_s)
    fill_store(store, requests, jobs=2, missing=missing)
    folder = out / name.replace(" ", "-").replace(",", "")
    rows = []
    for fold in folds:
        animals = None if name in WITHOUT_ANIMALS else data / "truth.csv"
        settings = TrainSettings(
            labels=labels,
            metadata=metadata,
            store=store.folder,
            out=folder,
            recipe=recipe,
            n_folds=N_FOLDS,
            fold=fold,
            animals=animals,
        )
        train(settings, lambda text: print(f"{name}: {text}", flush=True))
        rows += read_held_out(folder / f"fold-{fold}")
    return rows


def table(errors: dict[str, tuple[NDArray[np.float64], list[str]]]) -> str:
    """Errors, and their differences from the first variant on the same rows."""
    first, sites = next(iter(errors.values()))
    lines = [
        "| variant | held-out error, m | share of the first | difference, m (95% over sites) |",
        "| --- | --- | --- | --- |",
    ]
    for name, (own, _) in errors.items():
        low, high = bootstrap_interval(own - first, sites) if own is not first else (0.0, 0.0)
        difference = "" if own is first else f"{(own - first).mean():+.2f} ({low:+.2f} to {high:+.2f})"
        lines.append(f"| {name} | {own.mean():.3f} | {own.mean() / first.mean():.2f} | {difference} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
