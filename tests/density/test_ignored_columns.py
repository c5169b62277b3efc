from __future__ import annotations

import pytest

from density.surveys import deployments_text, distances_rows, write_distances_survey, write_flat
from trapmeter.density.run import run_density

CHOICES = {"cutpoints": [0, 2, 4, 6, 8, 10], "key": "half-normal", "adjust": "none", "bootstrap": 0}


def with_columns(text, *names):
    head, *rows = text.splitlines()
    return "\n".join([",".join([head, *names]), *(",".join([row, *"1" * len(names)]) for row in rows)]) + "\n"


def ignored(run):
    return [note.split(": ", 1)[1] for note in run.warnings if " ignored" in note]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["season"], ["the column 'season' is ignored"]),
        (
            ["distance_se", "season"],
            [
                "the columns 'distance_se', 'season' are ignored; state the error of distances with --distance-cv or "
                "--errors"
            ],
        ),
        (
            ["Multiplier", "season"],
            [
                "the column 'Multiplier' is ignored; rename it 'multiplier' if that is what you mean",
                "the column 'season' is ignored",
            ],
        ),
    ],
)
def test_columns_of_a_flat_file_that_are_ignored_are_named(tmp_path, names, expected):
    path = write_flat(tmp_path)
    path.write_text(with_columns(path.read_text(), *names))
    assert ignored(run_density(path, **CHOICES)) == expected


def test_columns_of_distances_and_deployments_that_are_ignored_are_named(tmp_path):
    rows = [{**row, "habitat": "wood", "species": "fox", "night": "0"} for row in distances_rows()]
    deployments = with_columns(deployments_text(), "bait")
    table = write_distances_survey(tmp_path, rows, deployments)
    run = run_density(table, deployments=tmp_path / "deployments.csv", **CHOICES)
    assert ignored(run) == ["the column 'bait' is ignored", "the column 'habitat' is ignored"]
