"""What the user asks of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from trapmeter.calibration.lens import TRAINED_HFOV_DEG
from trapmeter.detect.precision import DetectorPrecision
from trapmeter.errors import InputError
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.storage.address import AnyPath, RemotePath, parse_path
from trapmeter.storage.publish import FolderLayout
from trapmeter.tables.site_rules import CsvSite, NoSite, SiteRule, format_site_rule, parse_site_rule

JOURNAL = "seen.jsonl"
"""What was seen in each medium, in the folder of results."""

RESULTS_LAYOUT = FolderLayout(journal=JOURNAL, last=("distances.csv", "run.json"), local_only="unpacked")
"""Of the folder of results, where it goes to object storage: who finds a run.json finds all of a run."""

_NO_SITE = NoSite()


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """The arguments of `trapmeter predict`."""

    paths: tuple[AnyPath, ...]
    """Files and folders to look through, or addresses; none with a store."""
    out: Path
    """The folder for the results; a run that was broken off there goes on."""
    every_s: float = 1.0
    """Seconds from one moment to the next, where no times are given."""
    times: Path | None = None
    """A CSV file of video_id and time: these seconds and no others."""
    boxes: Path | None = None
    """A table of animals' boxes in place of a detector."""
    site: SiteRule = _NO_SITE
    """How a medium's site is told."""
    detector: DetectorPrecision = DetectorPrecision.INT8
    """Which of the embedded detectors looks for animals."""
    min_score: float | None = None
    """Boxes that score less don't count; None: the detector's default, 0.2 for MegaDetector's JSON, 0 for other tables."""
    hfov_deg: float | None = None
    """The horizontal field of view of all cameras that the table of cameras doesn't tell of; None is not known."""
    cameras: Path | None = None
    """A table of cameras' facts by site."""
    exif: bool = False
    """Believe the field of view in photos' EXIF, where nobody tells another."""
    trained_hfov_deg: float = TRAINED_HFOV_DEG
    """The field of view of the cameras that the models learnt from."""
    species: str | None = None
    """The species of all animals, or the path of a table."""
    shoulder_m: float | None = None
    """The shoulder height of all animals in metres."""
    truth: Path | None = None
    """Known distances to compare with in the report."""
    places: Path | None = None
    """Where the sites are, for the report's map."""
    box_model: Path | None = None
    """A box model's folder; None is the embedded one."""
    models: tuple[Path, ...] = ()
    """Folders of network bundles that answer in place of the box model; several are an ensemble."""
    blend: Path | None = None
    """A file of `trapmeter blend`: networks and box model answer together."""
    flip: bool = False
    """Ask each network about the mirror image too."""
    runtime: Runtime = Runtime.AUTO
    """What runs the networks."""
    detect: bool = True
    """Look for animals where no table of boxes is given; else each second is answered as a whole, by networks alone."""
    store: Path | None = None
    """A frame store in place of videos, for networks at the seconds of times."""
    jobs: int = 1
    """Worker processes."""
    overwrite: bool = False
    """Forget what an earlier run left in out."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.every_s) and self.every_s >= 0.001):
            raise InputError(f"--every is a number of seconds of at least 0.001, got {self.every_s:g}")
        if self.min_score is not None and not 0.0 <= self.min_score <= 1.0:
            raise InputError(f"--min-score lies in 0..1, got {self.min_score:g}")
        for option, degrees in (("--hfov", self.hfov_deg), ("--trained-hfov", self.trained_hfov_deg)):
            if degrees is not None and not 5.0 <= degrees <= 170.0:
                raise InputError(f"{option} lies between 5 and 170 degrees, got {degrees:g}")
        if self.models and self.box_model is not None and self.blend is None:
            raise InputError("--model and --box-model exclude each other: give one of them, or a --blend of both")
        if self.blend is not None and not self.models:
            raise InputError("--blend goes with networks: give those that it was learnt with, with --model")
        if not self.models and (
            self.flip or not self.detect or self.store is not None or self.runtime is not Runtime.AUTO
        ):
            raise InputError(
                "--flip, --runtime, --no-detect and --store go with networks: give one or more with --model"
            )
        if self.store is not None and (self.paths or self.times is None):
            raise InputError("--store takes the place of videos: give --times with it, and no other path")
        if self.jobs < 1:
            raise InputError(f"--jobs is at least 1, got {self.jobs}")

    def to_json(self) -> dict[str, Any]:
        """The arguments as plain values; `from_json` is the inverse."""
        plain = {field.name: _to_plain(getattr(self, field.name)) for field in fields(self)}
        return {**plain, "site": format_site_rule(self.site)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> PredictSettings:
        """The inverse of `to_json`; InputError, ValueError, KeyError or TypeError when it is something else."""
        paths = {"paths": tuple(map(parse_path, data["paths"])), "models": tuple(map(Path, data["models"]))}
        path = {name: None if data[name] is None else Path(data[name]) for name in PATH_FIELDS}
        kinds = {
            "site": parse_site_rule(data["site"]),
            "detector": DetectorPrecision(data["detector"]),
            "runtime": Runtime(data["runtime"]),
        }
        return PredictSettings(**{**data, **paths, **path, **kinds})

    def with_absolute_paths(self) -> PredictSettings:
        """The same with whole paths, for processes that were started in another folder."""
        here = Path.cwd()
        whole: dict[str, Any] = {name: here / path for name in PATH_FIELDS if (path := getattr(self, name)) is not None}
        if isinstance(self.site, CsvSite):
            whole["site"] = CsvSite(here / self.site.path)
        if self.species is not None and Path(self.species).is_file():
            whole["species"] = str(here / self.species)
        models = tuple(here / path for path in self.models)
        return replace(self, paths=tuple(path.absolute() for path in self.paths), models=models, **whole)


PATH_FIELDS = ("out", "times", "boxes", "cameras", "truth", "places", "box_model", "blend", "store")
"""The arguments that are a single path."""


def _to_plain(value: Any) -> Any:
    if isinstance(value, Path | RemotePath):
        return str(value)
    return [_to_plain(item) for item in value] if isinstance(value, tuple) else value
