"""Submissions have every row in its place; pseudolabels weigh by how far the networks agree."""

import csv
from pathlib import Path

import pytest

from trapmeter.competition.inference import EnsemblePrediction
from trapmeter.competition.submission import PseudolabelSettings, write_pseudolabels, write_submission
from trapmeter.errors import InputError
from trapmeter.records import VideoSecond


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_submission_keeps_the_order_and_has_every_row(tmp_path: Path) -> None:
    predictions = {
        VideoSecond("b.mp4", 1.0): EnsemblePrediction(3.26, 0.1),
        VideoSecond("a.mp4", 0.0): EnsemblePrediction(4.24, 0.1),
        VideoSecond("c.mp4", 0.0): EnsemblePrediction(9.0, 0.1),
    }
    order = [VideoSecond(*second) for second in (("b.mp4", 1.0), ("gone.mp4", 5.0), ("a.mp4", 0.0), ("c.mp4", 0.0))]
    assert write_submission(tmp_path / "s.csv", order, predictions) == 1
    rows = read(tmp_path / "s.csv")
    assert [(row["video_id"], row["time"]) for row in rows] == [(v, f"{t:g}") for v, t in order]
    assert [float(row["distance"]) for row in rows] == [3.26, 4.24, 4.24, 9.0]


def test_a_submission_rounds_half_up(tmp_path: Path) -> None:
    predictions = {
        VideoSecond("a.mp4", float(n)): EnsemblePrediction(distance_m, 0.1)
        for n, distance_m in enumerate((3.26, 4.24, 9.0, 0.25))
    }
    write_submission(tmp_path / "s.csv", list(predictions), predictions, round_to_m=0.5)
    assert [row["distance"] for row in read(tmp_path / "s.csv")] == ["3.5", "4", "9", "0.5"]
    with pytest.raises(InputError, match="metres above 0"):
        write_submission(tmp_path / "s.csv", list(predictions), predictions, round_to_m=0.0)


def test_a_submission_without_any_prediction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames of the requested seconds"):
        write_submission(tmp_path / "s.csv", [VideoSecond("a.mp4", 0.0)], {})
    assert not (tmp_path / "s.csv").exists()


def test_pseudolabels_weigh_by_agreement(tmp_path: Path) -> None:
    predictions = {
        VideoSecond("a.mp4", 0.0): EnsemblePrediction(5.0, 0.0),
        VideoSecond("a.mp4", 1.0): EnsemblePrediction(5.0, 0.75),
        VideoSecond("a.mp4", 2.0): EnsemblePrediction(5.0, 2.0),
    }
    assert write_pseudolabels(tmp_path / "p.csv", predictions, PseudolabelSettings(0.3)) == (2, 1)
    assert [float(row["weight"]) for row in read(tmp_path / "p.csv")] == [1.0, pytest.approx(0.55)]
    # The 2nd place used all of them like labels.
    assert write_pseudolabels(tmp_path / "all.csv", predictions, PseudolabelSettings(None)) == (3, 0)
    assert {row["weight"] for row in read(tmp_path / "all.csv")} == {"1.0000"}
