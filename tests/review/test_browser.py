"""The review page in a real browser: Chromium, driven by Playwright."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from review_rows import AVI, MP4, ODD_NAME, ODD_SITE
from review_rows import row as review_row
from trapmeter.records import STATIC_PREFIX
from trapmeter.review.decisions import read_log
from trapmeter.review.results import Results
from trapmeter.tables.distances import REVIEW_LOG, read_distances

pytest.importorskip("fastapi", reason="needs pip install 'trapmeter[review]'")
pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")

from review_browser import TIMEOUT_MS, at, expect, open_at, press

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from review.conftest import Server

pytestmark = pytest.mark.slow


def seeks(page: Page, second: float) -> None:
    """Waits until the browser's own player is at a second."""
    for _ in range(TIMEOUT_MS // 100):
        if page.locator("video").evaluate("player => player.seeking ? -1 : player.currentTime") == pytest.approx(
            second, abs=0.01
        ):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"the player didn't reach second {second}")


def kinds(results: Results) -> list[str]:
    return [decision.kind.value for decision in read_log(results.source)]


def test_the_page_opens_at_the_most_doubtful_row_with_its_picture_and_boxes(page: Page, live: str) -> None:
    page.goto(live)
    at(page, 5)
    assert "token" not in page.url
    expect(page.locator("#overlay g.chosen text")).to_have_text("8.0 m  6.5–9.5")
    expect(page.locator("#progress")).to_contain_text("0 of 7 animals reviewed")
    expect(page.locator("#rows li")).to_have_count(10)
    expect(page.locator("#row .reason")).to_have_text("unlike the training")
    still = page.locator("#still")
    expect(still).to_have_js_property("naturalWidth", 320)
    # The box is at the position in the table, within the accuracy of the picture.
    outer = still.bounding_box()
    inner = page.locator("#overlay g.chosen rect.line").bounding_box()
    assert outer is not None
    assert inner is not None
    assert inner["x"] == pytest.approx(outer["x"] + 0.4 * outer["width"], abs=4)
    assert inner["width"] == pytest.approx(0.2 * outer["width"], abs=8)


def test_the_player_seeks_to_the_second_and_plays(page: Page, live: str) -> None:
    open_at(page, live, 3)
    player = page.locator("video")
    expect(player).to_have_js_property("videoWidth", 320)
    seeks(page, 0)
    expect(page.locator("#overlay g")).to_have_count(2)
    press(page, "{ArrowRight}")
    seeks(page, 1)
    expect(page.locator("#clock")).to_have_text("second 1 (the row is at 0)")
    expect(page.locator("#still")).to_have_attribute("src", re.compile(r"time=1$"))
    expect(page.locator("#overlay g")).to_have_count(1)
    press(page, "{ArrowRight}{ArrowRight}")
    expect(page.locator("#nopicture")).to_have_text(re.compile("the video ends at 3.00 s"))
    press(page, "{ArrowLeft}{ArrowLeft}{ArrowLeft}{ArrowLeft}")
    expect(page.locator("#clock")).to_have_text("second 0")
    press(page, " ")
    expect(page.locator("#frame")).to_have_class("playing")
    # It plays to the end, and stops at the last second with a picture.
    expect(page.locator("#frame")).not_to_have_class("playing")
    expect(page.locator("#clock")).to_have_text("second 2 (the row is at 0)")


def test_space_plays_even_after_a_click_on_the_row(page: Page, live: str) -> None:
    page.goto(live)
    at(page, 5)
    page.locator("#row-0 button").click()
    at(page, 0)
    expect(page.locator("#still")).to_have_js_property("naturalWidth", 320)
    press(page, " ")
    expect(page.locator("#play")).to_contain_text("stop")
    press(page, " ")
    expect(page.locator("#play")).to_contain_text("play")
    # On the button of another row, it shows that row.
    page.locator("#row-8 button").focus()
    press(page, " ")
    at(page, 8)
    expect(page.locator("#play")).to_contain_text("play")


def test_a_video_that_the_browser_cant_play_is_shown_as_pictures(page: Page, live: str) -> None:
    for row, last in ((0, 3), (8, 2), (9, 2)):  # AVI, MPEG-4 in MP4, ASF
        open_at(page, live, row)
        expect(page.locator("#still")).to_have_js_property("naturalWidth", 320)
        press(page, " ")
        expect(page.locator("#play")).to_contain_text("stop")
        # It plays to the end, and the last whole second stays.
        expect(page.locator("#play")).to_contain_text("play")
        expect(page.locator("#clock")).to_contain_text(f"second {last}")
        expect(page.locator("#nopicture")).to_be_hidden()


def test_correct_undo_and_reload(page: Page, live: str, results: Results) -> None:
    open_at(page, live, 0)
    press(page, "43{Backspace}.2{Enter}")
    at(page, 8)
    expect(page.locator("#row-0 .metres")).to_have_text("4.2 m")
    expect(page.locator("#row-0 .verdict")).to_have_text("corrected")
    expect(page.locator("#progress")).to_contain_text("1 of 7 animals reviewed")
    press(page, "u")
    at(page, 0)
    expect(page.locator("#row-0 .metres")).to_have_text("5.0 m")
    expect(page.locator("#progress")).to_contain_text("0 of 7 animals reviewed")
    press(page, "7,5{Enter}")
    at(page, 8)
    page.reload()
    at(page, 8)
    expect(page.locator("#row-0 .metres")).to_have_text("7.5 m")
    expect(page.locator("#undo")).to_contain_text(f"undo: distance, {AVI} at 0 s")
    assert kinds(results) == ["distance", "undo", "distance"]


def test_a_species_is_typed_in_any_language_and_undone(page: Page, live: str, results: Results) -> None:
    open_at(page, live, 0)
    press(page, "i")
    expect(page.locator("#species")).to_be_focused()
    page.keyboard.type("renard roux")
    press(page, "{Enter}")
    # All rows of the animal, in the second that is on display and in the list; the distance stays to be checked.
    expect(page.locator("#row .facts")).to_contain_text("Vulpes vulpes")
    for number in (0, 1):
        expect(page.locator(f"#row-{number} .name")).to_contain_text("Vulpes vulpes")
    expect(page.locator("#progress")).to_contain_text("0 of 7 animals reviewed")
    expect(page.locator("#undo")).to_contain_text(f"undo: species, {AVI} at 0 s")
    press(page, "i")
    page.keyboard.type("danta")
    press(page, "{Enter}")
    expect(page.locator("#message")).to_contain_text("'danta' is ambiguous")
    press(page, "i")
    page.keyboard.type("person")
    press(page, "{Enter}")
    expect(page.locator("#row-1 .verdict")).to_have_text("person")
    press(page, "uu")
    expect(page.locator("#row-1 .name")).not_to_contain_text("Vulpes")
    # Esc leaves the field, and keys work again.
    press(page, "i{Escape}j")
    expect(page).not_to_have_url(re.compile(r"[?&]row=0\b"))
    assert kinds(results) == ["species", "species", "undo", "undo"]


def test_every_key_does_what_it_says(page: Page, live: str, results: Results) -> None:
    open_at(page, live, 4)
    press(page, "r")
    expect(page.locator("#row-4 .verdict")).to_have_text("reacts")
    press(page, "r")
    expect(page.locator("#row-4 .verdict")).to_have_text("")
    press(page, "m{ArrowRight}{ArrowDown}{Shift+ArrowLeft}{Enter}")
    expect(page.locator("#row-4 .verdict")).to_have_text("corrected")
    press(page, "d")
    at(page, 3)
    expect(page.locator("#row-4 .verdict")).to_have_text("deleted")
    press(page, "x")
    at(page, 0)
    expect(page.locator("#row-3 .verdict")).to_have_text("not an animal")
    press(page, "kj")
    at(page, 0)
    press(page, "n{ArrowUp}6.5{Enter}")
    at(page, 10)
    expect(page.locator("#row-0 + li .verdict")).to_have_text("added")
    press(page, "u")
    at(page, 0)
    expect(page.locator("#row-10")).to_have_count(0)
    press(page, "m{Escape}a")
    at(page, 8)
    press(page, "?")
    expect(page.locator("#help")).to_be_visible()
    press(page, "{Escape}x")
    at(page, 9)
    decided = read_log(results.source)
    assert [one.kind.value for one in decided] == [
        *("reacts", "calm", "box", "delete", "not_animal", "add", "undo", "accept", "not_animal"),
    ]
    assert decided[2].xyxy == (0.71, 0.31, 0.9, 0.71)
    assert (decided[5].distance_m, decided[5].xyxy) == (6.5, (0.4, 0.39, 0.6, 0.69))


LEAF_REASON = f"{STATIC_PREFIX}the box stays in place"
WITH_LEAVES = (
    review_row(AVI, 0, 5.0),
    review_row(AVI, 1, 5.0, 2, reason=LEAF_REASON, x=0.1),
    review_row(MP4, 0, 9.0, site_id="S02", reason=f"unlike the training; {LEAF_REASON}"),
    review_row(MP4, 1, 8.0, site_id="S02"),
)


@pytest.mark.parametrize("results", [WITH_LEAVES], indirect=True)
def test_one_key_decides_all_boxes_that_are_marked_static(page: Page, live: str, results: Results) -> None:
    open_at(page, live, 1)
    press(page, "s")
    for number, verdict in enumerate(("", "not an animal", "not an animal", "")):
        expect(page.locator(f"#row-{number} .verdict")).to_have_text(verdict)
    expect(page.locator("#undo")).to_contain_text("all static boxes are no animals")
    press(page, "u")
    for number in range(len(WITH_LEAVES)):
        expect(page.locator(f"#row-{number} .verdict")).to_have_text("")
    open_at(page, live, 2)
    press(page, "{Shift+S}")
    for number, verdict in enumerate(("", "accepted", "accepted", "")):
        expect(page.locator(f"#row-{number} .verdict")).to_have_text(verdict)
    assert kinds(results) == ["static_not_animal", "undo", "static_accept"]


def test_the_mouse_does_the_same_as_the_keys(page: Page, live: str, results: Results) -> None:
    open_at(page, live, 1)
    expect(page.locator("#still")).not_to_have_js_property("naturalWidth", 0)
    page.get_by_role("button", name="add animal").click()
    expect(page.locator("#typed")).to_be_visible()
    frame = page.locator("#frame").bounding_box()
    assert frame is not None

    def point(x: float, y: float) -> tuple[float, float]:
        return frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]

    for start, end in (((0.1, 0.2), (0.3, 0.6)), ((0.2, 0.4), (0.25, 0.5))):
        page.mouse.move(*point(*start))
        page.mouse.down()
        page.mouse.move(*point(*end))
        page.mouse.up()
    page.locator("#typed").fill("12")
    page.get_by_role("button", name="save").click()
    at(page, 10)
    page.locator("#row-4 button").click()
    at(page, 4)
    page.get_by_role("button", name="accept").click()
    expect(page.locator("#row-4 .verdict")).to_have_text("accepted")
    added, accepted = read_log(results.source)
    assert added.distance_m == 12
    assert added.xyxy == pytest.approx((0.15, 0.3, 0.35, 0.7), abs=0.01)
    assert accepted.row == 4


def test_ten_corrections_by_keyboard_alone_take_four_keys_each(page: Page, live: str, results: Results) -> None:
    # The seven animals, by doubt; the address filters out the seconds without an animal.
    page.goto(live + "&status=measured")
    at(page, 5)
    pressed = 0
    for number in range(7):
        pressed += press(page, f"{number + 3}.5{{Enter}}")
    pressed += press(page, "kk")
    for metres in ("2.5", "3.5", "4.5"):
        pressed += press(page, f"{metres}{{Enter}}")
    expect(page.locator("#row-9 .metres")).to_have_text("4.5 m")
    decided = read_log(results.source)
    assert [one.distance_m for one in decided] == [3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 2.5, 3.5, 4.5]
    assert [one.row for one in decided] == [5, 1, 4, 3, 0, 8, 9, 0, 8, 9]
    assert pressed == 10 * 4 + 2


def test_a_doubtful_distance_is_asked_about_once_more(page: Page, live: str, results: Results) -> None:
    open_at(page, live, 0)
    message = page.locator("#message")
    press(page, "42{Enter}")
    expect(message).to_have_text(re.compile("42 m is far above the measured 4.5 to 5.5 m: press Enter again"))
    expect(page.locator("#typed")).to_have_value("42")
    # Another distance is another question, and a plausible one is none.
    press(page, "0{Enter}")
    expect(message).to_contain_text("420 m: at most 200 m can be entered (was 42.0 m meant?)")
    press(page, "{Backspace}{Backspace}.2{Enter}")
    at(page, 8)
    expect(page.locator("#row-0 .metres")).to_have_text("4.2 m")
    press(page, "42{Enter}")
    expect(message).to_contain_text("press Enter again")
    press(page, "{Enter}")
    at(page, 9)
    expect(page.locator("#row-8 .metres")).to_have_text("42.0 m")
    # The box of an animal that is being added stays where it is.
    press(page, "n{ArrowUp}70{Enter}")
    expect(message).to_contain_text("70 m is unusually far (was 7.0 m meant?)")
    expect(page.locator("#cancel")).to_be_visible()
    page.get_by_role("button", name="save").click()
    at(page, 10)
    assert [(one.kind.value, one.distance_m) for one in read_log(results.source)] == [
        *(("distance", 4.2), ("distance", 42.0), ("add", 70.0)),
    ]


def test_a_question_goes_with_its_row(page: Page, live: str, results: Results) -> None:
    open_at(page, live, 8)
    press(page, "42{Enter}")
    expect(page.locator("#message")).to_contain_text("press Enter again")
    press(page, "j")
    at(page, 9)
    press(page, "42{Enter}")
    expect(page.locator("#message")).to_contain_text("press Enter again")
    assert kinds(results) == []


def test_impossible_decisions_are_explained_and_change_nothing(page: Page, live: str, results: Results) -> None:
    page.goto(live + "&row=2")
    at(page, 2)
    message = page.locator("#message")
    press(page, "4{Enter}")
    expect(message).to_contain_text("no animal was measured in this second; press n to add one")
    press(page, "m")
    expect(message).to_contain_text("press n to add one")
    page.locator("#row-6 button").click()
    at(page, 6)
    expect(page.locator("#nopicture")).to_contain_text("the video ends at 3.00 s")
    press(page, "n5{Enter}")
    expect(message).to_contain_text("this second has no picture")
    press(page, "u")
    expect(message).to_have_text("there is nothing to undo")
    page.locator("#row-7 button").click()
    expect(page.locator("#nopicture")).to_contain_text("if it was moved, restart with --videos")
    assert kinds(results) == []


def test_filters_list_matching_rows_and_survive_a_reload(page: Page, live: str) -> None:
    page.goto(live)
    at(page, 5)
    page.get_by_label("site").select_option("S02")
    expect(page.locator("#rows li")).to_have_count(4)
    page.get_by_label("status").select_option("measured")
    expect(page.locator("#rows li")).to_have_count(3)
    page.get_by_label("from").fill("8,5")
    page.keyboard.press("Enter")
    expect(page.locator("#rows li")).to_have_count(1)
    page.reload()
    expect(page.locator("#rows li")).to_have_count(1)
    page.get_by_label("from").fill("near")
    page.keyboard.press("Enter")
    expect(page.locator("#rows")).to_contain_text("low must be a number")


def test_two_tabs_do_not_overwrite_each_other(page: Page, live: str, results: Results) -> None:
    open_at(page, live, 0)
    other = page.context.new_page()
    open_at(other, live, 0)
    press(page, "4.2{Enter}")
    at(page, 8)
    press(other, "9.9{Enter}")
    expect(other.locator("#message")).to_contain_text("another tab has made a decision about this row")
    at(other, 0)
    expect(other.locator("#row .facts strong")).to_have_text("4.2 m")
    press(page, "a")
    at(page, 9)
    # The button in the other tab still refers to the correction.
    press(other, "u")
    expect(other.locator("#message")).to_contain_text("another tab has made a decision since: nothing was undone")
    press(other, "9.9{Enter}")
    expect(other.locator("#row-0 .metres")).to_have_text("9.9 m")
    assert [(one.kind.value, one.distance_m) for one in read_log(results.source)] == [
        *(("distance", 4.2), ("accept", None), ("distance", 9.9)),
    ]


def test_a_script_in_a_name_is_shown_as_text(page: Page, live: str) -> None:
    open_at(page, live, 9)
    press(page, "x")
    expect(page.locator("#undo")).to_contain_text(ODD_NAME)
    expect(page.locator("#row h2")).to_contain_text("gone.mp4")
    expect(page.locator("#row-9 .name")).to_contain_text(ODD_NAME)
    expect(page.locator("#row-9 .site")).to_have_text(ODD_SITE)
    assert page.title() != "run"
    assert page.locator("#rows img, #row img, body script").count() == 0


def test_a_wrong_token_shows_nothing(page: Page, live: str) -> None:
    for address in (live.replace("the-token", "wrong"), live.split("?", maxsplit=1)[0]):
        response = page.goto(address)
        assert response is not None
        assert response.status == 403
        assert MP4 not in page.content()


def test_on_a_phone_the_page_is_as_wide_as_the_screen(page: Page, live: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    open_at(page, live, 5)
    frame = page.locator("#frame").bounding_box()
    accept = page.get_by_role("button", name="accept").bounding_box()
    assert frame is not None
    assert accept is not None
    assert frame["x"] + frame["width"] <= 360
    assert frame["width"] > 320
    assert accept["height"] >= 40
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_decisions_survive_kill_9_and_are_exported(
    page: Page, serve: Callable[[Path], Server], results: Results, tmp_path: Path
) -> None:
    folder = results.source.parent
    before = results.source.read_bytes()
    server = serve(folder)
    open_at(page, server.url, 0)
    press(page, "4.2{Enter}")
    at(page, 8)
    server.kill()
    press(page, "a")
    expect(page.locator("#message")).to_contain_text("NOT SAVED: the server has stopped")
    # As if the server had been killed while it wrote the next line.
    with (folder / REVIEW_LOG).open("ab") as log:
        log.write(b'{"number":2,"at":"20')
    server = serve(folder)
    open_at(page, server.url, 0)
    expect(page.locator("#row-0 .metres")).to_have_text("4.2 m")
    press(page, "jx")
    at(page, 9)
    assert server.stop() == 0
    assert [json.loads(line).get("kind") for line in (folder / REVIEW_LOG).read_text().splitlines()] == [
        *(None, "distance", "not_animal"),
    ]
    from terminal import inside

    assert inside("review", "export", folder, "--out", tmp_path / "out") == 0
    exported = {
        (one.observation.media_id, one.observation.time_s, one.observation.animal_id): one
        for one in read_distances(tmp_path / "out/distances.csv")
    }
    corrected = exported[AVI, 0, 1]
    assert corrected.distance is not None
    assert (corrected.distance.distance_m, corrected.reason) == (4.2, "review: distance was 5.00 m")
    assert results.source.read_bytes() == before
