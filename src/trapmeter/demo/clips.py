"""The demo's clips with their true distances, and the settings of each distance method's run."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trapmeter.errors import RunError
from trapmeter.files import atomic_file
from trapmeter.prediction.settings import PredictSettings
from trapmeter.tables.boxcells import COORDINATES
from trapmeter.tables.distances import DISTANCES_CSV, JOURNAL
from trapmeter.tables.site_rules import CsvSite
from trapmeter.tables.truth import TruthRow

CLIPS = Path(__file__).parent / "videos"
"""Videos with truth.csv (distance of every animal and second) and videos.csv (the site of each video)."""

TRUTH = CLIPS / "truth.csv"

POINTS = CLIPS / "reference_points.csv"
"""Six reference points at each of three sites; `benchmarks/demo_points.py` made them."""

SURVEY = Path(__file__).parent / "survey"
"""The further inputs of `trapmeter density`: invented deployments, and settings."""

BOXES = "boxes.csv"
"""In the demo's folder: the true box of every visible animal."""

NETWORK = Path(__file__).parent / "network"
"""A small network that was trained on 32 rendered sites, none of them in the clips."""

TRAINING_MEDIAN_M = 5.5
"""Median of the training labels, both of the box model (24,291 real and rendered ones) and of the network (1,452)."""


def demo_settings(out: Path, jobs: int | None) -> PredictSettings:
    """Detector and box model on the clips, compared with the truth. The run always starts over, to show every step.

    Raises:
        RunError: out holds the results of another run.
    """
    if (out / JOURNAL).exists() and not _holds_demo(out):
        raise RunError(f"{out}: holds the results of another run than the demo's; choose another --out")
    return PredictSettings(
        paths=(CLIPS,),
        out=out,
        site=CsvSite(CLIPS / "videos.csv"),
        truth=TRUTH,
        jobs=jobs,
        overwrite=True,
    )


def drawn_settings(demo: PredictSettings) -> PredictSettings:
    """The box model on every visible animal, with the boxes that `write_boxes` wrote into the demo's folder.

    Raises:
        RunError: the folder holds another run.
    """
    return replace(demo_settings(demo.out / "all-animals", demo.jobs), boxes=demo.out / BOXES)


def network_settings(box_run: PredictSettings) -> PredictSettings:
    """The network on the same animals as `box_run`: its input boxes, or those that its detector found.

    Raises:
        RunError: the folder holds another run.
    """
    settings = demo_settings(box_run.out / "network", box_run.jobs)
    return replace(settings, boxes=box_run.boxes or box_run.out / DISTANCES_CSV, models=(NETWORK,), flip=True)


def write_boxes(truth: Sequence[TruthRow], path: Path) -> None:
    """Writes the boxes of visible animals as a table in DrivenData's metadata format, with a probability of 1."""
    with atomic_file(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("video_id", "time", *COORDINATES, "probability"))
        for row in truth:
            if row.box is not None:
                table.writerow((row.video_id, row.time_s, *(getattr(row.box, name) for name in COORDINATES), 1))


def write_survey(out: Path) -> Path:
    """Copies deployments and settings beside the demo's distances, for `trapmeter density --config`; returns the settings."""
    for file in SURVEY.iterdir():
        shutil.copyfile(file, out / file.name)
    return out / "survey.toml"


def _holds_demo(out: Path) -> bool:
    with (out / JOURNAL).open(encoding="utf-8") as file:
        try:
            return bool(json.loads(file.readline())["settings"]["root"] == str(CLIPS))
        except (ValueError, KeyError, TypeError):
            return False
