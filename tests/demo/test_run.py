"""The demo as a newcomer runs it: what it measures, what it prints, and the facts that it states about itself."""

from collections import defaultdict
from pathlib import Path
from statistics import median

import pytest

from trapmeter.console import print_demo
from trapmeter.demo.clips import CLIPS, POINTS, TRAINING_MEDIAN_M
from trapmeter.demo.run import BASELINE, Demo, Way, run_demo
from trapmeter.folds import folds_by_site
from trapmeter.tables.csvfile import Row, read_rows
from trapmeter.tables.reference_points import read_reference_points


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("demo"), 2)


def errors(way: Way) -> tuple[float, float, float]:
    scores = way.every_animal
    assert scores.all is not None and scores.near is not None and scores.far is not None
    return scores.all.mae_m, scores.near.mae_m, scores.far.mae_m


def test_each_model_beats_the_training_median_by_a_quarter_near_and_far(demo: Demo) -> None:
    baseline, *models = demo.ways
    assert baseline.name == BASELINE
    for way in models:
        assert all(error < constant * 3 / 4 for error, constant in zip(errors(way), errors(baseline), strict=True))


def test_on_the_detectors_own_boxes_too_each_model_beats_the_training_median(demo: Demo) -> None:
    baseline, *models = demo.ways
    assert baseline.found.all is not None
    for way in models:
        assert way.found.all is not None
        assert way.found.all.n == baseline.found.all.n
        assert way.found.all.mae_m < baseline.found.all.mae_m


def test_reference_points_lower_both_models_errors(demo: Demo) -> None:
    _, boxes, boxes_with_points, network, network_with_points = demo.ways
    for plain, with_points in ((boxes, boxes_with_points), (network, network_with_points)):
        assert errors(with_points)[0] < errors(plain)[0]


def test_every_visible_animal_is_judged_and_a_third_of_them_stand_far(demo: Demo) -> None:
    visible = [row for row in demo.truth if row.box is not None]
    for way in demo.ways:
        assert way.every_animal.all is not None and way.every_animal.far is not None
        assert way.every_animal.all.n == len(visible)
        assert way.every_animal.far.n > len(visible) / 3


def test_the_files_that_it_names_are_there(demo: Demo) -> None:
    assert demo.report.is_file()
    assert demo.picture.is_file()
    assert demo.survey.is_file()


def test_it_prints_a_line_for_each_way_and_the_error_on_real_footage(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    print_demo(demo)
    lines = capsys.readouterr().out.splitlines()
    for way in demo.ways:
        (line,) = [line for line in lines if line.startswith(f"{way.name}  ")]
        assert f"{errors(way)[0]:.2f}" in line
    (head,) = [line for line in lines if line.startswith("mean error, m")]
    for column in ("all", "covered", "found"):
        assert column in head.split()
        assert [line for line in lines if line.startswith(f"  {column} ")], f"{column} is explained"
    text = "\n".join(lines)
    assert "2.05 m" in text and "3.42 m" in text
    assert f"pictures: {demo.report}" in lines
    assert len(lines) <= 30


def test_three_of_its_sites_have_six_reference_points_from_near_to_far() -> None:
    sites = {row.text("site_id") for row in rows(CLIPS / "videos.csv", "site_id")}
    points = read_reference_points(POINTS)
    assert len(points) == 3
    assert set(points) < sites
    for found in points.values():
        assert len(found) == 6
        assert max(point.distance_m for point in found) == 15
        assert min(point.distance_m for point in found) <= 4


def rows(path: Path, *columns: str) -> list[Row]:
    return list(read_rows(path, required=columns))


def test_both_models_training_labels_have_the_median_that_is_printed(shared: Path) -> None:
    real = [row.number("distance") for row in rows(shared / "deep-chimpact/train_labels.csv", "distance")]
    assert median(real) == TRAINING_MEDIAN_M
    labels, fold_of = rendered(shared)
    trained = [metres for video, found in labels.items() if fold_of[video] != 0 for metres in found]
    assert (len(trained), median(trained)) == (1452, TRAINING_MEDIAN_M)


def test_the_network_was_trained_at_none_of_the_demos_sites(shared: Path) -> None:
    _, fold_of = rendered(shared)
    demos = {row.text("site_id") for row in rows(CLIPS / "videos.csv", "site_id")}
    site_of = sites(shared)
    assert demos <= set(site_of.values())
    assert not [video for video, fold in fold_of.items() if fold != 0 and site_of[video] in demos]


def sites(shared: Path) -> dict[str, str]:
    table = rows(shared / "simtrap/videos.csv", "video_id", "site_id")
    return {row.text("video_id"): row.text("site_id") for row in table}


def rendered(shared: Path) -> tuple[dict[str, list[float]], dict[str, int]]:
    """The labels of the rendered training videos (metres), and the fold of each video; the network's is 0."""
    path = shared / "simtrap/train_labels.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    labels: dict[str, list[float]] = defaultdict(list)
    for row in rows(path, "video_id", "distance"):
        labels[row.text("video_id")].append(row.number("distance"))
    site_of = sites(shared)
    return labels, folds_by_site({video: site_of[video] for video in labels}, labels, 3)
