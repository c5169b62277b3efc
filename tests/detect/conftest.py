"""Fixtures for detection: the detector, and the published weights if they can be downloaded."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from trapmeter.detect.megadetector_lite import EMBEDDED, MegadetectorLite
from trapmeter.detect.precision import DetectorPrecision

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", params=DetectorPrecision)
def detector(request: pytest.FixtureRequest) -> MegadetectorLite:
    return MegadetectorLite.load(EMBEDDED[request.param])


@pytest.fixture(scope="session")
def eager_detector() -> MegadetectorLite:
    """The published detector with a low threshold, so that there are many boxes to compare."""
    return MegadetectorLite.load(EMBEDDED[DetectorPrecision.FLOAT32], min_score=0.01)


@pytest.fixture(scope="session")
def convert() -> ModuleType:
    """The conversion script as a module; needs torch and onnx."""
    for package in ("torch", "onnx"):
        pytest.importorskip(package)
    path = ROOT / "tools" / "convert_megadetector_lite.py"
    if not path.exists():
        pytest.skip(f"the conversion script is missing: {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def wheel(convert: ModuleType, pytestconfig: pytest.Config) -> Path:
    """The published wheel, kept in pytest's cache; skipped if PyPI can't be reached."""
    folder = pytestconfig.cache.mkdir("zamba-wheel")
    path = folder / "zamba-2.7.2-py3-none-any.whl"
    if not (path.exists() and _sha256(path) == convert.WHEEL_SHA256):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(folder),
            convert.ZAMBA,
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=3000)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"{convert.ZAMBA} cannot be downloaded: {getattr(error, 'stderr', '') or error}")
    assert _sha256(path) == convert.WHEEL_SHA256
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
