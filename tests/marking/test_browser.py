"""The page in a real browser: Chromium, driven by Playwright."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marking_world import CAMERA, POLES_M, SIZE
from review_browser import expect
from trapmeter.tables.reference_marks import Upright, UprightKind, read_reference_marks

pytestmark = pytest.mark.slow

pytest.importorskip("fastapi", reason="needs pip install 'trapmeter[review]'")
pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from marking.conftest import Server


def open_at(page: Page, address: str, number: int = 0) -> None:
    page.goto(f"{address}&photograph={number}")
    expect(page).to_have_url(re.compile(rf"[?&]photograph={number}\b"))
    expect(page.locator("#still")).to_have_js_property("naturalWidth", SIZE[0])


def press(page: Page, keys: str) -> None:
    """Presses keys one after the other, with names in braces."""
    for name, character in re.findall(r"\{(.+?)\}|(.)", keys):
        page.keyboard.press(name or character)


def click(page: Page, x: float, y: float) -> None:
    """Clicks at a place of the picture: fractions."""
    frame = page.locator("#still").bounding_box()
    assert frame is not None
    page.mouse.click(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])


def click_pole(page: Page, number: int, height_m: float = 0.0) -> None:
    metres, bearing = POLES_M[number]
    click(page, *CAMERA.place(metres, bearing, height_m))


def mark_ground(page: Page, number: int, typed: str = "") -> None:
    n = page.locator("#marks button").count()
    click_pole(page, number)
    expect(page.locator("#editor")).to_be_visible()
    press(page, f"{typed or f'{POLES_M[number][0]:g}'}{{Enter}}")
    expect(page.locator("#marks button")).to_have_count(n + 1)


def saved(table: Path) -> list[Upright]:
    return [upright for one in read_reference_marks(table, allows_few=True) for upright in one.uprights]


def check_of(page: Page, text: str) -> Locator:
    return page.locator("#marks button", has_text=text)


def test_ground_points_are_saved_and_lines_appear(page: Page, live: str, table: Path) -> None:
    open_at(page, live)
    assert "token" not in page.url
    expect(page.locator("#ground")).to_contain_text("No marks yet")
    click_pole(page, 1)
    field = page.get_by_label("distance")
    expect(field).to_be_focused()
    press(page, "3,0{Enter}")
    expect(page.locator("#ground")).to_contain_text("One mark: add another one")
    expect(page.locator("#overlay .distance")).to_have_count(0)
    mark_ground(page, 4)
    expect(page.locator("#ground")).to_contain_text("Fitted to 2 marks")
    expect(page.locator("#overlay .distance", has_text=re.compile("^5 m$"))).to_have_count(1)
    expect(page.locator("#photographs [aria-current] .count")).to_have_text("2 marks")
    expect(page.locator("#photographs section").first.locator("h2")).to_contain_text("fitted")
    near, far = saved(table)
    x, y = CAMERA.place(*POLES_M[1])
    assert (near.lowest.x, near.lowest.y) == pytest.approx((x, y), abs=0.004)
    assert (near.distance_m, near.kind, near.photo) == (3.0, UprightKind.GROUND, "S01/a.png")
    assert far.distance_m == 10.0


def test_a_pole_and_a_person_remember_their_heights(page: Page, live: str, table: Path) -> None:
    open_at(page, live)
    press(page, "p")
    click_pole(page, 2)
    expect(page.locator("#editor-hint")).to_contain_text("now click the other mark")
    click_pole(page, 2, 1.2)
    expect(page.get_by_label("distance")).to_be_focused()
    page.get_by_label("upper mark").fill("1,2 m")
    press(page, "{Enter}")
    expect(page.locator("#marks button")).to_have_text(["pole 1"])
    # The upper mark first, and a known distance.
    click_pole(page, 3, 1.2)
    click_pole(page, 3)
    expect(page.get_by_label("upper mark")).to_have_value("1.2")
    press(page, "7{Enter}")
    expect(page.locator("#marks button")).to_have_count(2)
    press(page, "h")
    click_pole(page, 4)
    click_pole(page, 4, 1.75)
    expect(page.get_by_label("head")).to_have_value("1.75")
    press(page, "10{Enter}")
    expect(page.locator("#marks button")).to_have_count(3)
    expect(page.locator("#ground")).to_contain_text("Fitted to 6 marks")
    expect(check_of(page, "pole 1")).to_contain_text("by the others")
    found = saved(table)
    assert [(one.kind.value, one.name, one.distance_m, one.lowest.height_m, one.highest.height_m) for one in found] == [
        *(
            ("pole", "pole 1", None, 0.0, 1.2),
            ("pole", "pole 2", 7.0, 0.0, 1.2),
            ("person", "person 1", 10.0, 0.0, 1.75),
        ),
    ]
    assert found[1].lowest.y > found[1].highest.y


def test_edit_nudge_delete_undo_and_reload(page: Page, live: str, table: Path) -> None:
    open_at(page, live)
    mark_ground(page, 0)
    mark_ground(page, 1)
    before = saved(table)[1]
    click_pole(page, 1)
    expect(page.get_by_label("distance")).to_have_value("3")
    press(page, "{ArrowRight}{ArrowRight}{Shift+ArrowDown}4.5{Enter}")
    expect(page.locator("#marks button")).to_have_count(2)
    expect(check_of(page, "4.5 m")).to_have_count(1)
    moved = saved(table)[1]
    assert moved.distance_m == 4.5
    assert moved.lowest.x * SIZE[0] == pytest.approx(before.lowest.x * SIZE[0] + 2, abs=0.01)
    assert moved.lowest.y * SIZE[1] == pytest.approx(before.lowest.y * SIZE[1] + 10, abs=0.01)
    expect(page.locator("#undo")).to_contain_text("undo: point at 4.5 m changed")
    press(page, "u")
    expect(check_of(page, "3 m")).to_have_count(1)
    assert saved(table)[1] == before
    click_pole(page, 0)
    press(page, "{Delete}")
    expect(page.locator("#marks button")).to_have_count(1)
    page.reload()
    expect(page.locator("#marks button")).to_have_count(1)
    page.wait_for_load_state("networkidle")
    press(page, "u")
    expect(page.locator("#marks button")).to_have_count(2)
    click(page, 0.5, 0.2)
    press(page, "9{Escape}")
    expect(page.locator("#editor")).to_be_hidden()
    assert [one.distance_m for one in saved(table)] == [2.5, 3.0]


def test_everything_by_keyboard(page: Page, live: str, table: Path) -> None:
    open_at(page, live)
    press(page, "?")
    expect(page.locator("#help")).to_be_visible()
    press(page, "{Escape}")
    # Typed ahead, without waiting for the server.
    press(page, "n{Shift+ArrowDown}{Shift+ArrowDown}{ArrowLeft}8{Enter}n{Shift+ArrowDown}{Shift+ArrowDown}")
    press(page, "{Shift+ArrowDown}{Shift+ArrowDown}{Shift+ArrowDown}3.25{Enter}")
    expect(page.locator("#marks button")).to_have_count(2)
    press(page, "pn{ArrowLeft}{Enter}{ArrowUp}{Enter}")
    expect(page.locator("#marks button")).to_have_count(3)
    expect(page.locator("#stage")).to_be_focused()
    far, near, pole = saved(table)
    assert (far.lowest.x * SIZE[0], far.lowest.y * SIZE[1]) == pytest.approx((319, 200), abs=0.1)
    assert (far.distance_m, near.distance_m, pole.distance_m) == (8.0, 3.25, None)
    assert pole.highest.height_m == 1.5
    # The next mark with Tab; a digit types its new distance.
    page.keyboard.press("Tab")
    expect(page.locator("#marks button").first).to_be_focused()
    expect(page.locator("#overlay .selected")).to_have_count(1)
    press(page, "9{Enter}")
    expect(check_of(page, "9 m")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#marks button").nth(1)).to_be_focused()
    press(page, "{Delete}")
    expect(page.locator("#marks button")).to_have_count(2)
    press(page, "u")
    expect(page.locator("#marks button")).to_have_count(3)
    press(page, "j")
    expect(page.locator("#title")).to_contain_text("S01/b.png")
    expect(page.locator("#ground")).to_contain_text("Fitted to 4 marks")
    press(page, "u")
    expect(page.locator("#title")).to_contain_text("S01/a.png")
    expect(check_of(page, "8 m")).to_have_count(1)


def test_a_wrong_point_is_named_and_corrected(page: Page, live: str, table: Path) -> None:
    open_at(page, live)
    for number in (0, 1, 3, 4, 5):
        mark_ground(page, number)
    mark_ground(page, 2, "12")
    expect(check_of(page, "12 m")).to_have_text(re.compile(r"^says 12 m, the others (4\.\d|5\.\d) m"))
    expect(page.locator("#overlay .off text")).to_contain_text("says 12 m")
    expect(check_of(page, "7 m")).to_have_class("good")
    click_pole(page, 2)
    press(page, "5{Enter}")
    expect(page.locator("#marks .off")).to_have_count(0)
    expect(page.locator("#marks button", has_text=re.compile(r"^5 m: [+-]?0\.\d m$"))).to_have_count(1)


def test_mistakes_are_explained_beside_the_mark_and_nothing_is_lost(page: Page, live: str, table: Path) -> None:
    open_at(page, live)
    error = page.locator("#error")
    click_pole(page, 0)
    for typed, reason in (
        ("", "type the distance"),
        ("420", "probably 42.0"),
        ("0", "more than 0 m"),
        ("4x", "is not a number"),
    ):
        page.get_by_label("distance").fill(typed)
        press(page, "{Enter}")
        expect(error).to_contain_text(reason)
        expect(page.get_by_label("distance")).to_have_value(typed)
    page.get_by_label("distance").fill("2.5")
    press(page, "{Enter}")
    expect(page.locator("#editor")).to_be_hidden()
    press(page, "p")
    click_pole(page, 1)
    click_pole(page, 1, 1.2)
    page.get_by_label("lower mark").fill("1,5")
    press(page, "{Enter}")
    expect(error).to_contain_text("two marks are at the same height, 1.5 m")
    page.get_by_label("lower mark").fill("2")
    press(page, "{Enter}")
    expect(error).to_contain_text("as if the pole stood upside down")
    # Another photograph can wait until the pole is right, and it is still there.
    page.locator("[data-photograph='1']").click()
    expect(error).to_contain_text("upside down")
    expect(page.locator("#title")).to_contain_text("S01/a.png")
    page.get_by_label("lower mark").fill("0")
    page.locator("[data-photograph='1']").click()
    expect(page.locator("#title")).to_contain_text("S01/b.png")
    assert [one.kind.value for one in saved(table)] == ["ground", "pole"]


def test_zoom_and_pan_make_clicks_exact(page: Page, live: str, table: Path) -> None:
    open_at(page, live)
    whole = page.locator("#still").bounding_box()
    assert whole is not None
    page.mouse.move(whole["x"] + 0.7 * whole["width"], whole["y"] + 0.6 * whole["height"])
    for _ in range(8):
        page.mouse.wheel(0, -100)
    page.wait_for_function(f"document.getElementById('still').getBoundingClientRect().width > {2 * whole['width']}")
    zoomed = page.locator("#still").bounding_box()
    assert zoomed is not None
    # The place under the pointer stays there.
    assert zoomed["x"] + 0.7 * zoomed["width"] == pytest.approx(whole["x"] + 0.7 * whole["width"], abs=2)
    # A drag moves the picture and marks nothing.
    page.mouse.down()
    page.mouse.move(whole["x"] + 0.7 * whole["width"] - 80, whole["y"] + 0.6 * whole["height"], steps=4)
    page.mouse.up()
    expect(page.locator("#editor")).to_be_hidden()
    click(page, 0.75, 0.62)
    press(page, "6{Enter}")
    expect(page.locator("#marks button")).to_have_count(1)
    (mark,) = saved(table)
    assert (mark.lowest.x, mark.lowest.y) == pytest.approx((0.75, 0.62), abs=0.001)
    press(page, "0")
    page.wait_for_function(f"document.getElementById('still').getBoundingClientRect().width < {whole['width'] + 1}")


def test_a_damaged_photo_is_explained_and_others_work(page: Page, live: str) -> None:
    page.goto(f"{live}&photograph=2")
    expect(page.locator("#nopicture")).to_contain_text("not a picture that can be read")
    expect(page.locator("[data-photograph='2'] .count")).to_have_text("can't be marked")
    press(page, "n")
    expect(page.locator("#editor")).to_be_hidden()
    press(page, "j")
    expect(page.locator("#title")).to_contain_text("S02/c.png")
    mark_ground(page, 3)


def test_two_tabs_do_not_overwrite_each_other(page: Page, live: str, table: Path) -> None:
    open_at(page, live)
    other = page.context.new_page()
    open_at(other, live)
    mark_ground(page, 0)
    click_pole(other, 1)
    press(other, "3{Enter}")
    expect(other.locator("#message")).to_contain_text("another tab has changed the marks since")
    expect(other.locator("#marks button")).to_have_count(1)
    press(other, "{Enter}")
    expect(other.locator("#marks button")).to_have_count(2)
    assert [one.distance_m for one in saved(table)] == [2.5, 3.0]
    # What one tab edits may move to another line because of the other.
    click_pole(other, 1)
    press(other, "3.5")
    page.reload()
    page.wait_for_load_state("networkidle")
    page.locator("#marks button").first.click()
    press(page, "{Delete}")
    expect(page.locator("#marks button")).to_have_count(1)
    press(other, "{Enter}")
    expect(other.locator("#message")).to_contain_text("another tab")
    press(other, "{Enter}")
    expect(other.locator("#marks button")).to_have_text(["3.5 m"])
    assert [one.distance_m for one in saved(table)] == [3.5]


def test_on_a_phone_the_page_is_as_wide_as_the_screen(page: Page, live: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    open_at(page, live)
    mark_ground(page, 1)
    click_pole(page, 4)
    form = page.locator("#editor").bounding_box()
    assert form is not None
    assert form["x"] >= 0
    assert form["x"] + form["width"] <= 360
    save = page.get_by_role("button", name="save").bounding_box()
    assert save is not None
    assert save["height"] >= 40
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_marks_survive_kill_9(page: Page, serve: Callable[..., Server], setup: Path, table: Path) -> None:
    server = serve(setup, "--site", "folder:1", "--out", table)
    open_at(page, server.url)
    mark_ground(page, 0)
    expect(page.locator("#photographs [aria-current] .count")).to_have_text("1 mark")
    server.kill()
    click_pole(page, 1)
    press(page, "3{Enter}")
    expect(page.locator("#message")).to_contain_text("NOT SAVED: the server has stopped")
    expect(page.get_by_label("distance")).to_have_value("3")
    press(page, "{Escape}")
    server = serve(setup, "--site", "folder:1", "--out", table)
    open_at(page, server.url)
    expect(page.locator("#marks button")).to_have_count(1)
    mark_ground(page, 1)
    assert server.stop() == 0
    assert [one.distance_m for one in saved(table)] == [2.5, 3.0]


def test_a_wrong_token_shows_nothing(page: Page, live: str) -> None:
    for address in (live.replace("the-token", "wrong"), live.split("?", maxsplit=1)[0]):
        response = page.goto(address)
        assert response is not None
        assert response.status == 403
        assert "S01" not in page.content()
