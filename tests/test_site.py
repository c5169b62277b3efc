"""The documentation builds as a site, with warnings as errors, and asks nothing of other hosts."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import trapmeter

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("zensical")
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    for name in ("docs", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("embedded", "videos", "__pycache__"))
    command = [Path(sys.executable).parent / "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert not {page for page in pages if not (site / page).exists()}


def test_the_python_reference_is_filled_in(site: Path) -> None:
    page = (site / "reference/python.html").read_text()
    assert ":::" not in page
    for name in ("PredictSettings", "predict", "to_frame"):
        assert f"{name}<" in page
    assert (trapmeter.read_distances.__doc__ or "")[:40] in page


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert pages
    for path in pages:
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](https?:[^\"']+)", path.read_text())
        assert not loaded, path
