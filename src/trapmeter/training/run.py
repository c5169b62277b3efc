"""`trapmeter train`: reads the tables, assigns folds and trains them one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from trapmeter.errors import InputError
from trapmeter.files import remove_partial_files
from trapmeter.folds import SECOND_PLACE_SEED, folds_by_site, folds_by_video, leaking_sites
from trapmeter.frames.store import FrameStore
from trapmeter.progress import Announce
from trapmeter.training.dataset import check_frames_stored, n_batches_per_epoch
from trapmeter.training.distributed import process_group, ranks_from_environment
from trapmeter.training.job import TrainingJob, prepare_process, train_one
from trapmeter.training.rank_checks import failing_together
from trapmeter.training.samples import (
    Sample,
    describe_facts,
    distances_by_video,
    for_input,
    read_pseudolabels,
    read_samples,
    without_other_animals,
)
from trapmeter.training.settings import FoldsBy, TrainSettings
from trapmeter.training.training_log import ALL_CURVES, draw_all_curves


def train(settings: TrainSettings, announce: Announce = print) -> list[Path]:
    """Trains the requested folds and exports the best network of each; returns the folders of the bundles.

    Finished folds are skipped, and an interrupted one resumes. curves.png shows the held-out errors of all folds. Under
    torchrun or srun all processes call this with the same settings; the first one writes files and announces.

    Raises:
        InputError: a table, the store or a setting is invalid; nothing was trained.
        RunError: a folder holds another training or is in use, the processes differ, the loss is not a finite number, or
            the disk is full.
    """
    ranks = ranks_from_environment()
    announce_once = announce if ranks.is_first else _silent
    prepare_process(ranks, settings.recipe)
    with process_group(ranks):
        with failing_together(ranks):
            samples, extra, store, fold_of = _read_inputs(settings)
            if ranks.is_first:
                remove_partial_files(settings.out, {ALL_CURVES})
        folds = range(settings.n_folds) if settings.fold is None else [settings.fold]
        if settings.animals is not None and not (settings.recipe.place_weight or settings.recipe.input.box_channel):
            announce_once(f"the recipe {settings.recipe.name} makes no use of drawn boxes; --animals has no effect")
        if settings.recipe.input.facts:
            announce_once(describe_facts(samples))
        elif settings.cameras is not None:
            announce_once(f"the recipe {settings.recipe.name} takes no facts; --cameras has no effect")
        announce_once(describe_folds(without_other_animals(samples), fold_of, settings))
        jobs = [_fold_job(settings, samples, extra, fold_of, fold) for fold in folds]
        _check_sizes(jobs, ranks.world_size)
        bundles = []
        for job in jobs:
            bundles.append(train_one(job, store, ranks, announce_once))
            with failing_together(ranks):
                if ranks.is_first:
                    draw_all_curves(settings.out)
        return bundles


def check_folds(settings: TrainSettings, n_processes: int = 1) -> None:
    """Checks that every fold has enough samples to train on, without the frames and pseudolabels.

    Raises:
        InputError: a table or a setting is invalid, or a fold is too small.
    """
    samples = _read_labelled(settings)
    fold_of = assign_folds(without_other_animals(samples), settings.folds_by, settings.n_folds)
    folds = range(settings.n_folds) if settings.fold is None else [settings.fold]
    _check_sizes([_fold_job(settings, samples, (), fold_of, fold) for fold in folds], n_processes)


def _check_sizes(jobs: Sequence[TrainingJob], n_processes: int) -> None:
    """Refuses all folds if one is too small, before hours go into the others."""
    for job in jobs:
        try:
            n_batches_per_epoch(len(job.train), job.recipe.batch_size, job.recipe.accumulate, n_processes)
        except InputError as error:
            raise InputError(f"{job.name}: {error}") from error


def _read_labelled(settings: TrainSettings) -> list[Sample]:
    """The labelled samples that the recipe can use."""
    samples = read_samples(settings.labels, settings.metadata, settings.animals, settings.cameras)
    return for_input(samples, settings.recipe.input)


def _read_inputs(settings: TrainSettings) -> tuple[list[Sample], list[Sample], FrameStore, dict[str, int]]:
    """Samples, pseudolabels, the store (checked to have all their frames), and the fold of each video."""
    samples = _read_labelled(settings)
    extra = (
        []
        if settings.extra is None
        else for_input(
            read_pseudolabels(settings.extra, settings.extra_metadata or settings.metadata, settings.cameras),
            settings.recipe.input,
        )
    )
    store = FrameStore.open(settings.store)
    check_frames_stored(store, [*samples, *extra], settings.recipe.input)
    return samples, extra, store, assign_folds(without_other_animals(samples), settings.folds_by, settings.n_folds)


def assign_folds(samples: Sequence[Sample], folds_by: FoldsBy, n_folds: int) -> dict[str, int]:
    """The fold of each video."""
    if folds_by is FoldsBy.VIDEO:
        return folds_by_video([sample.video_id for sample in samples], n_folds, SECOND_PLACE_SEED)
    site_of = {sample.video_id: sample.site_id for sample in samples}
    return folds_by_site(site_of, distances_by_video(samples), n_folds)


def describe_folds(samples: Sequence[Sample], fold_of: Mapping[str, int], settings: TrainSettings) -> str:
    """Rows and sites of each fold as text, with a warning if a site is in several folds."""
    site_of = {sample.video_id: sample.site_id for sample in samples}
    sites = {fold: {site_of[v] for v, f in fold_of.items() if f == fold} for fold in range(settings.n_folds)}
    rows = [sum(fold_of[sample.video_id] == fold for sample in samples) for fold in range(settings.n_folds)]
    lines = [f"{len(samples)} labelled seconds of {len(fold_of)} videos at {len(set(site_of.values()))} sites"]
    lines += [f"  fold {fold}: {rows[fold]} seconds, {len(sites[fold])} sites" for fold in range(settings.n_folds)]
    leaks = leaking_sites(fold_of, site_of)
    if leaks:
        some = ", ".join(list(leaks)[:5])
        lines.append(
            f"{len(leaks)} sites are in several folds ({some}{', ...' if len(leaks) > 5 else ''}): networks are evaluated at "
            "sites that they were trained on, and errors at new sites will be larger. --folds-by site avoids this."
        )
    elif not any(site_of.values()):
        lines.append(
            "no sites are known, so each video counts as a site. Give --metadata with site_id to evaluate at new sites."
        )
    return "\n".join(lines)


def _fold_job(
    settings: TrainSettings, samples: Sequence[Sample], extra: Sequence[Sample], fold_of: Mapping[str, int], fold: int
) -> TrainingJob:
    """The training of one fold, with its training and held-out samples."""
    # Other animals are trained on, but the error is that of the labels alone, as in the 2nd-place system.
    held_out = [sample for sample in without_other_animals(samples) if fold_of[sample.video_id] == fold]
    sites = {sample.site_id for sample in held_out if sample.site_id}
    # A pseudolabel of a held-out site would leak that site into the training.
    added = [s for s in extra if s.site_id not in sites and fold_of.get(s.video_id) != fold]
    return TrainingJob(
        name=f"fold {fold}",
        folder=settings.out / f"fold-{fold}",
        recipe=settings.recipe,
        train=[sample for sample in samples if fold_of[sample.video_id] != fold] + added,
        held_out=held_out,
        facts={"fold": fold, "n_folds": settings.n_folds, "folds_by": settings.folds_by},
        held_out_provenance={"fold": fold, "folds_by": settings.folds_by},
        model_id=f"{settings.recipe.name}-fold{fold}",
        licence=settings.licence,
    )


def _silent(_: str) -> None:
    pass
