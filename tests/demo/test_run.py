"""The demo as a new user runs it: its results, its output, and the facts that it states about itself."""

from collections import defaultdict
from pathlib import Path
from statistics import median

import pytest

from trapmeter.console import print_demo
from trapmeter.demo.clips import CLIPS, POINTS, TRAINING_MEDIAN_M
from trapmeter.demo.run import BASELINE, Demo, DistanceMethod, run_demo
from trapmeter.folds import folds_by_site
from trapmeter.tables.csvfile import Row, read_rows
from trapmeter.tables.reference_marks import read_reference_marks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("demo"), 2)


def errors(method: DistanceMethod) -> tuple[float, float, float]:
    scores = method.every_animal
    assert scores.all is not None and scores.near is not None and scores.far is not None
    return scores.all.mae_m, scores.near.mae_m, scores.far.mae_m


def test_each_model_beats_the_training_median_by_a_quarter_near_and_far(demo: Demo) -> None:
    baseline, *models = demo.methods
    assert baseline.name == BASELINE
    for method in models:
        assert all(error < constant * 3 / 4 for error, constant in zip(errors(method), errors(baseline), strict=True))


def test_each_model_also_beats_the_training_median_on_the_detectors_own_boxes(demo: Demo) -> None:
    baseline, *models = demo.methods
    assert baseline.found.all is not None
    for method in models:
        assert method.found.all is not None
        assert method.found.all.n == baseline.found.all.n
        assert method.found.all.mae_m < baseline.found.all.mae_m


def test_reference_points_lower_both_models_errors(demo: Demo) -> None:
    _, boxes, boxes_with_points, network, network_with_points = demo.methods
    for plain, with_points in ((boxes, boxes_with_points), (network, network_with_points)):
        assert errors(with_points)[0] < errors(plain)[0]


def test_every_visible_animal_is_scored_and_a_third_of_them_are_far(demo: Demo) -> None:
    visible = [row for row in demo.truth if row.box is not None]
    for method in demo.methods:
        assert method.every_animal.all is not None and method.every_animal.far is not None
        assert method.every_animal.all.n == len(visible)
        assert method.every_animal.far.n > len(visible) / 3


def test_the_demo_writes_the_files_that_it_names(demo: Demo) -> None:
    assert demo.report.is_file()
    assert demo.picture.is_file()
    assert demo.survey.is_file()


def test_the_output_has_a_line_for_each_method_and_the_error_on_real_footage(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    print_demo(demo)
    lines = capsys.readouterr().out.splitlines()
    for method in demo.methods:
        (line,) = [line for line in lines if line.startswith(f"{method.name}  ")]
        assert f"{errors(method)[0]:.2f}" in line
    (head,) = [line for line in lines if line.startswith("mean error, m")]
    for column in ("all", "covered", "found"):
        assert column in head.split()
        assert [line for line in lines if line.startswith(f"  {column} ")], f"{column} is explained"
    text = "\n".join(lines)
    assert "2.10 m" in text and "3.42 m" in text
    assert f"pictures: {demo.report}" in lines
    assert len(lines) <= 30


def test_three_sites_have_six_reference_points_from_near_to_far() -> None:
    sites = {row.text("site_id") for row in rows(CLIPS / "videos.csv", "site_id")}
    points = read_reference_marks(POINTS)
    assert len(points) == 3
    assert {deployment.site_id for deployment in points} < sites
    for deployment in points:
        distances_m = [upright.distance_m for upright in deployment.uprights if upright.distance_m]
        assert len(distances_m) == 6
        assert max(distances_m) == 15
        assert min(distances_m) <= 4


def rows(path: Path, *columns: str) -> list[Row]:
    return list(read_rows(path, required=columns))


def test_both_models_training_labels_have_the_printed_median(shared: Path) -> None:
    real = [row.number("distance") for row in rows(shared / "deep-chimpact/train_labels.csv", "distance")]
    assert median(real) == TRAINING_MEDIAN_M
    labels, fold_of = rendered(shared)
    trained = [distance_m for video, of_video in labels.items() if fold_of[video] != 0 for distance_m in of_video]
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
