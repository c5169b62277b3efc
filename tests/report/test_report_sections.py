"""Sections appear exactly if their data exist, in runs and in folders that were read back."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from report.pages import cards
from trapmeter.errors import InputError
from trapmeter.prediction.results import read_run
from trapmeter.records import Status
from trapmeter.report.detection_preview import MIN_MEASUREMENTS
from trapmeter.report.run_report import render_report
from trapmeter.tables.distances import write_distances
from trapmeter.tables.site_locations import SiteLocation
from trapmeter.tables.species_names import PERSON, VEHICLE
from trapmeter.tables.truth import TruthRow


def headings(html):
    return re.findall(r"<h([1-6])[^>]*>(.*?)</h", html)


PLACES = {"S0": SiteLocation(5.85, -7.31), "S1": SiteLocation(5.86, -7.29), "S9": SiteLocation(0, 0)}


def test_optional_sections_are_absent_without_their_data(run_of, row, tmp_path):
    html = render_report(run_of(tmp_path, [row()]))
    names = [name for _, name in headings(html)]
    for absent in ("By site", "By species", "By day and night", "Comparison with known distances"):
        assert absent not in names
    assert "Day and night are unknown" in html
    assert f"needs {MIN_MEASUREMENTS} measurements or more, but there are 1" in html
    assert 'class="plot map"' not in html
    assert "hold no model cards" in html


def test_optional_sections_are_present_with_their_data(run_of, survey, tmp_path):
    cards = [
        {"model_id": "net<i>-1", "role": "r", "licence": "MIT", "trained_on": "4 sites", "held_out": "", "valid": "v"}
    ]
    run = run_of(tmp_path, survey, facts={"model_cards": cards})
    truth = [TruthRow(f"{i}.mp4", 0, 1.0 + i / 8) for i in range(90)]
    html = render_report(run, truth, places=PLACES)
    names = [name for _, name in headings(html)]
    for present in ("By site", "By species", "By day and night", "Comparison with known distances", "Model card"):
        assert present in names
    assert "This is a preview, not a density" in html
    assert "net&lt;i&gt;-1" in html
    assert '<dt>Error on held-out data</dt><dd class="name">unknown</dd>' in html
    assert "leopard &lt;b&gt;" in html
    assert "<b>" not in html
    assert 'Without a location: <span class="name">S2</span>' in html
    assert render_report(run, truth, places=PLACES) == html


def test_headings_are_in_order_and_figures_are_described(run_of, survey, tmp_path):
    html = render_report(run_of(tmp_path, survey), [TruthRow("1.mp4", 0, 2.0)], places=PLACES)
    levels = [int(level) for level, _ in headings(html)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    svgs = re.findall(r"<svg[^>]*>", html)
    assert len(svgs) > 10
    assert all('role="img" aria-label="' in svg or 'aria-hidden="true"' in svg for svg in svgs)
    assert re.findall("<(?:header|nav|main)[ >]", html) == ["<header>", "<nav ", "<main "]


def write_results(folder, rows, facts):
    folder.mkdir()
    write_distances(folder / "distances.csv", rows)
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


def test_a_folder_is_read_back_as_its_run(survey, row, tmp_path):
    rows = [*survey, row(media_id="bad.mp4", status=Status.FAILED)]
    doubts = [{"media_id": "1.mp4", "reason": "cut short"}]
    facts = {"root": "/card", "counts": {"n_media": 95, "n_unasked": 4}, "doubts": doubts}
    run = read_run(write_results(tmp_path / "run", rows, facts))
    assert str(run.root) == "/card"
    assert (run.summary.n_media, run.summary.n_unasked, run.summary.n_measured) == (95, 4, 90)
    assert run.summary.failures == (("bad.mp4", "broken"),)
    assert run.summary.doubts == (("1.mp4", "cut short"),)
    assert [e.observation for e in run.estimates] == [e.observation for e in rows]


@pytest.mark.parametrize("facts", [{}, [], {"counts": 3, "doubts": {}, "arguments": None, "root": 5}])
def test_malformed_facts_are_ignored(survey, tmp_path, facts):
    run = read_run(write_results(tmp_path / "run", survey, facts))
    assert (run.summary.n_media, run.root) == (90, tmp_path / "run")
    assert "90" in render_report(run)


def test_calibrated_results_keep_the_facts_of_their_run(survey, tmp_path):
    counts = {"moved": 12, "sites": 2}
    facts = {"inputs": {"results": {}, "labels": {}}, "counts": counts, "trapmeter": "9", "run": {"root": "/card"}}
    run = read_run(write_results(tmp_path / "run", survey, facts))
    assert str(run.root) == "/card"
    assert "12 distances at 2 sites by labels, with trapmeter 9" in render_report(run)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no distances\.csv"):
        read_run(tmp_path)


def test_people_and_vehicles_are_counted(row, tmp_path):
    walker = row(media_id="walk.mp4", status=Status.NO_ANIMAL)
    rows = [
        row(),
        *(replace(walker, observation=replace(walker.observation, species=name)) for name in (PERSON, VEHICLE)),
    ]
    found = cards(render_report(read_run(write_results(tmp_path / "run", rows, {}))))
    assert (found["People"], found["Vehicles"], found["No animal"], found["Measurements"]) == ("1", "1", "1", "1")
    assert "People" not in cards(render_report(read_run(write_results(tmp_path / "none", rows[:1], {}))))
