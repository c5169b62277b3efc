"""Imports run one way, and starting up is light."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import trapmeter
from trapmeter.demo.clips import CLIPS, NETWORK

ROOT = Path(trapmeter.__file__).parent

# From the bottom to the top. A module may import from its own layer's package and from layers below.
LAYERS = [
    {"", "_version", "errors", "progress"},
    {"files", "settings"},
    {"storage"},
    {"records", "facts"},
    {"folds", "geometry", "metrics", "uncertainty", "windows", "parallel"},
    {"journal"},
    {"media", "tables", "models"},
    {"detect", "frames", "camera"},
    {"boxmodel"},
    {"calibration"},
    {"density", "export", "prediction", "training"},
    {"competition", "quantisation"},
    {"distillation"},
    {"report"},
    {"web"},
    {"demo", "marking", "review"},
    {"console"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "trapmeter":
            found |= {node.module} if node.module != "trapmeter" else {f"trapmeter.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "trapmeter"}
    return {name if room(name) in LEVEL else "trapmeter" for name in found}


def test_every_room_has_a_layer() -> None:
    rooms = {p.stem if p.suffix else p.name for p in ROOT.iterdir() if p.suffix in ("", ".py") and p.name[0] != "_"}
    assert rooms <= set(LEVEL)


def test_imports_run_one_way() -> None:
    wrong = []
    # What the package itself offers, it loads when it is asked for (test_public_names.py).
    for path in set(ROOT.rglob("*.py")) - {ROOT / "__init__.py"}:
        here = path.relative_to(ROOT).parts[0].removesuffix(".py").removeprefix("__init__")
        for module in imports(path):
            there = room(module)
            if there != here and LEVEL[there] >= LEVEL[here]:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert wrong == []


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()
    )


def test_start_up_is_light() -> None:
    heavy = {"torch", "pandas", "cv2", "scipy", "matplotlib", "onnxruntime", "av", "PIL", "jinja2", "ray", "fsspec"}
    assert not heavy & loaded_by("import trapmeter")
    assert not heavy & loaded_by("import trapmeter.cli")


EXTRAS = {"torch", "torchvision", "lightgbm", "onnx", "sklearn", "fastapi", "uvicorn", "ray"}
EXTRAS |= {"fsspec", "s3fs", "gcsfs", "aiohttp", "botocore"}


def test_the_command_line_needs_none_of_the_extras() -> None:
    assert not EXTRAS & loaded_by("from trapmeter.cli import make_app\nmake_app()")


def test_predicting_needs_none_of_the_extras() -> None:
    assert not EXTRAS & loaded_by(
        "import trapmeter.prediction.run, trapmeter.report.run_report, trapmeter.boxmodel.model"
    )


@pytest.mark.slow
def test_neither_predict_nor_its_workers_load_an_extra(tmp_path: Path) -> None:
    traps, log = tmp_path / "traps", tmp_path / "log.txt"
    traps.mkdir()
    for name in EXTRAS:
        trap = f"open({str(log)!r}, 'a').write({name!r} + chr(10))\nraise ImportError({name!r})\n"
        (traps / f"{name}.py").write_text(trap)
    clip = tmp_path / "clip.avi"
    shutil.copy(CLIPS / "gwcx6611.avi", clip)
    (tmp_path / "times.csv").write_text("video_id,time\nclip.avi,1\n")
    paths = os.pathsep.join([str(traps), str(ROOT.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "trapmeter.cli", "predict", clip, "--times", tmp_path / "times.csv"]
    command += ["--model", NETWORK, "--out", tmp_path / "out"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not log.exists(), log.read_text()
    # The traps do catch.
    subprocess.run(
        [sys.executable, "-c", "import torch"], env={"PYTHONPATH": str(traps)}, capture_output=True, check=False
    )
    assert log.read_text() == "torch\n"
