"""`import trapmeter` offers what `__all__` says, and the documentation explains each name."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import trapmeter
from trapmeter.records import Box, Distance, Estimate, Observation, Status

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", trapmeter.__all__)
def test_a_public_name_loads_and_is_documented(name: str) -> None:
    written = getattr(trapmeter, name)
    assert written.__doc__
    page = (ROOT / "docs/reference/python.md").read_text()
    assert f"### {name}\n\n::: {written.__module__}.{written.__qualname__}\n" in page


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "src/trapmeter/__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    stated = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert stated == {name: f"trapmeter.{home}" for name, home in trapmeter._HOMES.items()}


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = trapmeter.nothing


def test_importing_loads_nothing_else() -> None:
    code = "import sys, trapmeter; print([m for m in sys.modules if m.startswith('trapmeter.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['trapmeter._version']"


def test_a_frame_has_a_row_for_each_estimate() -> None:
    pytest.importorskip("pandas")
    seen = Observation("a.mp4", 1.0, Box(0.1, 0.2, 0.3, 0.4, 0.9), animal_id=1, site_id="S1")
    draws = tuple(float(metres) for metres in range(1, 11))
    estimates = [
        Estimate(seen, Status.MEASURED, Distance(5.125, 2.0, 9.0, draws), angle_deg=-3.0, model_id="model"),
        Estimate(Observation("a.mp4", 2.0), Status.NO_ANIMAL),
    ]
    table = trapmeter.to_frame(estimates)
    assert table["distance_m"].tolist()[0] == 5.125
    assert table["distance_m"].isna().tolist() == [False, True]
    assert table.loc[0, ["x1", "y2", "score", "q05_m", "q95_m", "angle_deg"]].tolist() == [0.1, 0.4, 0.9, 1, 10, -3]
    assert table["site_id"].tolist() == ["S1", ""]
    assert table["status"].tolist() == ["measured", "no_animal"]


def test_a_frame_of_nothing_has_the_columns() -> None:
    pytest.importorskip("pandas")
    assert trapmeter.to_frame([]).empty
    assert "distance_m" in trapmeter.to_frame([]).columns
