"""What helps to judge distances by eye, in a real browser: lines, zoom, reference photographs, and judging blind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs pip install 'trapmeter[review]'")
pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")

from fitted_world import LEVEL, fitted, write_cameras
from review_browser import at, expect, open_at, press
from review_rows import AVI, MP4, ROWS, results_of, row
from trapmeter.review.decisions import read_log
from trapmeter.review.results import Results, read_results
from trapmeter.tables.medium_times import MEDIA_CSV, MediumTime, TimeSource, write_media
from trapmeter.tables.truth import write_seconds_to_label

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.slow

JUDGED = (
    row(AVI, 0, 5.37, width_m=0.5),
    row(AVI, 1, 6.83, width_m=1.38, reason="unlike the training"),
    row(AVI, 1, 9.71, 2, width_m=3.1, x=0.7),
    row(MP4, 1, 11.83, site_id="S02", width_m=5.2),
)
ANSWERS = [
    text
    for distance in (one.distance for one in JUDGED)
    if distance is not None
    for metres in (distance.distance_m, distance.low_m, distance.high_m)
    for text in (f"{metres:.1f}", f"{metres:.2f}")
] + ["unlike the training"]
"""What these rows say of the model's distances, intervals and doubts."""


def edges(locator: Locator) -> tuple[float, float, float, float]:
    """Left, top, width and height on the screen."""
    box = locator.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def box_misfit(page: Page) -> float:
    """How far (in pixels of the screen) the chosen box is from where the table says, on the picture as it is displayed."""
    left, top, width, height = edges(page.locator("#still"))
    x, y, wide, high = edges(page.locator("#overlay g.chosen rect.line"))
    middle = x + wide / 2, y + high / 2
    return max(abs(middle[0] - left - 0.5 * width), abs(middle[1] - top - 0.5 * height))


@pytest.fixture
def seen(results: Results) -> Results:
    """Results whose site S01 has a fitted camera."""
    write_cameras(results.source.parent, fitted("S01"))
    return read_results(results.source)


def test_lines_of_equal_distance_lie_on_the_ground_and_can_be_hidden(
    page: Page, start_live: Callable[..., str], seen: Results
) -> None:
    open_at(page, start_live(seen), 1)
    lines = page.locator("#ground g")
    expect(page.locator('#ground g[data-metres="5"] text')).to_have_text("5 m")
    labels = lines.locator("text")
    assert labels.count() >= 6
    # The line of 5 m is highest at the middle of the picture, where the camera shows it.
    _, top, _, height = edges(page.locator("#still"))
    line = edges(page.locator('#ground g[data-metres="5"] path.line'))
    assert line[1] == pytest.approx(top + LEVEL.place(5.0, 0.0)[1] * height, abs=4)
    press(page, "l")
    expect(lines).to_have_count(0)
    page.reload()
    expect(page.locator("#overlay g").first).to_be_attached()
    expect(lines).to_have_count(0)
    page.get_by_role("button", name="lines").click()
    expect(lines).not_to_have_count(0)
    # A site without a fitted camera has none, and that needs no word.
    page.locator("#row-8 button").click()
    at(page, 8)
    expect(page.locator("#still")).to_have_js_property("naturalWidth", 320)
    expect(lines).to_have_count(0)
    expect(page.locator("#linesnote")).to_be_hidden()
    press(page, "l")
    expect(page.locator("#message")).to_contain_text("no lines of equal distance are known")


def test_lines_are_left_out_with_a_reason_where_they_would_be_wrong(
    page: Page, start_live: Callable[..., str], results: Results
) -> None:
    spring, summer = datetime(2024, 3, 1), datetime(2024, 6, 1)  # noqa: DTZ001 - as the camera's clock showed
    photo_format = replace(LEVEL, aspect_ratio=4 / 3)
    write_cameras(
        results.source.parent,
        fitted("S01", None, spring),
        fitted("S01", spring, None),
        fitted("S02", camera=photo_format),
        fitted("S03", None, spring),
    )
    write_media(results.source.with_name(MEDIA_CSV), [MediumTime("odd.mp4", "", summer, TimeSource.TABLE)])
    address = start_live(read_results(results.source))
    open_at(page, address, 1)
    note = page.locator("#linesnote")
    expect(note).to_contain_text(f"site S01 has 2 fitted cameras, and nothing says when {AVI} was recorded")
    page.locator("#row-5 button").click()
    expect(note).to_contain_text("another format than the site's reference photographs")
    page.locator("#row-8 button").click()
    expect(note).to_contain_text("no fitted camera of site S03 stood there at 2024-06-01 00:00:00")
    expect(page.locator("#ground g")).to_have_count(0)


def test_boxes_and_lines_follow_the_zoom(page: Page, start_live: Callable[..., str], seen: Results) -> None:
    open_at(page, start_live(seen), 1)
    expect(page.locator("#still")).to_have_js_property("naturalWidth", 320)
    expect(page.locator("#ground g")).not_to_have_count(0)
    whole = edges(page.locator("#still"))
    stroke = page.locator("#overlay g.chosen rect.line")
    before = float(stroke.get_attribute("stroke-width") or 0)
    press(page, "++=")
    zoomed = edges(page.locator("#still"))
    assert zoomed[2] == pytest.approx(whole[2] * 1.25**3, rel=0.01)
    assert box_misfit(page) < 3
    # As thin on the screen as before.
    assert float(stroke.get_attribute("stroke-width") or 0) == pytest.approx(before / 1.25**3, rel=0.01)
    # Labels of lines stay in sight.
    frame = edges(page.locator("#frame"))
    for label in page.locator("#ground text").all():
        x, y, width, height = edges(label)
        assert x >= frame[0] - 1
        assert x + width <= frame[0] + frame[2] + 1
        assert y >= frame[1] - height
        assert y <= frame[1] + frame[3]
    # The wheel zooms at the pointer.
    target = frame[0] + 0.25 * frame[2], frame[1] + 0.75 * frame[3]
    page.mouse.move(*target)
    share = (target[0] - zoomed[0]) / zoomed[2]
    page.mouse.wheel(0, -100)
    page.wait_for_function(
        "width => document.querySelector('#still').getBoundingClientRect().width > width", arg=zoomed[2]
    )
    nearer = edges(page.locator("#still"))
    assert (target[0] - nearer[0]) / nearer[2] == pytest.approx(share, abs=0.01)
    assert box_misfit(page) < 3
    press(page, "-")
    assert edges(page.locator("#still"))[2] == pytest.approx(zoomed[2], rel=0.01)
    press(page, "0")
    assert edges(page.locator("#still")) == pytest.approx(whole, abs=1)
    expect(page.locator("#typed")).to_have_value("")
    # Without a zoom, 0 is a digit.
    press(page, "0.8")
    expect(page.locator("#typed")).to_have_value("0.8")


@pytest.mark.parametrize("button", ["left", "middle"])
def test_a_zoomed_picture_is_dragged(page: Page, live: str, button: str) -> None:
    open_at(page, live, 1)
    expect(page.locator("#still")).to_have_js_property("naturalWidth", 320)
    press(page, "++++")
    x, y, width, height = edges(page.locator("#frame"))
    before = edges(page.locator("#still"))
    page.mouse.move(x + width / 2, y + height / 2)
    page.mouse.down(button=button)
    page.mouse.move(x + width / 2 + 40, y + height / 2 + 25, steps=4)
    page.mouse.up(button=button)
    after = edges(page.locator("#still"))
    assert after[:2] == pytest.approx((before[0] + 40, before[1] + 25), abs=1)
    assert box_misfit(page) < 3
    # It never leaves the frame.
    page.mouse.move(x + 5, y + 5)
    page.mouse.down(button=button)
    page.mouse.move(x + width - 5, y + height - 5, steps=4)
    page.mouse.up(button=button)
    page.mouse.move(x + 5, y + 5)
    page.mouse.down(button=button)
    page.mouse.move(x + width - 5, y + height - 5, steps=4)
    page.mouse.up(button=button)
    assert edges(page.locator("#still"))[:2] == pytest.approx((x, y), abs=1)


def test_space_drags_a_zoomed_picture_while_a_box_is_placed(page: Page, live: str, results: Results) -> None:
    open_at(page, live, 1)
    expect(page.locator("#still")).to_have_js_property("naturalWidth", 320)
    press(page, "m++++")
    x, y, width, height = edges(page.locator("#frame"))
    draft = edges(page.locator("#overlay g.draft rect.line"))
    page.mouse.move(x + width / 2, y + height / 2)
    page.keyboard.down(" ")
    page.mouse.down()
    page.mouse.move(x + width / 2 - 30, y + height / 2, steps=4)
    page.mouse.up()
    page.keyboard.up(" ")
    # The picture moved, and the box with it; nothing plays.
    assert edges(page.locator("#overlay g.draft rect.line"))[0] == pytest.approx(draft[0] - 30, abs=2)
    expect(page.locator("#play")).to_contain_text("play")
    # Without Space the same drag moves the box within the picture.
    still = edges(page.locator("#still"))
    page.mouse.move(x + width / 2 - 30, y + height / 2)
    page.mouse.down()
    page.mouse.move(x + width / 2, y + height / 2, steps=4)
    page.mouse.up()
    assert edges(page.locator("#still")) == pytest.approx(still, abs=1)
    press(page, "{Enter}")
    expect(page.locator("#row-1 .verdict")).to_have_text("corrected")
    (moved,) = read_log(results.source)
    assert moved.xyxy is not None
    assert moved.xyxy[0] == pytest.approx(0.4 + 30 / still[2], abs=0.01)


def test_space_plays_a_zoomed_picture_when_it_is_released(page: Page, live: str) -> None:
    open_at(page, live, 1)
    expect(page.locator("#still")).to_have_js_property("naturalWidth", 320)
    press(page, "+ ")
    expect(page.locator("#play")).to_contain_text("stop")


def photo(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((60, 100, 3), grey, np.uint8)).save(path)


@pytest.fixture
def with_references(tmp_path: Path, media: Path) -> Results:
    """Results with reference photographs at 2, 5 and 12 m; one at 7 m is lost, and one at 4 m is broken."""
    root = tmp_path / "media"
    root.mkdir()
    for name in (AVI, MP4):
        (root / name).parent.mkdir()
        (root / name).symlink_to(media / name)
    for metres in (2, 5, 12):
        photo(root / f"S01/ref{metres}.jpg", 10 * metres)
    (root / "S01/ref4.jpg").write_bytes(b"broken")
    results = results_of(tmp_path / "results", ROWS, root=root)
    references = tuple((f"S01/ref{metres}.jpg", float(metres)) for metres in (2, 4, 5, 7, 12))
    write_cameras(results.source.parent, fitted("S01", photo_distances=references))
    return read_results(results.source)


def test_the_reference_photograph_nearest_in_distance_stands_beside_the_picture(
    page: Page, start_live: Callable[..., str], with_references: Results
) -> None:
    open_at(page, start_live(with_references), 1)
    figure, metres = page.locator("#reference"), page.locator("#reference strong")
    expect(figure).to_be_visible()
    expect(metres).to_have_text("5 m")
    expect(figure.locator("img")).to_have_js_property("naturalWidth", 100)
    frame, beside = edges(page.locator("#frame")), edges(figure)
    assert beside[0] >= frame[0] + frame[2]
    assert beside[2] < frame[2] / 2
    # What you type chooses another one; you may also step through them.
    press(page, "11")
    expect(metres).to_have_text("12 m")
    press(page, "{Escape}")
    expect(metres).to_have_text("5 m")
    press(page, "]")
    expect(metres).to_have_text("12 m")
    press(page, "]")
    expect(page.locator("#message")).to_contain_text("no farther reference photograph")
    figure.get_by_role("button", name="nearer").click()
    expect(metres).to_have_text("5 m")
    # The broken one is passed over without a word.
    press(page, "4")
    expect(metres).to_have_text("5 m")
    expect(figure).to_be_visible()


def test_without_any_reference_photograph_nothing_is_shown(
    page: Page, start_live: Callable[..., str], results: Results
) -> None:
    write_cameras(results.source.parent, fitted("S01", photo_distances=(("S01/gone.jpg", 5.0),)))
    open_at(page, start_live(read_results(results.source)), 1)
    expect(page.locator("#ground g")).not_to_have_count(0)
    expect(page.locator("#reference")).to_be_hidden()


def shown_text(page: Page) -> str:
    """All that the page and its source say, without the dialog of keys and the scripts' addresses."""
    return page.evaluate("document.querySelector('main').outerHTML + document.querySelector('#rows').outerHTML")


def says_an_answer(text: str) -> list[str]:
    return [answer for answer in ANSWERS if re.search(rf"(?<![\d.]){re.escape(answer)}(?![\d.])", text)]


@pytest.fixture
def judged(tmp_path: Path, media: Path) -> Results:
    """JUDGED, with a fitted camera at site S01."""
    results = results_of(tmp_path / "judged", JUDGED, root=media)
    write_cameras(results.source.parent, fitted("S01"))
    return read_results(results.source)


def test_a_blind_review_says_nothing_of_the_model_before_the_judgement_and_all_after_it(
    page: Page, start_live: Callable[..., str], judged: Results
) -> None:
    page.goto(start_live(judged, is_blind=True) + "&row=0")
    at(page, 0)
    # The lines of the fitted camera are not the model's answer.
    expect(page.locator("#ground g")).not_to_have_count(0)
    expect(page.locator("#blind")).to_be_checked()
    expect(page.locator("#row .facts strong")).to_have_text("? m")
    expect(page.locator("#row-0 .metres")).to_have_text("? m")
    assert says_an_answer(shown_text(page)) == []
    for number in (2, 3, 1):
        page.locator(f"#row-{number} button").click()
        at(page, number)
        expect(page.locator("#overlay g.chosen")).to_be_attached()
        expect(page.locator("#overlay text")).to_have_count(0)
        assert says_an_answer(shown_text(page)) == []
    # The list doesn't tell either what lies in a range.
    page.locator("#filter input[name=high]").fill("100")
    page.keyboard.press("Enter")
    expect(page.locator("#rows")).to_contain_text("No row matches this filter")
    page.locator("#filter input[name=high]").fill("")
    page.keyboard.press("Enter")
    expect(page.locator("#rows li")).to_have_count(4)
    page.locator("#row-1 button").click()
    at(page, 1)
    press(page, "a")
    expect(page.locator("#message")).to_contain_text("type the distance that you see")
    # 38 m is far above the interval: a question about it would tell the answer.
    press(page, "38{Enter}")
    expect(page.locator("#row .was")).to_contain_text("measured as 6.8 m, interval 6.1–7.5")
    at(page, 1)
    expect(page.locator("#row .facts strong")).to_have_text("38.0 m")
    expect(page.locator("#row .reason")).to_have_text("unlike the training")
    expect(page.locator("#row-1 .metres")).to_have_text("38.0 m")
    expect(page.locator("#row-1 .interval")).to_have_text("was 6.8")
    # The answer stays known: another judgement is no longer blind. The other animal's is still hidden.
    expect(page.locator("#overlay g:not(.chosen) text")).to_have_count(0)
    press(page, "7{Enter}")
    expect(page.locator("#row-1 .metres")).to_have_text("7.0 m")
    assert [(one.row, one.distance_m, one.blind) for one in read_log(judged.source)] == [
        (1, 38.0, True),
        (1, 7.0, False),
    ]


def test_enter_goes_on_after_a_blind_judgement(page: Page, start_live: Callable[..., str], judged: Results) -> None:
    page.goto(start_live(judged, is_blind=True) + "&row=0")
    at(page, 0)
    press(page, "4{Enter}")
    expect(page.locator("#row .was")).to_be_visible()
    press(page, "{Enter}")
    at(page, 1)
    expect(page.locator("#row .facts strong")).to_have_text("? m")


def test_the_box_blind_hides_the_answers_and_what_was_shown_counts_as_known(
    page: Page, start_live: Callable[..., str], judged: Results
) -> None:
    open_at(page, start_live(judged), 0)
    expect(page.locator("#row .facts strong")).to_have_text("5.4 m")
    assert says_an_answer(shown_text(page)) != []
    page.get_by_label("blind").check()
    expect(page.locator("#row .facts strong")).to_have_text("? m")
    assert says_an_answer(shown_text(page)) == []
    # The page has loaded again; keys before its scripts have drawn the boxes would be lost.
    expect(page.locator("#overlay g").first).to_be_attached()
    press(page, "4.5{Enter}")
    expect(page.locator("#row .was")).to_be_visible()
    page.get_by_label("blind").uncheck()
    expect(page.locator("#row-3 .metres")).to_have_text("11.8 m")
    expect(page.locator("#overlay g").first).to_be_attached()
    page.locator("#row-3 button").click()
    at(page, 3)
    expect(page.locator("#row .facts strong")).to_have_text("11.8 m")
    assert [(one.row, one.blind) for one in read_log(judged.source)] == [(0, False)]


def listed(page: Page) -> list[int]:
    return [int(item.get_attribute("data-row") or -1) for item in page.locator("#rows li[data-row]").all()]


def test_the_list_is_in_order_of_time_if_you_like(page: Page, start_live: Callable[..., str], results: Results) -> None:
    page.goto(start_live(results))
    at(page, 5)
    assert listed(page) == [5, 1, 4, 3, 0, 8, 9, 7, 2, 6]
    page.get_by_label("order").select_option("time")
    expect(page.locator("#rows li").first).to_have_attribute("id", "row-7")
    assert listed(page) == [7, 9, 0, 1, 2, 3, 4, 5, 6, 8]
    page.reload()
    expect(page.locator("#rows li").first).to_have_attribute("id", "row-7")
    page.wait_for_load_state("networkidle")
    page.locator("#row-2 button").click()
    at(page, 2)
    press(page, "j")
    at(page, 3)


def test_only_the_rows_of_a_table_are_listed(
    page: Page, start_live: Callable[..., str], results: Results, tmp_path: Path
) -> None:
    table = tmp_path / "to-label.csv"
    write_seconds_to_label(table, [ROWS[4].observation, ROWS[0].observation])
    page.goto(start_live(read_results(results.source, only=table)))
    at(page, 4)
    assert listed(page) == [4, 0]
    expect(page.locator("#progress")).to_contain_text("0 of 2 animals reviewed")
    expect(page.locator("nav .hint")).to_contain_text("Only the 2 rows")
    press(page, "3.5{Enter}")
    at(page, 0)
    expect(page.locator("#progress")).to_contain_text("1 of 2 animals reviewed")
    # Other animals are still in the picture.
    page.locator("#row-4 button").click()
    at(page, 4)
    expect(page.locator("#overlay g")).to_have_count(2)
