"""Fixtures for all tests: the folder of shared data, and clips in which every picture shows its own number."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# The time that a case takes depends more on the machine than on the code.
settings.register_profile("trapmeter", deadline=None)
settings.load_profile("trapmeter")

SHARED = Path(__file__).parents[1].parent / "shared"
MakeClip = Callable[..., Path]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared data at {SHARED}")
    return SHARED


def numbered_picture(number: int, width: int = 160, height: int = 96) -> np.ndarray:
    """A picture that shows a number below 1024 as ten large black or white patches, which survive any codec."""
    picture = np.full((height, width, 3), 90, np.uint8)
    for bit in range(10):
        row, column = divmod(bit, 5)
        value = 235 if number >> bit & 1 else 20
        patch = picture[row * height // 2 : (row + 1) * height // 2, column * width // 5 : (column + 1) * width // 5]
        patch[:] = value
    return picture


def number_in(pixels: np.ndarray) -> int:
    """The number that `numbered_picture` drew."""
    height, width = pixels.shape[:2]
    number = 0
    for bit in range(10):
        row, column = divmod(bit, 5)
        y, x = (2 * row + 1) * height // 4, (2 * column + 1) * width // 10
        number |= int(pixels[y - 3 : y + 3, x - 3 : x + 3].mean() > 128) << bit
    return number


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> MakeClip:
    """Makes a clip of numbered pictures: make_clip(name, pts=[...]) or n=, rate=, codec=, options=."""
    folder = tmp_path_factory.mktemp("clips")

    def make(
        name: str,
        *,
        n: int = 60,
        rate: Fraction | int = 15,
        codec: str = "libx264",
        pts: list[int] | None = None,
        time_base: Fraction | None = None,
        options: dict[str, str] | None = None,
        pix_fmt: str = "yuv420p",
        size: tuple[int, int] = (160, 96),
    ) -> Path:
        path = folder / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, options=options or {})
            stream.width, stream.height = size
            stream.pix_fmt = pix_fmt
            base = time_base or 1 / Fraction(rate)
            stream.codec_context.time_base = base
            for number in range(n if pts is None else len(pts)):
                frame = av.VideoFrame.from_ndarray(numbered_picture(number, *size), format="rgb24")
                frame.pts = number if pts is None else pts[number]
                frame.time_base = base
                for packet in stream.encode(frame):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
        return path

    return make


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from review_browser import CHROMIUM, TIMEOUT_MS, playwright

    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], timeout=TIMEOUT_MS
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab; an error in its console fails the test."""
    from review_browser import PLAYWRIGHT_STYLE, TIMEOUT_MS

    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(TIMEOUT_MS)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page = context.new_page()
    yield page
    context.close()
    # The browser also reports responses by which the server refuses a request on purpose.
    assert [text for text in errors if PLAYWRIGHT_STYLE not in text and "Failed to load resource" not in text] == []


@pytest.fixture(autouse=True)
def trace_of_a_crash(pytestconfig: pytest.Config) -> None:
    """Shows where a crash happened: Ray replaces pytest's handlers, and its own trace goes to the captured output."""
    descriptor = pytestconfig.stash.get(fault_handler_stderr_fd_key, None)
    if descriptor is not None:
        faulthandler.enable(descriptor)
