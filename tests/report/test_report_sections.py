"""Sections are there exactly when their data are, and say what the rows say."""

import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest

from trapmeter.errors import InputError
from trapmeter.prediction.results import read_run
from trapmeter.records import Status
from trapmeter.report.comparison import compare
from trapmeter.report.detection_preview import MIN_MEASUREMENTS, preview_cutpoints, preview_detection
from trapmeter.report.distance_statistics import site_figures
from trapmeter.report.groups import MAX_GROUPS, group_by_light, group_by_site, group_by_species, group_histograms
from trapmeter.report.run_report import render_report
from trapmeter.report.site_map import EMPTY_COLOUR, colour_of, project, scale_bar_m, site_map
from trapmeter.tables.distances import write_distances
from trapmeter.tables.site_locations import SiteLocation
from trapmeter.tables.truth import TruthRow


def told(estimate, **seen):
    return replace(estimate, observation=replace(estimate.observation, **seen))


def headings(html):
    return re.findall(r"<h([1-6])[^>]*>(.*?)</h", html)


@pytest.fixture
def survey(row):
    """Ninety measurements at three sites, half of them at night, of two species."""
    rows = []
    for i in range(90):
        estimate = row(1.0 + (i * 7 % 90) / 8, f"{i}.mp4", site_id=f"S{i % 3}")
        d = estimate.distance
        draws = tuple(d.distance_m * (0.7 + 0.06 * k) for k in range(10))
        estimate = replace(estimate, distance=replace(d, draws_m=draws))
        rows.append(told(estimate, is_night=i % 2 == 0, species="duiker" if i % 5 else "leopard <b>"))
    return rows


PLACES = {"S0": SiteLocation(5.85, -7.31), "S1": SiteLocation(5.86, -7.29), "S9": SiteLocation(0, 0)}


def test_a_run_that_tells_nothing_has_none_of_the_sections(run_of, row, tmp_path):
    html = render_report(run_of(tmp_path, [row()]))
    names = [name for _, name in headings(html)]
    for absent in ("By site", "By species", "By day and night", "Beside known distances"):
        assert absent not in names
    assert "Whether it was day or night is not known" in html
    assert f"needs {MIN_MEASUREMENTS} measurements or more, and here are 1" in html
    assert 'class="plot map"' not in html
    assert "tell no more of their models" in html


def test_a_run_that_tells_all_has_all_sections(run_of, survey, tmp_path):
    cards = [
        {"model_id": "net<i>-1", "role": "r", "licence": "MIT", "trained_on": "4 sites", "held_out": "", "valid": "v"}
    ]
    run = run_of(tmp_path, survey, facts={"model_cards": cards})
    truth = [TruthRow(f"{i}.mp4", 0, 1.0 + i / 8) for i in range(90)]
    html = render_report(run, truth, places=PLACES)
    names = [name for _, name in headings(html)]
    for present in ("By site", "By species", "By day and night", "Beside known distances", "Model card"):
        assert present in names
    assert "This is a preview, not a density" in html
    assert "net&lt;i&gt;-1" in html
    assert '<dt>Error</dt><dd class="name">not told</dd>' in html
    assert "leopard &lt;b&gt;" in html
    assert "<b>" not in html
    assert 'Without a place: <span class="name">S2</span>' in html
    assert render_report(run, truth, places=PLACES) == html


def test_headings_are_in_order_and_figures_have_words(run_of, survey, tmp_path):
    html = render_report(run_of(tmp_path, survey), [TruthRow("1.mp4", 0, 2.0)], places=PLACES)
    levels = [int(level) for level, _ in headings(html)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    svgs = re.findall(r"<svg[^>]*>", html)
    assert len(svgs) > 10
    assert all('role="img" aria-label="' in svg or 'aria-hidden="true"' in svg for svg in svgs)
    assert re.findall("<(?:header|nav|main)[ >]", html) == ["<header>", "<nav ", "<main "]


def test_groups_are_ordered_by_size_and_the_rest_is_told(row):
    rows = [row(5.0, f"{i}.mp4", site_id=f"S{i:02}") for i in range(MAX_GROUPS + 3)] + [
        row(7.0, "x.mp4", site_id="S14")
    ]
    groups = group_by_site([*rows, row(media_id="no.mp4", status=Status.NO_ANIMAL, site_id="S99")])
    assert groups is not None
    assert [group.name for group in groups.shown[:2]] == ["S14", "S00"]
    assert groups.shown[0].quartiles_m == (5.5, 6.0, 6.5)
    assert (len(groups.shown), groups.n_omitted, groups.n_rows_omitted) == (MAX_GROUPS, 3, 3)


def test_nothing_known_no_groups(row):
    assert group_by_site([row()]) is None
    assert group_by_species([row()]) is None
    assert group_by_light([row()]) is None
    assert group_by_light([]) is None


def test_light_counts_what_nobody_saw_apart(row):
    groups = group_by_light([told(row(), is_night=True), told(row(), is_night=False), row(), row()])
    assert groups is not None
    assert [(group.name, group.n) for group in groups.shown] == [("Day", 1), ("Night", 1), ("Not told", 2)]


def test_panels_share_their_axes_and_name_what_they_show(row):
    far = [told(row(metres, f"{metres}.mp4"), species="<far>") for metres in (24.0, 40.0)]
    groups = group_by_species([*far, told(row(2.0), species="near")])
    assert groups is not None
    drawn = group_histograms(groups)
    labels = [ET.fromstring(svg).attrib["aria-label"] for _, svg in drawn]
    assert labels[0] == "Histogram of 2 distances, <far>: median 32.0 m, half of them between 28.0 and 36.0 m"
    assert all(">25+<" in svg for _, svg in drawn)


def test_projection_has_the_right_lengths_and_crosses_the_date_line():
    (x1, y1), (x2, y2) = project([SiteLocation(60.0, 10.0), SiteLocation(60.0, 11.0)])
    assert math.hypot(x2 - x1, y2 - y1) == pytest.approx(55_600, rel=0.01)
    (x1, _), (x2, _) = project([SiteLocation(0.0, 179.9), SiteLocation(0.0, -179.9)])
    assert x2 - x1 == pytest.approx(22_200, rel=0.01)
    (x1, y1), (x2, y2) = project([SiteLocation(1.0, 5.0), SiteLocation(2.0, 5.0)])
    assert (x1, x2) == (0, 0)
    assert y2 - y1 == pytest.approx(111_200, rel=0.01)


@pytest.mark.parametrize(("metres_per_unit", "bar_m"), [(1.0, 100), (0.7, 100), (0.6, 50), (100.0, 10_000)])
def test_scale_bars_are_round_and_fit(metres_per_unit, bar_m):
    assert scale_bar_m(metres_per_unit) == bar_m


def test_map_shows_sites_with_places(row):
    rows = [row(4.0, "a.mp4", site_id="<A>"), row(9.0, "b.mp4", site_id="B"), row(9.0, "c.mp4", site_id="B")]
    rows.append(row(media_id="n.mp4", site_id="N", status=Status.NO_ANIMAL))
    sites = site_figures([*rows, row(3.0, "z.mp4", site_id="Z")])
    assert site_map(sites, {}) is None
    found = site_map(
        sites,
        {
            "<A>": SiteLocation(1, 1),
            "B": SiteLocation(1.01, 1.01),
            "N": SiteLocation(1.005, 1),
            "other": SiteLocation(50, 50),
        },
    )
    assert found is not None
    assert (found.n_shown, found.without) == (3, ("Z",))
    circles = [e for e in ET.fromstring(found.svg).iter() if e.tag == "circle"]
    by_name = {circle[0].text.split(":")[0]: circle.attrib for circle in circles}
    assert by_name["B"]["fill"] == colour_of(9.0) != colour_of(4.0) == by_name["<A>"]["fill"]
    assert by_name["N"]["fill"] == EMPTY_COLOUR
    assert float(by_name["B"]["r"]) > float(by_name["<A>"]["r"]) > float(by_name["N"]["r"])
    assert float(by_name["B"]["cx"]) > float(by_name["<A>"]["cx"])
    assert float(by_name["B"]["cy"]) < float(by_name["<A>"]["cy"])


def test_preview_needs_rows_and_takes_draws(survey, row):
    few = preview_detection(survey[: MIN_MEASUREMENTS - 1])
    assert few.fits == ()
    assert "59" in few.reason
    found = preview_detection(survey)
    assert found.has_draws
    assert {fit.key for fit in found.fits} == {"half-normal", "hazard-rate"}
    assert found.fits[0].aic <= found.fits[1].aic
    assert found.distances is not None
    assert found.distances.n == pytest.approx(90 * 0.97, abs=3)
    alike = preview_detection([row(5.0, f"{i}.jpg") for i in range(100)])
    assert alike.fits == ()
    assert "100 observations" in alike.reason


@pytest.mark.parametrize(("farthest_m", "last", "n"), [(0.3, 4, 4), (9.5, 10, 10), (20.0, 20, 10), (60.0, 60, 20)])
def test_cutpoints_reach_all(farthest_m, last, n):
    edges = preview_cutpoints(farthest_m)
    assert (edges[0], edges[-1], len(edges) - 1) == (0.0, last, n)


def test_shares_below_the_draws(survey):
    truth = [TruthRow(e.observation.media_id, 0, e.distance.distance_m) for e in survey]
    levels = compare(survey, truth).levels
    assert [level for level, _ in levels] == pytest.approx([0.05 + 0.1 * i for i in range(10)])
    # Draws are 0.70, 0.76, ... 1.24 times the distance: the truth lies above the first five and equals the sixth.
    assert [share for _, share in levels] == [0.0] * 5 + [0.5] + [1.0] * 4


def written(folder, rows, facts):
    folder.mkdir()
    write_distances(folder / "distances.csv", rows)
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


def test_a_folder_reads_back_as_its_run(survey, row, tmp_path):
    rows = [*survey, row(media_id="bad.mp4", status=Status.FAILED)]
    doubts = [{"media_id": "1.mp4", "reason": "breaks off"}]
    facts = {"root": "/card", "counts": {"n_media": 95, "n_unasked": 4}, "doubts": doubts}
    run = read_run(written(tmp_path / "run", rows, facts))
    assert str(run.root) == "/card"
    assert (run.summary.n_media, run.summary.n_unasked, run.summary.n_measured) == (95, 4, 90)
    assert run.summary.failures == (("bad.mp4", "broken"),)
    assert run.summary.doubts == (("1.mp4", "breaks off"),)
    assert [e.observation for e in run.estimates] == [e.observation for e in rows]


@pytest.mark.parametrize("facts", [{}, [], {"counts": 3, "doubts": {}, "arguments": None, "root": 5}])
def test_odd_facts_are_passed_over(survey, tmp_path, facts):
    run = read_run(written(tmp_path / "run", survey, facts))
    assert (run.summary.n_media, run.root) == (90, tmp_path / "run")
    assert "90" in render_report(run)


def test_calibrated_results_tell_of_their_run(survey, tmp_path):
    counts = {"moved": 12, "sites": 2}
    facts = {"inputs": {"results": {}, "labels": {}}, "counts": counts, "trapmeter": "9", "run": {"root": "/card"}}
    run = read_run(written(tmp_path / "run", survey, facts))
    assert str(run.root) == "/card"
    assert "12 distances at 2 sites by labels, with trapmeter 9" in render_report(run)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no distances\.csv"):
        read_run(tmp_path)
