import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import SHARED
from trapmeter.errors import InputError
from trapmeter.folds import folds_by_site, folds_by_video, leaking_sites


@pytest.mark.parametrize("n", [10, 23, 2072])
def test_by_video_gives_scikit_learns_folds(n: int) -> None:
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
def test_by_site_never_parts_a_site_and_leaves_no_fold_empty(
    survey: dict[str, tuple[str, list[float]]], n_folds: int, seed: int
) -> None:
    site_of = {video: site for video, (site, _) in survey.items()}
    distances = {video: d for video, (_, d) in survey.items()}
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


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the checkout")
def test_folds_of_the_real_tables_are_alike() -> None:
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
    # By video, as the 2nd place did, most sites stand on both sides.
    assert len(leaking_sites(folds_by_video(list(site_of)), site_of)) > 100
