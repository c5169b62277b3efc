"""Files as people have them, each with the result that is right; they come from public bug reports."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from trapmeter.density.run import run_density
from trapmeter.errors import InputError
from trapmeter.prediction.run import PredictRun, run_prediction
from trapmeter.prediction.settings import PredictSettings
from trapmeter.tables.density_inputs import read_media_starts
from trapmeter.tables.medium_times import MEDIA_CSV, MediumTime, TimeSource, write_media

pytestmark = pytest.mark.slow

REL = 0.03
"""The expected densities were noted before distances on a cutpoint counted in the nearer bin, as in R."""
BINS: dict[str, Any] = {"cutpoints": [0, 2, 4, 6, 8, 10], "key": ["half-normal"], "adjust": ["none"], "bootstrap": 0}


@pytest.fixture
def cases(shared: Path) -> Path:
    folder = shared / "cases"
    if not folder.is_dir():
        pytest.skip("the cases are not on this machine")
    return folder


def density(path: Path, **settings: Any) -> float:
    return run_density(path, **{**BINS, **settings}).analysis.best.density.density_km2


def measure(path: Path, out: Path, boxes: Path | None = None) -> PredictRun:
    return run_prediction(PredictSettings((path,), out=out, boxes=boxes))


def statuses(run: PredictRun, media_id: str = "") -> dict[str, int]:
    return Counter(str(row.status) for row in run.estimates if not media_id or row.observation.media_id == media_id)


@pytest.mark.parametrize("name", ["10-same", "10-mixed"])
def test_zones_of_a_package_change_no_density(cases: Path, name: str) -> None:
    found = density(cases / "zones" / name, theta_deg=42, snapshot_s=2)
    assert found == density(cases / "zones/10-same", theta_deg=42, snapshot_s=2)
    assert found == pytest.approx(164.63, rel=REL)


@pytest.mark.parametrize("name", ["11-same", "11-mixed", "11-east"])
def test_zones_of_a_package_move_no_box(cases: Path, tmp_path: Path, name: str) -> None:
    run = measure(cases / "zones" / name, tmp_path / "out")
    assert [row.observation.time_s for row in run.estimates if row.distance is not None] == [2, 4]


def test_media_and_deployments_may_have_other_zones(cases: Path) -> None:
    tables = {"deployments": cases / "bursts/dep_tz.csv", "media_times": cases / "bursts/single_times_utc.csv"}
    run = run_density(cases / "bursts/single.csv", **BINS, **tables)
    assert not any("outside deployments" in note for note in run.warnings)


def test_of_a_burst_one_moment_counts(cases: Path) -> None:
    tables = {"deployments": cases / "bursts/dep.csv", "media_times": cases / "bursts/burst_times.csv"}
    burst = density(cases / "bursts/burst.csv", points=True, **tables)
    assert burst == pytest.approx(1.01, rel=REL)
    assert density(cases / "bursts/package", theta_deg=42, snapshot_s=2) == pytest.approx(burst)


def test_the_times_of_the_results_do_as_well(cases: Path, tmp_path: Path) -> None:
    shutil.copy(cases / "bursts/burst.csv", tmp_path / "distances.csv")
    starts = read_media_starts(cases / "bursts/burst_times.csv")
    write_media(tmp_path / MEDIA_CSV, [MediumTime(name, "", start, TimeSource.EXIF) for name, start in starts.items()])
    found = density(tmp_path / "distances.csv", points=True, deployments=cases / "bursts/dep.csv")
    assert found == pytest.approx(1.01, rel=REL)


def test_mixed_zones_of_activity_are_refused_until_one_is_named(cases: Path) -> None:
    tables = {"deployments": cases / "bursts/dep.csv", "activity": cases / "bursts/act_mix.csv"}
    with pytest.raises(InputError, match="--timezone"):
        run_density(cases / "bursts/single.csv", **BINS, **tables)
    run = run_density(cases / "bursts/single.csv", **BINS, **tables, timezone="+10:00")
    assert run.activity is not None
    assert run.activity.share == pytest.approx(0.161, abs=0.001)


@pytest.mark.parametrize(
    ("boxes", "media", "media_id", "expected"),
    [
        ("rep", "v21", "a.mp4", {"measured": 1, "unknown": 7}),
        ("norate", "v06", "a.mp4", {"measured": 1, "unknown": 7}),
        ("string", "v06", "a.mp4", {"measured": 1, "unknown": 7}),
        ("full16", "v06", "a.mp4", {"measured": 2, "no_animal": 2, "unknown": 4}),
        ("retry", "v06", "c.jpg", {"measured": 1}),
        ("sn2", "v06", "c.jpg", {"measured": 1}),
        ("sn2", "v06", "d.jpg", {"failed": 1}),
        ("renamed", "cards", "S01/IMG_0001.JPG", {"measured": 1}),
        ("md", "v05", "", {"measured": 4, "no_animal": 12, "unknown": 16}),
        ("md_abs", "v05", "", {"measured": 4, "no_animal": 12, "unknown": 16}),
    ],
)
def test_boxes_of_other_programs(
    cases: Path, tmp_path: Path, boxes: str, media: str, media_id: str, expected: dict[str, int]
) -> None:
    run = measure(cases / "boxes" / media, tmp_path / "out", cases / f"boxes/{boxes}.json")
    assert statuses(run, media_id) == expected
    assert any("match below it" in note for note in run.facts["notes"]) == (boxes in ("renamed", "md", "md_abs"))


def test_effort_in_days_is_refused_and_in_hours_noted(cases: Path) -> None:
    assert density(cases / "effort/base.csv") == pytest.approx(4.598, rel=REL)
    with pytest.raises(InputError, match="days become 432,000"):
        density(cases / "effort/days.csv")
    assert any("hours 432,000" in note for note in run_density(cases / "effort/hours.csv", **BINS).warnings)


def test_other_files_are_counted_and_a_cut_photo_is_unknown(cases: Path, tmp_path: Path) -> None:
    run = measure(cases / "media/skipped", tmp_path / "out")
    assert run.facts["other_files"] == {".txt": 1}
    assert run.summary.n_media == 5
    assert statuses(measure(cases / "media/cut60.jpg", tmp_path / "cut")) == {"unknown": 1}


def test_a_file_path_may_be_a_folder(cases: Path, tmp_path: Path) -> None:
    run = measure(cases / "media/filepath-package", tmp_path / "out")
    there = {f"media/{path.name}" for path in (cases / "media/filepath-package/media").iterdir()}
    assert {row.observation.media_id for row in run.estimates if row.distance is not None} == there
