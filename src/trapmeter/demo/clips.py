"""Where the demo's clips and their truth lie, and how they are measured."""

from __future__ import annotations

from pathlib import Path

from trapmeter.predict.settings import PredictSettings
from trapmeter.tables.sites import CsvSite

CLIPS = Path(__file__).parent / "videos"
"""Videos with truth.csv (distance of every animal and second) and videos.csv (the site of each video)."""

TRUTH = CLIPS / "truth.csv"


def demo_settings(out: Path, jobs: int) -> PredictSettings:
    """A run over the clips that is compared with their truth; anew each time, so that it always shows the whole way."""
    return PredictSettings(
        paths=(CLIPS,),
        out=out,
        site=CsvSite(CLIPS / "videos.csv"),
        truth=TRUTH,
        jobs=jobs,
        overwrite=True,
    )
