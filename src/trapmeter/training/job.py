"""One training job, from samples to an exported bundle; shared by folds and students."""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from trapmeter._version import __version__
from trapmeter.errors import ModelError
from trapmeter.facts import NO_FACTS
from trapmeter.files import atomic_file, lock_folder, sha256_of
from trapmeter.frames.store import FrameStore
from trapmeter.progress import Announce
from trapmeter.training import checkpoints
from trapmeter.training.dataset import store_digest
from trapmeter.training.distributed import Ranks, exit_with_agent, sum_over_ranks
from trapmeter.training.loop import BEST, train_fold
from trapmeter.training.network import DistanceNetwork, make_network
from trapmeter.training.rank_checks import check_ranks_agree, check_shared_folder, failing_together
from trapmeter.training.recipes import NO_WEIGHTS, Precision, Recipe
from trapmeter.training.samples import PSEUDO, Sample
from trapmeter.training.training_log import HeldOutPrediction, read_held_out
from trapmeter.uncertainty import Uncertainty, fit_uncertainty

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""From glibc's malloc.h."""
MAX_TRIM_BYTES = 2**31 - 1
MIN_ROWS_OF_PART = 100
"""Fewer held-out rows don't get intervals of their own."""


def keep_freed_memory() -> bool:
    """Makes glibc keep freed memory instead of returning it to the kernel; returns whether it does.

    Each training step on a CPU needs the same large blocks. By default glibc maps each of them and unmaps it at once, and
    the kernel fills it with zeros in every step: a quarter of all CPU time at a batch of 32 windows.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        # The C library is another one, such as musl.
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, MAX_TRIM_BYTES))


BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One network to train.

    name: start of each line of its progress. facts: what it depends on besides recipe and samples; a folder with other facts
    is refused. held_out_provenance, provenance: for the bundle's card.
    """

    name: str
    folder: Path
    recipe: Recipe
    train: Sequence[Sample]
    held_out: Sequence[Sample]
    facts: Mapping[str, Any]
    held_out_provenance: Mapping[str, Any]
    model_id: str
    licence: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    uncertainty: Uncertainty | None = None
    """Used if there are no held-out samples to estimate it from."""
    start: Path | None = None
    """Start weights of the entire network, such as best.safetensors of a fold with the same recipe."""


LOCK_TIMEOUT_S = 30.0
"""How long several processes wait for the folder: a shared file system may release a lost host's lock late."""


def prepare_process(ranks: Ranks, recipe: Recipe) -> None:
    """Prepares this process for training; call it once."""
    exit_with_agent()
    # torch.export logs every step of a network's translation.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    if ranks.device.type == "cpu":
        keep_freed_memory()
    # All batches of a training have the same shape, so that searching the fastest convolution once pays off. Another search
    # may find another one, which rounds otherwise.
    torch.backends.cudnn.benchmark = ranks.device.type == "cuda" and recipe.precision is not Precision.FP64


def train_one(job: TrainingJob, store: FrameStore, ranks: Ranks, announce: Announce) -> Path:
    """Trains a network, or resumes its training, and exports its best weights; returns the bundle's folder.

    Of several processes all call this with the same arguments; the first one writes files and announces. Before the first
    step they check that they have the same settings, tables, pictures and version, and see the same folder.

    Raises:
        RunError: the folder holds another training or is in use, the processes differ, the loss is not a finite number, or
            the disk is full.
        ModelError: the start weights are another network's, or the exported network's predictions differ from the trained
            one's; the weights are kept, and the same call then only exports.
    """
    facts = {
        "recipe": job.recipe.to_json(),
        **job.facts,
        "training_rows": samples_digest(job.train),
        "held_out_rows": samples_digest(job.held_out),
    }
    if job.start is not None:
        facts["start"] = sha256_of(job.start)
    _check_ranks(job, store, facts, ranks)
    with ExitStack() as locks:
        with failing_together(ranks):
            if ranks.is_first:
                # Several machines may train folds in the same output folder, but each fold only once.
                locks.enter_context(lock_folder(job.folder, wait_s=LOCK_TIMEOUT_S if ranks.world_size > 1 else 0.0))
                checkpoints.check_settings(job.folder, facts)
        check_shared_folder(job.folder, ranks)
        return _train_locked(job, store, ranks, announce)


def _check_ranks(job: TrainingJob, store: FrameStore, facts: Mapping[str, Any], ranks: Ranks) -> None:
    if ranks.world_size == 1:
        return
    with failing_together(ranks):
        pictures = store_digest(store, [*job.train, *job.held_out])
    check_ranks_agree({"the version of trapmeter": __version__, **facts, "the pictures in --store": pictures}, ranks)


def _train_locked(job: TrainingJob, store: FrameStore, ranks: Ranks, announce: Announce) -> Path:
    folder, recipe = job.folder, job.recipe
    finished = folder / checkpoints.FINISHED
    # Only the first process looks: on a shared file system the others may see the file later.
    if sum_over_ranks([float(ranks.is_first and finished.exists())], ranks)[0]:
        if ranks.is_first:
            mae_m = json.loads(finished.read_text(encoding="utf-8"))["best_mae_m"]
            announce(f"{job.name}: already finished; {_error_text(mae_m)}bundle in {folder / BUNDLE}")
        return folder / BUNDLE
    n_added = sum(sample.source == PSEUDO for sample in job.train)
    announce(f"{job.name}: {len(job.train)} training samples ({n_added} pseudolabels), {len(job.held_out)} held out")

    def make(weights: str = recipe.weights) -> DistanceNetwork:
        if job.start is not None:
            return _with_start_weights(make_network(recipe.backbone, recipe.input, NO_WEIGHTS, recipe.head), job.start)
        network = make_network(recipe.backbone, recipe.input, weights, recipe.head)
        if recipe.start_at_median:
            network.set_initial_distance(median(sample.distance_m for sample in job.train))
        return network

    result = train_fold(
        recipe, store, job.train, job.held_out, make, folder, ranks, lambda text: announce(f"{job.name}: {text}")
    )
    with failing_together(ranks):
        if ranks.is_first:
            _export(job, make(NO_WEIGHTS), n_added, result.best_mae_m)
            with atomic_file(finished) as file:
                json.dump({**asdict(result), "bundle": BUNDLE}, file)
    announce(f"{job.name}: {_error_text(result.best_mae_m)}bundle in {folder / BUNDLE}")
    return folder / BUNDLE


def samples_digest(samples: Sequence[Sample]) -> str:
    """A checksum of samples, equal for equal rows. It hashes their repr, so renaming a field changes it."""
    rows = (repr(sample) if sample.facts == NO_FACTS else f"{sample!r} {sample.facts!r}" for sample in samples)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _with_start_weights(network: DistanceNetwork, path: Path) -> DistanceNetwork:
    weights = checkpoints.load_weights(path)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: these weights belong to another network; give weights of the recipe's backbone, head and input "
            f"({str(error).splitlines()[-1].strip()})"
        ) from error
    return network


def _export(job: TrainingJob, network: DistanceNetwork, n_added: int, mae_m: float) -> None:
    from trapmeter.training.export import export_network

    network.load_state_dict(checkpoints.load_weights(job.folder / BEST))
    provenance = {
        "trapmeter": __version__,
        "recipe": job.recipe.to_json(),
        "trained_on": {"moments": len(job.train), "pseudolabels": n_added, "sha256": samples_digest(job.train)},
        **job.provenance,
    }
    if job.held_out:
        provenance["held_out"] = {**job.held_out_provenance, "moments": len(job.held_out), "mae_m": mae_m}
    uncertainty, told = _uncertainties(job.folder) if job.held_out else (job.uncertainty, None)
    try:
        export_network(
            network, job.recipe.input, job.folder / BUNDLE, job.model_id, job.licence, provenance, uncertainty, told
        )
    except ModelError as error:
        raise ModelError(
            f"{job.name} is trained, but was not exported: {error}. Its weights are safe in "
            f"{job.folder / BEST}. Update torch and onnxruntime, or move the output folder to another machine, and run "
            "the same command again: it exports the network without training it again"
        ) from error


def _uncertainties(folder: Path) -> tuple[Uncertainty | None, Uncertainty | None]:
    """Fitted to the held-out predictions; None if there are none.

    The second one is for animals whose distance by size the network was told, the first one then for the others; None if one
    of them would rest on few rows.
    """
    rows = read_held_out(folder)
    told, untold = ([row for row in rows if row.is_told is wanted] for wanted in (True, False))
    if min(len(told), len(untold)) < MIN_ROWS_OF_PART:
        return _fitted(rows), None
    return _fitted(untold), _fitted(told)


def _fitted(rows: Sequence[HeldOutPrediction]) -> Uncertainty | None:
    if not rows:
        return None
    point_log = [math.log1p(max(row.prediction_m, 0.0)) for row in rows]
    return fit_uncertainty(point_log, [row.truth_m for row in rows], [row.site_id or row.video_id for row in rows])


def _error_text(mae_m: float) -> str:
    """The held-out error in metres as text; empty if nothing was held out."""
    return f"held-out error {mae_m:.3f} m; " if math.isfinite(mae_m) else ""
