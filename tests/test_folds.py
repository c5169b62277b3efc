"""Folds by site and by video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import SHARED
from trapmeter.errors import InputError
from trapmeter.folds import folds_by_site, folds_by_size, folds_by_video, leaking_sites


@pytest.mark.parametrize("n", [10, 23, 2072])
def test_folds_by_video_are_those_of_scikit_learn(n: int) -> None:
    from sklearn.model_selection import KFold

    names = np.array(sorted(f"{number:05x}.mp4" for number in range(n)))
    expected = {}
    for fold, (_, held_out) in enumerate(KFold(10, shuffle=True, random_state=314159).split(names)):
        expected |= dict.fromkeys(names[held_out].tolist(), fold)
    shuffled = np.random.default_rng(1).permutation(names).tolist()
    assert folds_by_video(shuffled) == expected


surveys = st.dictionaries(
    st.text("abc", min_size=1, max_size=6),
    st.tuples(st.sampled_from(["", *(f"s{i}" for i in range(8))]), st.lists(st.floats(0, 25), max_size=8)),
    min_size=8,
    max_size=40,
)


@given(surveys, st.integers(2, 4), st.integers(0, 3))
def test_folds_by_site_keep_sites_together_and_leave_no_fold_empty(
    survey: dict[str, tuple[str, list[float]]], n_folds: int, seed: int
) -> None:
    site_of = {video: site for video, (site, _) in survey.items()}
    distances = {video: metres for video, (_, metres) in survey.items()}
    n_sites = len({site or video for video, site in site_of.items()})
    if n_sites < n_folds:
        with pytest.raises(InputError, match=f"there are {n_sites} sites"):
            folds_by_site(site_of, distances, n_folds, seed)
        return
    fold_of = folds_by_site(site_of, distances, n_folds, seed)
    assert set(fold_of) == set(site_of)
    assert leaking_sites(fold_of, site_of) == {}
    assert set(fold_of.values()) == set(range(n_folds))
    assert fold_of == folds_by_site(dict(reversed(site_of.items())), distances, n_folds, seed)
    assert fold_of == site_folds_written_out(site_of, distances, n_folds, seed)


def site_folds_written_out(
    site_of: Mapping[str, str], distances_m: Mapping[str, Sequence[float]], n_folds: int, seed: int
) -> dict[str, int]:
    """The rule of folds_by_site as published bundles were trained with it."""
    videos_of: dict[str, list[str]] = {}
    for video_id in sorted(site_of):
        videos_of.setdefault(site_of[video_id] or f"\0{video_id}", []).append(video_id)
    edges = np.quantile([d for ds in distances_m.values() for d in ds] or [0.0], [0.2, 0.4, 0.6, 0.8])
    bands = {
        site: np.bincount(
            np.searchsorted(edges, np.array([d for v in ids for d in distances_m.get(v, ())])), minlength=5
        ).astype(float)
        for site, ids in videos_of.items()
    }
    share = sum(bands.values(), np.zeros(5)) / n_folds
    order = np.random.default_rng(seed).permutation(sorted(videos_of))
    filled, n_sites = np.zeros((n_folds, 5)), np.zeros(n_folds)
    fold_of: dict[str, int] = {}
    for site in sorted(order.tolist(), key=lambda site: -bands[site].sum()):
        excess = ((filled + bands[site] - share) ** 2 - (filled - share) ** 2).sum(axis=1)
        fold = int(np.lexsort((n_sites, excess))[0])
        filled[fold] += bands[site]
        n_sites[fold] += 1
        fold_of |= dict.fromkeys(videos_of[site], fold)
    return fold_of


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), max_size=60), st.integers(0, 5))
def test_folds_by_size_put_the_largest_site_left_into_the_emptiest_fold(
    sites: list[tuple[bool, str]], n_folds: int
) -> None:
    names = sorted(set(sites))
    if n_folds < 2 or len(names) < n_folds:
        with pytest.raises(InputError, match=f"need at least 2 folds and as many sites; there are {len(names)} sites"):
            folds_by_size(sites, n_folds)
        return
    size = np.array([sites.count(name) for name in names])
    filled = np.zeros(n_folds, np.int64)
    expected = {}
    for index in np.argsort(-size, kind="stable"):
        emptiest = int(filled.argmin())
        expected[names[index]] = emptiest
        filled[emptiest] += size[index]
    assert folds_by_size(sites, n_folds) == expected


@given(st.sets(st.text("abc"), min_size=5, max_size=40), st.integers(2, 5))
def test_sites_of_equal_size_are_assigned_in_turn(sites: set[str], n_folds: int) -> None:
    assert folds_by_size(sites, n_folds) == {site: number % n_folds for number, site in enumerate(sorted(sites))}


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the checkout")
def test_folds_of_the_real_tables_have_similar_sizes_and_distances() -> None:
    from trapmeter.tables.drivendata import read_labels, read_metadata

    site_of = {row.video_id: row.site_id for row in read_metadata(SHARED / "deep-chimpact/train_metadata.csv")}
    distances: dict[str, list[float]] = {}
    for label in read_labels(SHARED / "deep-chimpact/train_labels.csv"):
        distances.setdefault(label.video_id, []).append(label.distance_m)
    fold_of = folds_by_site(site_of, distances, 10)
    folds = [[d for video, ds in distances.items() if fold_of[video] == fold for d in ds] for fold in range(10)]
    assert max(map(len, folds)) < 1.2 * min(map(len, folds))
    medians = [float(np.median(fold)) for fold in folds]
    assert max(medians) - min(medians) <= 2.0
    # By video, as the 2nd-place system did, most sites have videos in training and in validation.
    assert len(leaking_sites(folds_by_video(list(site_of)), site_of)) > 100
