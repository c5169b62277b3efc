"""Starting up is light, and nothing but a pull goes to the network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trapmeter.demo.clips import CLIPS

pytestmark = pytest.mark.slow

WATCHED = Path(__file__).parent / "unbreakable/watched"

HEAVY = {
    *("numpy", "scipy", "av", "PIL", "cv2", "onnxruntime", "torch", "matplotlib", "lightgbm", "onnx", "openvino"),
    *("pandas", "jinja2", "pebble", "pydantic", "ray", "fsspec"),
    *("ssl", "http", "email", "multiprocessing", "sqlite3"),
}
"""Packages that take long to load and that no text needs."""

SHOW = "import sys; from trapmeter.cli import main; sys.argv = ['trapmeter', *{0!r}]"


def loaded(code: str) -> set[str]:
    """The packages that are loaded once the code has run, even if it ends by itself."""
    script = f"import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize(
    "code",
    ["import trapmeter", *(f"{SHOW.format(arguments)}; main()" for arguments in (["--help"], ["--version"], ["-h"]))],
    ids=["import", "--help", "--version", "-h"],
)
def test_neither_import_nor_help_loads_anything_heavy(code: str) -> None:
    modules = loaded(code)
    assert "trapmeter" in modules
    assert not HEAVY & modules


def test_the_help_of_predict_loads_no_models_and_no_pictures() -> None:
    modules = loaded(f"{SHOW.format(['predict', '--help'])}; main()")
    # filelock loads asyncio, and with it ssl and others of the standard library.
    assert not (HEAVY - {"numpy", "multiprocessing", "ssl", "http", "email"}) & modules


def watched(tmp_path: Path, *arguments: object) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """A call without a network, and what asked for one, in the process or its workers."""
    log = tmp_path / "asked"
    log.touch()
    environment = {**os.environ, "TRAPMETER_WATCHED": str(log), "TRAPMETER_MODELS": str(tmp_path / "models")}
    environment["PYTHONPATH"] = os.pathsep.join([str(WATCHED), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "trapmeter.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=3000,
    )
    return done, log.read_text().splitlines()


def test_predict_and_report_ask_for_no_network(tmp_path: Path) -> None:
    clip = CLIPS / "bmnq4208.mp4"
    done, asked = watched(tmp_path, "predict", clip, "--out", tmp_path / "out", "--every", 4, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/report.html").exists()
    assert asked == []
    done, asked = watched(tmp_path, "models", "list")
    assert done.returncode == 0, done.stderr
    assert asked == []


def test_a_pull_does_ask_for_it(tmp_path: Path) -> None:
    registry = tmp_path / "mine.toml"
    registry.write_text(
        '[mine]\nurls = ["http://127.0.0.1:9/mine.zip"]\nformat = "bundle"\nlicence = "MIT"\ntrained_on = "nothing"\n'
    )
    done, asked = watched(tmp_path, "models", "pull", "mine", "--registry", registry)
    assert done.returncode == 2
    assert any(event.startswith("socket.") for event in asked)
