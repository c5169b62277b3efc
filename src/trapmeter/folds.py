"""Divides videos into folds for cross-validation: by site, or by video as the 2nd-place system did."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError

SECOND_PLACE_SEED = 314159

Site = TypeVar("Site", str, int, tuple[bool, str])


def folds_by_site(
    site_of: Mapping[str, str], distances_m: Mapping[str, Sequence[float]], n_folds: int, seed: int = 0
) -> dict[str, int]:
    """The fold of each video. All videos of a site share one, and folds have similar sizes and distances.

    Sites are assigned from the one with the most labels on, each to the fold whose counts in five distance bands it
    brings nearest to an equal share. A video without a site counts as a site of its own.

    Args:
        site_of: the site of each video.
        distances_m: the labels of each video, in metres.
        n_folds: the number of folds.
        seed: orders sites with equally many labels.

    Raises:
        InputError: fewer than 2 folds, or fewer sites than folds.
    """
    videos_of: dict[str, list[str]] = defaultdict(list)
    for video_id in sorted(site_of):
        videos_of[site_of[video_id] or f"\0{video_id}"].append(video_id)
    _check_counts(len(videos_of), n_folds)
    edges = np.quantile([d for ds in distances_m.values() for d in ds] or [0.0], [0.2, 0.4, 0.6, 0.8])
    sites = np.random.default_rng(seed).permutation(sorted(videos_of)).tolist()
    bands = np.array(
        [
            _band_counts([d for video_id in videos_of[site] for d in distances_m.get(video_id, ())], edges)
            for site in sites
        ]
    )
    folds = _balance(bands, n_folds, spread_ties=True)
    return {video_id: fold for site, fold in zip(sites, folds, strict=True) for video_id in videos_of[site]}


def folds_by_size(site_of_row: Iterable[Site], n_folds: int) -> dict[Site, int]:
    """The fold of each site, given the site of every row. Folds have similar numbers of rows.

    Largest sites are assigned first, each to the emptiest fold; sites of equal size are taken in sorted order. So sites
    with one row each are assigned in turn.

    Raises:
        InputError: fewer than 2 folds, or fewer sites than folds.
    """
    n_rows = Counter(site_of_row)
    _check_counts(len(n_rows), n_folds)
    sites = sorted(n_rows)
    sizes = np.array([[n_rows[site]] for site in sites], np.float64)
    return dict(zip(sites, _balance(sizes, n_folds), strict=True))


def folds_by_video(video_ids: Sequence[str], n_folds: int = 10, seed: int = SECOND_PLACE_SEED) -> dict[str, int]:
    """The fold of each video regardless of its site: names are sorted, shuffled, and cut into even pieces.

    These are the folds of scikit-learn's KFold(n_folds, shuffle=True, random_state=seed) over the sorted names. Sites
    then have videos in training and in validation, and errors come out too small.

    Raises:
        InputError: fewer than 2 folds, or fewer videos than folds.
    """
    names = sorted(set(video_ids))
    if n_folds < 2 or len(names) < n_folds:
        raise InputError(f"{n_folds} folds need at least 2 folds and as many videos; there are {len(names)}")
    # numpy's old generator, since KFold draws from it.
    order = np.random.RandomState(seed).permutation(len(names))  # noqa: NPY002
    pieces = np.array_split(order, n_folds)
    return {names[i]: fold for fold, piece in enumerate(pieces) for i in piece.tolist()}


def leaking_sites(fold_of: Mapping[str, int], site_of: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Sites with videos in more than one fold, and those folds. Their error says nothing about new sites."""
    folds_of: dict[str, set[int]] = defaultdict(set)
    for video_id, fold in fold_of.items():
        if site_of.get(video_id):
            folds_of[site_of[video_id]].add(fold)
    return {site: tuple(sorted(folds)) for site, folds in sorted(folds_of.items()) if len(folds) > 1}


def _band_counts(distances_m: Sequence[float], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    bands = np.searchsorted(edges, np.array(distances_m))
    return np.bincount(bands, minlength=len(edges) + 1).astype(np.float64)


def _check_counts(n_sites: int, n_folds: int) -> None:
    if n_folds < 2 or n_sites < n_folds:
        raise InputError(f"{n_folds} folds by site need at least 2 folds and as many sites; there are {n_sites} sites")


def _balance(loads: NDArray[np.float64], n_folds: int, *, spread_ties: bool = False) -> list[int]:
    """The fold of each of n sites, assigned greedily: the largest site first, to the fold that gains most.

    A fold gains by coming nearer to an equal share of the k quantities in loads (n x k). Earlier sites and folds win
    ties; with spread_ties, the fold with the fewest sites does, so that no fold stays empty.
    """
    share = loads.sum(axis=0) / n_folds
    filled = np.zeros((n_folds, loads.shape[1]))
    n_sites = np.zeros(n_folds)
    folds = [0] * len(loads)
    for site in np.argsort(-loads.sum(axis=1), kind="stable").tolist():
        excess = ((filled + loads[site] - share) ** 2 - (filled - share) ** 2).sum(axis=1)
        folds[site] = fold = int(np.lexsort((n_sites, excess))[0] if spread_ties else excess.argmin())
        filled[fold] += loads[site]
        n_sites[fold] += 1
    return folds
