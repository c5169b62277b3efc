"""The documentation is true: its commands run, its reference is up to date, its links lead somewhere."""

import importlib.util
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from density.surveys import flat_text, write_distances_survey, write_photograph_survey
from packages import bbox, medium, observation, write_package
from trapmeter.cli import main
from trapmeter.demo.clips import CLIPS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


QUICKER = {"evaluate": ("--simulated", "20"), "train": ("--simulated", "20")}
"""Added to the box model's commands, whose usual number of simulated sites takes minutes."""


def commands(page: Path) -> list[list[str]]:
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line)[1:] for line in lines if line.startswith(("$ trapmeter", "trapmeter"))]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the pages' commands name in capitals."""
    site = tmp_path / "VIDEOS/S01"
    site.mkdir(parents=True)
    shutil.copy(CLIPS / "bmnq4208.mp4", site / "a.mp4")
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / "MEGADETECTOR_JSON").write_text(
        '{"info": {"format_version": "1.4"}, "detection_categories": {"1": "animal"}, "images": [{"file": "S01/a.mp4", '
        '"frame_rate": 10, "frames_processed": [0, 10], '
        '"detections": [{"category": "1", "conf": 0.8, "bbox": [0.4, 0.7, 0.2, 0.2], "frame_number": 10}]}]}'
    )
    pytest.importorskip("onnx")
    from detector_networks import make_detector

    make_detector(tmp_path / "DETECTOR_ONNX", "yolov10")
    (tmp_path / "TIMES_CSV").write_text("video_id,time,distance\na.mp4,1,0\na.mp4,90,0\n")
    (tmp_path / "TRUTH_CSV").write_text("video_id,time,distance\na.mp4,1,5\na.mp4,2,5\n")
    (tmp_path / "LABELS_CSV").write_text("video_id,time,distance\na.mp4,2,5\n")
    (tmp_path / "POINTS_CSV").write_text(
        "site_id,x,y,width,height,distance_m\nS01,500,600,1280,720,3\nS01,700,400,1280,720,6\nS01,600,330,1280,720,10\n"
    )
    (tmp_path / "STARTS_CSV").write_text("media_id,start\nS01/a.mp4,2024-05-01T06:00:00\n")
    (tmp_path / "DEPLOYMENTS_CSV").write_text(
        "site_id,start,end,latitude,longitude\nS01,2024-05-01,2024-05-11,-6.5,12.25\n"
    )
    (tmp_path / "SPECIES_CSV").write_text("site_id,species\nS01,red river hog\n")
    (tmp_path / "CAMERAS_CSV").write_text("site_id,focal_35mm,height_m,pitch_deg\nS01,43,1.0,-8\n")
    (tmp_path / "PLACES_CSV").write_text("site_id,latitude,longitude\nS01,-6.5,12.25\n")
    (tmp_path / "TABLES").mkdir()
    rng = np.random.default_rng(0)
    labels, metadata = ["video_id,time,distance"], ["video_id,time,x1,y1,x2,y2,probability,park,site_id"]
    for video in range(36):
        for second in range(0, 20, 2):
            metres = float(rng.uniform(2, 15))
            size = min(0.8, 1.2 / metres)
            labels.append(f"{video}.mp4,{second},{metres:.1f}")
            metadata.append(f"{video}.mp4,{second},0.1,{0.9 - size:.3f},{0.1 + size:.3f},0.9,0.8,park,s{video % 12}")
    (tmp_path / "TABLES/train_labels.csv").write_text("\n".join(labels))
    (tmp_path / "TABLES/train_metadata.csv").write_text("\n".join(metadata))
    (tmp_path / "FLAT_CSV").write_text(flat_text())
    head, *lines = flat_text().splitlines()
    groups = [
        f"{line},{'dry' if n % 3 else 'wet'},{'ant' if n % 2 else 'bee'},{1 + n % 4}" for n, line in enumerate(lines)
    ]
    (tmp_path / "GROUPS_CSV").write_text("\n".join([f"{head},season,species,size", *groups]) + "\n")
    write_distances_survey(tmp_path / "survey")
    write_photograph_survey(tmp_path / "PHOTOGRAPHS", retrigger_s=15.0, n_visits=30)
    (tmp_path / "SURVEY_TOML").write_text(
        'file = "survey/distances.csv"\ndeployments = "survey/deployments.csv"\nerrors = "deep-chimpact"\n'
        'key = "half-normal"\ncutpoints = [0, 2, 4, 6, 8, 10]\nbootstrap = 50\n'
    )
    row = observation("o1", "m1", eventStart="2024-05-02T06:00:01Z", **bbox(0.4, 0.7, 0.2, 0.2))
    write_package(tmp_path / "CAMTRAP_DP", media=[medium("m1", "media/a.mp4")], observations=[row])
    (tmp_path / "CAMTRAP_DP/media").mkdir()
    shutil.copy(CLIPS / "bmnq4208.mp4", tmp_path / "CAMTRAP_DP/media/a.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())


def test_there_is_something_to_try() -> None:
    for found in (commands, python_examples, links):
        assert any(found(page) for page in PAGES), found.__name__


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda page: page.name)
def test_commands_run(page: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in commands(page):
        monkeypatch.setattr(sys, "argv", ["trapmeter", *command, *QUICKER.get(command[1], ())])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, command
        # What is made within results stands where they are.
        written = world / (command[command.index("--out") + 1] if "--out" in command else command[1])
        assert written.is_file() or any(written.iterdir()), command


def python_examples(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if python_examples(p)], ids=lambda page: page.name)
def test_python_examples_run(page: Path, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in python_examples(page):
        exec(code, {})
        assert capsys.readouterr().out.strip()


def test_the_reference_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("write_reference", ROOT / "tools/write_reference.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for path, text in tool.pages():
        assert path.read_text() == text, "run python tools/write_reference.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_navigation() -> None:
    config = tomllib.loads((ROOT / "zensical.toml").read_text())
    assert set(nav_pages(config["project"]["nav"])) == {str(page.relative_to(ROOT / "docs")) for page in PAGES[1:]}


def nav_pages(entry: object) -> list[str]:
    if isinstance(entry, dict):
        entry = list(entry.values())
    return [page for part in entry for page in nav_pages(part)] if isinstance(entry, list) else [str(entry)]


def test_every_column_and_status_is_explained() -> None:
    from trapmeter.records import Status
    from trapmeter.tables.distances import COLUMNS

    text = (ROOT / "docs/reference/distances.md").read_text()
    for name in (*COLUMNS, *Status):
        assert f"`{name}`" in text, name


def test_every_setting_and_field_of_density_is_explained() -> None:
    from dataclasses import fields

    from trapmeter.density.results import CSV_COLUMNS
    from trapmeter.density.settings import DensitySettings

    text = (ROOT / "docs/reference/density.md").read_text()
    for name in (*(field.name for field in fields(DensitySettings)), *CSV_COLUMNS):
        assert f"`{name}`" in text, name
