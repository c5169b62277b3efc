"""Pages in Chromium, driven by Playwright: what the tests of review and points share."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = playwright.expect
TIMEOUT_MS = 600_000  # generous: a loaded machine must not fail the tests
expect.set_options(timeout=TIMEOUT_MS)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PLAYWRIGHT_STYLE = "Applying inline style violates"
"""Playwright's own screenshots and scrolling cause this error, since the content policy forbids inline styles."""


def at(page: Page, row: int) -> None:
    """Waits until a row is on display."""
    expect(page).to_have_url(re.compile(rf"[?&]row={row}\b"))
    expect(page.locator(f"#row-{row} button")).to_have_attribute("aria-current", "true")


def open_at(page: Page, address: str, row: int, query: str = "") -> None:
    page.goto(f"{address}&row={row}{query}")
    at(page, row)
    expect(page.locator("#overlay g").first).to_be_attached()


def press(page: Page, keys: str) -> int:
    """Presses keys one after the other, with names in braces; returns their number."""
    pressed = re.findall(r"\{(.+?)\}|(.)", keys)
    for name, character in pressed:
        page.keyboard.press(name or character)
    return len(pressed)
