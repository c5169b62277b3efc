"""A training from tables and a frame store to bundles: folds, one after the other, skipping what is finished."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from statistics import median

from trapmeter import __version__
from trapmeter.errors import InputError
from trapmeter.files import alone_in, whole_file
from trapmeter.folds import SECOND_PLACE_SEED, folds_by_site, folds_by_video, leaking_sites
from trapmeter.frames.store import FrameStore
from trapmeter.training import checkpoints
from trapmeter.training.dataset import check_store
from trapmeter.training.distributed import Ranks, process_group, ranks_from_environment
from trapmeter.training.loop import BEST, train_fold
from trapmeter.training.memory import keep_freed_memory
from trapmeter.training.network import DistanceNetwork, make_network
from trapmeter.training.recipes import Recipe
from trapmeter.training.records import read_held_out
from trapmeter.training.samples import Sample, by_video, labelled, read_pseudolabels, read_samples
from trapmeter.training.weights import NO_WEIGHTS
from trapmeter.uncertainty import Uncertainty, fit_uncertainty

BUNDLE = "bundle"


class FoldsBy(StrEnum):
    """What is kept together when videos are parted into folds."""

    SITE = "site"
    """All videos of a site: the error is one at new sites."""
    VIDEO = "video"
    """Videos alone, as the 2nd-place system did: the error is one at known sites, and half a metre too good."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """The arguments of `trapmeter train`."""

    labels: Path
    metadata: Path | None
    store: Path
    out: Path
    recipe: Recipe
    folds_by: FoldsBy = FoldsBy.SITE
    n_folds: int = 10
    fold: int | None = None
    """The fold to train, None for all one after the other."""
    extra: Path | None = None
    """Pseudolabels, added to the training rows of every fold."""
    extra_metadata: Path | None = None
    """Boxes and sites of the pseudolabels' videos, where metadata doesn't hold them."""
    licence: str = "not stated"
    """Of the trained weights; goes into each bundle."""
    animals: Path | None = None
    """Every animal with its distance and its drawn box: they teach a locating head where to look, and networks that are shown
    a box to answer for that animal."""


def train(settings: TrainSettings, progress: Callable[[str], None] = print) -> list[Path]:
    """Trains the folds asked for and exports each one's best network; returns the folders of the bundles.

    Under torchrun or srun all processes call this alike; the first one writes and talks.

    Raises:
        InputError: a table, the store or an argument is wrong; nothing was trained.
        RunError: a folder holds another training or is in use, the loss is no number, or the disk is full.
    """
    samples = read_samples(settings.labels, settings.metadata, settings.animals)
    if not settings.recipe.input.box_channel:
        # A network that sees no box can't be told which animal is meant.
        samples = labelled(samples)
    extra = (
        []
        if settings.extra is None
        else read_pseudolabels(settings.extra, settings.extra_metadata or settings.metadata)
    )
    store = FrameStore.open(settings.store)
    check_store(store, [*samples, *extra], settings.recipe.input)
    fold_of = assign_folds(labelled(samples), settings.folds_by, settings.n_folds)
    if settings.fold is not None and not 0 <= settings.fold < settings.n_folds:
        raise InputError(f"--fold lies in 0..{settings.n_folds - 1} or is all, got {settings.fold}")
    folds = range(settings.n_folds) if settings.fold is None else [settings.fold]
    ranks = ranks_from_environment()
    tell = progress if ranks.is_first else _silent
    if settings.animals is not None and not (settings.recipe.place_weight or settings.recipe.input.box_channel):
        tell(f"the recipe {settings.recipe.name} doesn't look for animals: drawn boxes teach it nothing")
    tell(describe_folds(labelled(samples), fold_of, settings))
    # torch.export talks about every step of a network's translation.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    if ranks.device.type == "cpu":
        keep_freed_memory()
    with process_group(ranks):
        bundles = []
        for fold in folds:
            # Folds may be trained side by side on several machines, each of them once.
            with alone_in(settings.out / f"fold-{fold}") if ranks.is_first else nullcontext():
                bundles.append(_train_one(settings, store, samples, extra, fold_of, fold, ranks, tell))
        return bundles


def assign_folds(samples: Sequence[Sample], folds_by: FoldsBy, n_folds: int) -> dict[str, int]:
    """The fold of each video."""
    if folds_by is FoldsBy.VIDEO:
        return folds_by_video([sample.video_id for sample in samples], n_folds, SECOND_PLACE_SEED)
    site_of = {sample.video_id: sample.site_id for sample in samples}
    return folds_by_site(site_of, by_video(samples), n_folds)


def describe_folds(samples: Sequence[Sample], fold_of: Mapping[str, int], settings: TrainSettings) -> str:
    """Rows and sites of each fold, and what it means when sites stand on both sides."""
    site_of = {sample.video_id: sample.site_id for sample in samples}
    sites = {fold: {site_of[v] for v, f in fold_of.items() if f == fold} for fold in range(settings.n_folds)}
    rows = [sum(fold_of[sample.video_id] == fold for sample in samples) for fold in range(settings.n_folds)]
    lines = [f"{len(samples)} labelled moments of {len(fold_of)} videos at {len(set(site_of.values()))} sites"]
    lines += [f"  fold {fold}: {rows[fold]} moments, {len(sites[fold])} sites" for fold in range(settings.n_folds)]
    leaks = leaking_sites(fold_of, site_of)
    if leaks:
        some = ", ".join(list(leaks)[:5])
        lines.append(
            f"{len(leaks)} sites stand in several folds ({some}{', ...' if len(leaks) > 5 else ''}): the networks are judged "
            "at places that they know, and the error at new sites will be larger. --folds-by site avoids it."
        )
    elif not any(site_of.values()):
        lines.append(
            "no sites are known: each video counts as one. Give --metadata with site_id to judge at new sites."
        )
    return "\n".join(lines)


def _train_one(
    settings: TrainSettings,
    store: FrameStore,
    samples: Sequence[Sample],
    extra: Sequence[Sample],
    fold_of: Mapping[str, int],
    fold: int,
    ranks: Ranks,
    tell: Callable[[str], None],
) -> Path:
    from trapmeter.training.export import export

    folder = settings.out / f"fold-{fold}"
    recipe = settings.recipe
    # Other animals of a second teach; judged are the labels alone, as the reference's are.
    held_out = [sample for sample in labelled(samples) if fold_of[sample.video_id] == fold]
    sites = {sample.site_id for sample in held_out if sample.site_id}
    # A pseudolabel of a held-out site would tell this fold about a place that it is judged at.
    added = [s for s in extra if s.site_id not in sites and fold_of.get(s.video_id) != fold]
    train_samples = [sample for sample in samples if fold_of[sample.video_id] != fold] + added
    if ranks.is_first:
        facts = {
            "recipe": recipe.to_json(),
            "fold": fold,
            "n_folds": settings.n_folds,
            "folds_by": settings.folds_by,
            "world_size": ranks.world_size,
            "training_rows": _digest(train_samples),
            "held_out_rows": _digest(held_out),
        }
        checkpoints.check_settings(folder, facts)
    finished = folder / checkpoints.FINISHED
    if finished.exists():
        tell(f"fold {fold}: finished before, {json.loads(finished.read_text(encoding='utf-8'))['best_mae_m']:.3f} m")
        return folder / BUNDLE
    tell(f"fold {fold}: {len(train_samples)} moments to train on ({len(added)} pseudolabels), {len(held_out)} held out")

    def make(weights: str = recipe.weights) -> DistanceNetwork:
        network = make_network(recipe.backbone, recipe.input, weights, recipe.head)
        if recipe.start_at_median:
            network.start_at(median(sample.distance_m for sample in train_samples))
        return network

    result = train_fold(
        recipe, store, train_samples, held_out, make, folder, ranks, lambda text: tell(f"fold {fold}: {text}")
    )
    if ranks.is_first:
        network = make(NO_WEIGHTS)
        network.load_state_dict(checkpoints.load_weights(folder / BEST))
        provenance = {
            "trapmeter": __version__,
            "recipe": recipe.to_json(),
            "trained_on": {"moments": len(train_samples), "pseudolabels": len(added), "sha256": _digest(train_samples)},
            "held_out": {
                "fold": fold,
                "folds_by": settings.folds_by,
                "moments": len(held_out),
                "mae_m": result.best_mae_m,
            },
        }
        model_id = f"{recipe.name}-fold{fold}"
        export(network, recipe.input, folder / BUNDLE, model_id, settings.licence, provenance, _uncertainty(folder))
        with whole_file(finished) as file:
            json.dump({**asdict(result), "bundle": BUNDLE}, file)
        tell(f"fold {fold}: held-out error {result.best_mae_m:.3f} m; bundle in {folder / BUNDLE}")
    return folder / BUNDLE


def _uncertainty(folder: Path) -> Uncertainty | None:
    """What the fold's held-out answers tell; None without any."""
    rows = read_held_out(folder)
    if not rows:
        return None
    point_log = [math.log1p(max(row.answer_m, 0.0)) for row in rows]
    return fit_uncertainty(point_log, [row.truth_m for row in rows], [row.site_id or row.video_id for row in rows])


def _digest(samples: Sequence[Sample]) -> str:
    """A checksum of samples: two trainings with the same one saw the same rows."""
    return hashlib.sha256("\n".join(map(repr, samples)).encode()).hexdigest()


def _silent(_: str) -> None:
    pass
