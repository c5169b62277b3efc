"""Parting videos into folds for cross-validation, by site (honest) or by video (as the 2nd-place system did)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from trapmeter.errors import InputError

SECOND_PLACE_SEED = 314159


def folds_by_site(
    site_of: Mapping[str, str], distances_m: Mapping[str, Sequence[float]], n_folds: int, seed: int = 0
) -> dict[str, int]:
    """A fold for each video, such that all videos of a site share one; folds are alike in rows and in distances.

    site_of: the site of each video; distances_m: the labels of each video in metres. Sites are dealt out from the one with
    the most labels on, each to the fold whose counts in the distance bands it brings nearest to an equal share. A video
    without a site is a site of its own. seed breaks ties between sites of equal size.

    Raises:
        InputError: fewer sites than folds.
    """
    videos_of: dict[str, list[str]] = defaultdict(list)
    for video_id in sorted(site_of):
        videos_of[site_of[video_id] or f"\0{video_id}"].append(video_id)
    if n_folds < 2 or len(videos_of) < n_folds:
        raise InputError(
            f"{n_folds} folds by site need at least 2 folds and as many sites; there are {len(videos_of)} sites"
        )
    edges = np.quantile([d for ds in distances_m.values() for d in ds] or [0.0], [0.2, 0.4, 0.6, 0.8])
    bands = {
        site: _band_counts([d for v in ids for d in distances_m.get(v, ())], edges) for site, ids in videos_of.items()
    }
    share = sum(bands.values(), np.zeros(len(edges) + 1)) / n_folds
    order = np.random.default_rng(seed).permutation(sorted(videos_of))
    filled = np.zeros((n_folds, len(share)))
    n_sites = np.zeros(n_folds)
    fold_of: dict[str, int] = {}
    for site in sorted(order.tolist(), key=lambda site: -bands[site].sum()):
        # What each fold would miss its share by, in every band; a fold may not stay empty.
        excess = ((filled + bands[site] - share) ** 2 - (filled - share) ** 2).sum(axis=1)
        fold = int(np.lexsort((n_sites, excess))[0])
        filled[fold] += bands[site]
        n_sites[fold] += 1
        fold_of |= dict.fromkeys(videos_of[site], fold)
    return fold_of


def folds_by_video(video_ids: Sequence[str], n_folds: int = 10, seed: int = SECOND_PLACE_SEED) -> dict[str, int]:
    """A fold for each video, whatever its site: sorted by name, shuffled, cut into even pieces.

    The same folds as scikit-learn's KFold(n_folds, shuffle=True, random_state=seed) over the sorted names. Sites stand on
    both sides then, and errors come out too good.

    Raises:
        InputError: fewer videos than folds.
    """
    names = sorted(set(video_ids))
    if n_folds < 2 or len(names) < n_folds:
        raise InputError(f"{n_folds} folds need at least 2 folds and as many videos; there are {len(names)}")
    # numpy's old generator, since that is what KFold draws from.
    order = np.random.RandomState(seed).permutation(len(names))  # noqa: NPY002
    pieces = np.array_split(order, n_folds)
    return {names[i]: fold for fold, piece in enumerate(pieces) for i in piece.tolist()}


def leaking_sites(fold_of: Mapping[str, int], site_of: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Sites whose videos stand in more than one fold, with those folds: their error tells nothing about new sites."""
    folds: dict[str, set[int]] = defaultdict(set)
    for video_id, fold in fold_of.items():
        if site_of.get(video_id):
            folds[site_of[video_id]].add(fold)
    return {site: tuple(sorted(found)) for site, found in sorted(folds.items()) if len(found) > 1}


def _band_counts(distances_m: Sequence[float], edges: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(edges, np.array(distances_m)), minlength=len(edges) + 1).astype(float)
