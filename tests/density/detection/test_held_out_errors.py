from __future__ import annotations

import numpy as np
import pytest

from trapmeter.density.detection.held_out_errors import DEEP_CHIMPACT, HeldOutErrors, read_held_out
from trapmeter.errors import InputError


def test_pairs_that_end_before_the_last_cutpoint_are_refused():
    errors = HeldOutErrors("near", np.linspace(1, 8.01, 200), np.linspace(1, 8, 200), np.zeros(200, np.intp))
    with pytest.raises(InputError, match=r"near: the true distances of the held-out predictions end at 8\.01 m"):
        errors.matrices_for_bins(np.array([0.0, 4.0, 12.0]))


def test_pairs_are_read_from_a_csv_file(tmp_path):
    path = tmp_path / "oof.csv"
    path.write_text("site_id,truth_m,full_distance_m\n" + "a,3,3.5\nb,20,15\n" * 60)
    found = read_held_out(path)
    assert (found.name, found.predicted_m[:2].tolist(), found.site[:2].tolist()) == ("oof.csv", [3.5, 15], [0, 1])
    path.write_text("truth_m,distance_m\n3,4\n")
    with pytest.raises(InputError, match="has 1 predictions with a true distance, expected 100 or more"):
        read_held_out(path)
    path.write_text("video_id,distance\na,4\n")
    with pytest.raises(InputError, match="truth_m, distance_m are missing"):
        read_held_out(path)


def test_the_embedded_pairs_have_the_true_distances_of_the_public_labels(shared):
    found = read_held_out(DEEP_CHIMPACT)
    assert len(found.truth_m) == 15229
    assert found.site.max() == 152
    labels = shared / "deep-chimpact/train_labels.csv"
    if not labels.exists():
        pytest.skip("no public labels")
    rows = labels.read_text().splitlines()[1:]
    assert sorted(found.truth_m) == pytest.approx(sorted(float(row.split(",")[2]) for row in rows))
