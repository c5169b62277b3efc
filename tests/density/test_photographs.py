"""Motion-triggered photographs give the density of the animals, whatever the camera's delay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from density.surveys import EDGES, write_photograph_survey
from trapmeter.density.results import to_record
from trapmeter.density.run import DensityRun, run_density
from trapmeter.errors import InputError
from trapmeter.tables.density_inputs import read_media_starts
from trapmeter.tables.medium_times import MEDIA_CSV, MediumTime, TimeSource, write_media

FIT: dict[str, Any] = {"cutpoints": list(EDGES), "key": ["half-normal"], "adjust": ["none"], "bootstrap": 0}


def estimate(folder: Path, **settings: Any) -> DensityRun:
    tables = {"deployments": folder / "deployments.csv", "media_times": folder / "media-times.csv"}
    return run_density(folder / "distances.csv", **{**FIT, **tables, **settings})


def bias(run: DensityRun, truth: float) -> float:
    return run.analysis.best.density.density_km2 / truth - 1


@pytest.mark.parametrize("retrigger_s", [1.0, 15.0, 60.0])
def test_density_is_right_for_any_delay(tmp_path: Path, retrigger_s: float) -> None:
    # A single survey, so margins are three times those of benchmarks/photographs.py.
    truth = write_photograph_survey(tmp_path, retrigger_s)
    assert abs(bias(estimate(tmp_path, burst="3 x 1", retrigger_s=retrigger_s), truth)) < 0.15
    assert abs(bias(estimate(tmp_path), truth)) < 0.15
    plain = bias(
        run_density(tmp_path / "distances.csv", **FIT, deployments=tmp_path / "deployments.csv", snapshot_s=1), truth
    )
    assert (plain < -0.6) == (retrigger_s >= 15)


def test_what_was_learnt_is_said_and_bootstrapped(tmp_path: Path) -> None:
    write_photograph_survey(tmp_path, 15.0)
    run = estimate(tmp_path, bootstrap=20, jobs=1)
    basis = to_record(run)["effort_basis"]
    assert basis.startswith("bursts of 3 photographs 1 s apart (learnt from times), and ready again after 15")
    assert run.bootstrap is not None
    assert run.bootstrap.median_km2 == pytest.approx(run.headline.density_km2, rel=0.2)
    assert run.analysis.survey.observation_weights().mean() == pytest.approx(1, abs=1e-3)


def test_a_snapshot_interval_in_the_table_is_noted_and_not_used(tmp_path: Path) -> None:
    write_photograph_survey(tmp_path, 15.0)
    before = estimate(tmp_path, burst="3 x 1", retrigger_s=15.0)
    table = tmp_path / "deployments.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([f"{lines[0]},snapshot_s", *(f"{line},2" for line in lines[1:])]))
    after = estimate(tmp_path, burst="3 x 1", retrigger_s=15.0)
    assert after.headline == before.headline
    assert "snapshot_s was not used" in " ".join(after.warnings)


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    write_photograph_survey(tmp_path, 15.0)
    with pytest.raises(InputError, match="come sooner than 300 s after another"):
        estimate(tmp_path, burst="3 x 1", retrigger_s=300.0)
    with pytest.raises(InputError, match="such as '3 x 1'"):
        estimate(tmp_path, burst="three")
    with pytest.raises(InputError, match=r"when S0/00000.jpg was taken isn't known.*Give --media-times"):
        estimate(tmp_path, burst="3 x 1", media_times=None)
    starts = read_media_starts(tmp_path / "media-times.csv")
    write_media(tmp_path / MEDIA_CSV, [MediumTime(name, "", start, TimeSource.EXIF) for name, start in starts.items()])
    assert estimate(tmp_path, media_times=None).headline == estimate(tmp_path).headline
    distances = tmp_path / "distances.csv"
    distances.write_text(distances.read_text().replace("S0/00000.jpg", "S0/00000.mp4"))
    with pytest.raises(InputError, match=r"00000.mp4 is a video, and --burst and --retrigger are for photographs"):
        estimate(tmp_path, burst="3 x 1")


def test_photographs_outside_of_deployments_do_not_count(tmp_path: Path) -> None:
    write_photograph_survey(tmp_path, 15.0)
    table = tmp_path / "deployments.csv"
    table.write_text(table.read_text().replace("2024-05-21", "2024-05-11"))
    run = estimate(tmp_path, burst="3 x 1", retrigger_s=15.0)
    assert "left out: outside deployments and hours" in " ".join(run.warnings)


def test_gaps_that_a_table_names_are_no_effort(tmp_path: Path) -> None:
    truth = write_photograph_survey(tmp_path, 5.0)
    gaps = tmp_path / "gaps.csv"
    gaps.write_text("site_id,from,to\n" + "".join(f"S{n},2024-05-06,2024-05-16\n" for n in range(12)))
    run = estimate(tmp_path, burst="3 x 1", retrigger_s=5.0, gaps=gaps)
    assert abs(bias(run, truth)) < 0.25
    assert "gaps.csv: 50.0% of the effort left out" in " ".join(run.warnings)
    gaps.write_text("site_id,from,to\nX,2024-05-06,2024-05-16\n")
    with pytest.raises(InputError, match="there is no deployment of site 'X'"):
        estimate(tmp_path, gaps=gaps)
    gaps.write_text("site_id,from,to\nS0,2024-05-01,2024-05-22\n")
    with pytest.raises(InputError, match="gaps cover all of its time"):
        estimate(tmp_path, gaps=gaps)
