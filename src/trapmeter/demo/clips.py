"""Where the demo's clips and their truth lie, and how they are measured."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from trapmeter.errors import RunError
from trapmeter.predict.settings import JOURNAL, PredictSettings
from trapmeter.tables.distances import DISTANCES_CSV as DISTANCES
from trapmeter.tables.site_rules import CsvSite

CLIPS = Path(__file__).parent / "videos"
"""Videos with truth.csv (distance of every animal and second) and videos.csv (the site of each video)."""

TRUTH = CLIPS / "truth.csv"

SURVEY = Path(__file__).parent / "survey"
"""What `trapmeter density` needs besides the clips' distances: invented deployments, and settings."""

NETWORK = Path(__file__).parent / "network"
"""A small network that learned from 32 rendered sites, none of them the clips'."""


def demo_settings(out: Path, jobs: int) -> PredictSettings:
    """A run over the clips that is compared with their truth; anew each time, so that it always shows the whole way.

    Raises:
        RunError: out holds another run, which the demo would overwrite.
    """
    if (out / JOURNAL).exists() and not _holds_demo(out):
        raise RunError(f"{out}: holds the results of a run that is not the demo's; choose another --out")
    return PredictSettings(
        paths=(CLIPS,),
        out=out,
        site=CsvSite(CLIPS / "videos.csv"),
        truth=TRUTH,
        jobs=jobs,
        overwrite=True,
    )


def network_settings(demo: PredictSettings) -> PredictSettings:
    """The same clips and animals once more, measured by the network: boxes as the demo's first run found them.

    Raises:
        RunError: the folder holds another run.
    """
    again = demo_settings(demo.out / "network", demo.jobs)
    return replace(again, boxes=demo.out / DISTANCES, models=(NETWORK,), flip=True)


def write_survey(out: Path) -> Path:
    """Puts deployments and settings beside the demo's distances, for `trapmeter density --config`; returns the settings."""
    for file in SURVEY.iterdir():
        shutil.copyfile(file, out / file.name)
    return out / "survey.toml"


def _holds_demo(out: Path) -> bool:
    with (out / JOURNAL).open(encoding="utf-8") as file:
        try:
            return bool(json.loads(file.readline())["settings"]["root"] == str(CLIPS))
        except (ValueError, KeyError, TypeError):
            return False
