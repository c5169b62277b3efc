"""The report of a run: complete, self-contained, accessible, and the same for the same run."""

import json
import re
import subprocess
import sys

import pytest

from report.pages import Page, cards
from trapmeter.errors import InputError, RunError
from trapmeter.records import Status
from trapmeter.report.run_report import render_report, write_html
from trapmeter.report.words import COLUMN_MEANINGS, STATUS_MEANINGS
from trapmeter.tables.distances import (
    COLUMNS,
    DRAW_COLUMNS,
    NIGHT_COLUMN,
    SPECIES_COLUMN,
    SPECIES_LABEL_COLUMN,
    SPECIES_SCORE_COLUMN,
)
from trapmeter.tables.truth import TruthRow, read_truth

HOSTILE = 'S1/<script>alert("x")</script>\'{{ 7*7 }}\udce9\x07.jpg'


@pytest.fixture
def full(photos, row, run_of):
    """A run with every kind of row, hostile names, failures and warnings."""
    rows = [
        row(2.0, "a.jpg", site_id="S1"),
        row(30.0, "a.jpg", animal_id=2, site_id="S1", xyxy=(0.0, 0.0, 0.2, 0.2)),
        row(8.0, "b.jpg", site_id="S2"),
        row(media_id="c.jpg", site_id="S2", status=Status.NO_ANIMAL),
        row(media_id="c.jpg", time_s=4.0, site_id="S2", status=Status.PAST_END),
        row(5.0, HOSTILE, site_id="<b>S3</b>"),
        row(media_id="broken<i>.mp4", site_id="S2", status=Status.FAILED),
    ]
    return run_of(photos, rows, doubts=(("a.jpg", "cut short"),), n_unasked=2)


TRUTH = [TruthRow("a.jpg", 0, 2.5), TruthRow("b.jpg", 0, 7.0), TruthRow("z.jpg", 0, 1.0)]


def test_figures_match_the_rows(full):
    html = render_report(full, TRUTH)
    found = cards(html)
    assert found["Videos and photos"] == "5"
    assert found["Measurements"] == "4"
    assert found["Median distance"] == "6.5\u00a0m"
    assert (found["No animal"], found["Failed"], found["Past the end"]) == ("1", "1", "1")
    assert found["Mean absolute error"] == "0.75\u00a0m"
    assert (found["Compared"], found["Not matched"]) == ("2", "1")
    text = Page(html).text
    assert "4 of 5 videos and photos read; 1 failed at least in part." in text
    assert "2 videos and photos left out" in text
    assert "box-model-1 (sha256 ab12cd34ef56)" in text
    assert "2025-06-03 12:04 UTC with trapmeter 0.1.0" in text
    assert "two West African parks" in text


def test_the_page_loads_nothing_and_runs_no_script(full):
    html = render_report(full, TRUTH)
    page = Page(html)
    assert not page.all("script")
    assert not page.all("link")
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/")), (tag, attributes)
    assert "@import" not in html
    assert not re.findall(r"url\((?!#)", html)
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_the_page_is_valid_and_accessible(full):
    html = render_report(full, TRUTH)
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert page.all("html")[0]["lang"] == "en"
    assert {"charset": "utf-8"} in page.all("meta")
    images, headers = page.all("img"), page.all("th")
    assert images
    assert headers
    assert all(image["alt"] for image in images)
    assert all("scope" in cell for cell in headers)
    assert len(page.all("caption")) == len(page.all("table")) > 5
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page.all("a")} <= set(ids)


def test_hostile_names_are_shown_as_text(full):
    html = render_report(full)
    assert "<script" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;&#39;{{ 7*7 }}\\udce9\\x07.jpg" in html
    html.encode("utf-8")


def test_the_same_run_gives_the_same_bytes(full, tmp_path):
    first = write_html(full, tmp_path, truth=TRUTH).read_bytes()
    assert write_html(full, tmp_path, truth=TRUTH).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]


def test_the_order_of_the_rows_does_not_matter(full, run_of, photos):
    backwards = run_of(photos, full.estimates[::-1], doubts=full.summary.doubts, n_unasked=2)
    assert render_report(backwards) == render_report(full)


@pytest.mark.parametrize("truth", [None, [], TRUTH])
def test_a_run_without_measurements_has_no_pictures_and_plots(run_of, row, photos, truth):
    for rows in ([], [row(status=Status.NO_ANIMAL), row(media_id="b.jpg", status=Status.FAILED)]):
        html = render_report(run_of(photos, rows), truth)
        page = Page(html)
        assert "No distance was measured" in page.text
        assert not page.all("img")
        assert not page.all("svg")
        assert ("Comparison with known distances" in page.text) == (truth is not None)


def test_missing_media_do_not_fail_the_report(run_of, row, tmp_path):
    text = Page(render_report(run_of(tmp_path, [row(3.0, "gone.jpg"), row(4.0, "gone.mp4")]))).text
    assert "can no longer be read" in text
    assert text.count("No such file or directory") == 2


def test_long_tables_are_collapsed(run_of, row, tmp_path):
    few = [row(media_id=f"{i}.mp4", site_id=f"S{i:03}", status=Status.FAILED) for i in range(40)]
    many = few + [row(media_id=f"{i}.mp4", site_id=f"S{i:03}", status=Status.FAILED) for i in range(40, 60)]
    assert not Page(render_report(run_of(tmp_path, few))).all("details")
    page = Page(render_report(run_of(tmp_path, many)))
    assert len(page.all("details")) == 2
    assert "Figures of 60 sites" in page.text
    assert "60 videos and photos failed" in page.text


def test_without_sites_the_report_says_how_to_give_them(run_of, row, photos):
    assert "--site folder:1" in Page(render_report(run_of(photos, [row()]))).text


def test_the_users_own_box_model_is_named(run_of, row, photos):
    text = Page(render_report(run_of(photos, [row()], facts={"arguments": {"box_model": "mine/v2"}}))).text
    assert "mine/v2" in text
    assert "West African" not in text


def test_unreadable_folders_are_listed(run_of, row, photos):
    folders = {"unreadable_folders": [{"folder": "/card/x\udcff", "reason": "Permission denied"}]}
    text = Page(render_report(run_of(photos, [row()], facts=folders))).text
    assert "/card/x\\udcff Permission denied" in text


def test_facts_read_back_from_json_give_the_same_page(full, run_of, photos):
    read_back = json.loads(json.dumps(full.facts))
    assert render_report(
        run_of(photos, full.estimates, facts=read_back, doubts=full.summary.doubts, n_unasked=2)
    ) == render_report(full)


def test_ambiguous_truth_is_refused(run_of, row, photos):
    run = run_of(photos, [row(3.0, "x/a.jpg"), row(3.0, "y/a.jpg")])
    with pytest.raises(InputError, match=r"a\.jpg"):
        render_report(run, [TruthRow("a.jpg", 0, 3.0)])


@pytest.mark.parametrize(("known_m", "is_beaten"), [((3.0, 9.0), False), ((5.0, 5.1), True)])
def test_the_report_says_if_the_model_does_not_beat_the_baseline(run_of, row, photos, known_m, is_beaten):
    run = run_of(photos, [row(3.2, "a.jpg"), row(8.9, "b.jpg")])
    truth = [TruthRow("a.jpg", 0, known_m[0]), TruthRow("b.jpg", 0, known_m[1])]
    text = Page(render_report(run, truth)).text
    assert ("not below the baseline" in text) == is_beaten
    assert "too narrow to rely on" in text


def test_a_missing_folder_is_refused(full, tmp_path):
    with pytest.raises(RunError, match="can't be written"):
        write_html(full, tmp_path / "absent")


def test_progress_counts_pictures(full):
    calls = []
    render_report(full, progress=lambda *call: calls.append(call))
    assert calls[-1] == ("report", 3, 3, 0)


def test_all_columns_and_statuses_are_explained():
    assert tuple(COLUMN_MEANINGS) == (
        *COLUMNS,
        f"{DRAW_COLUMNS[0]} ... {DRAW_COLUMNS[-1]}",
        NIGHT_COLUMN,
        SPECIES_COLUMN,
        SPECIES_SCORE_COLUMN,
        SPECIES_LABEL_COLUMN,
    )
    assert set(STATUS_MEANINGS) == set(Status)


def test_importing_the_report_loads_no_heavy_package():
    code = (
        "import sys, trapmeter.report.run_report; "
        "print([m for m in ('matplotlib', 'jinja2', 'PIL', 'pandas', 'scipy', 'av', 'onnxruntime') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_pictures_come_from_the_videos(simtrap, row, run_of):
    folder_of = {path.name: path.parent.name for path in simtrap.glob("*_videos/*")}
    truth = [t for t in read_truth(simtrap / "truth.csv") if t.time_s < 3]
    rows = [
        row(t.distance_m, f"{folder_of[t.video_id]}/{t.video_id}", t.time_s, i, xyxy=t.box.xyxy)
        for i, t in enumerate(truth, 1)
        if t.box is not None
    ]
    html = render_report(run_of(simtrap, rows), truth)
    page = Page(html)
    assert cards(html)["Mean absolute error"] == "0.00\u00a0m"
    assert cards(html)["Compared"] == str(len(rows))
    assert len(page.all("img")) == min(36, len({(e.observation.media_id, e.observation.time_s) for e in rows}))
    assert "can no longer be read" not in page.text
    assert len(html) < 2_000_000
