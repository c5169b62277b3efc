"""Settings of a prediction run: declared once for the command line, Python and run.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from trapmeter.calibration.settings import HFOV_RANGE, FieldSettings
from trapmeter.detect.precision import DetectorPrecision, check_detector_file, parse_detector
from trapmeter.errors import InputError
from trapmeter.models.installed import find_model
from trapmeter.models.runtimes.choice import Runtime
from trapmeter.settings import Jobs, Parsed, Range, check_ranges, from_values
from trapmeter.storage.address import AnyPath, parse_path
from trapmeter.storage.publish import FolderLayout
from trapmeter.tables.clock_offsets import SiteOffset, format_site_offset, parse_site_offset
from trapmeter.tables.distances import JOURNAL
from trapmeter.tables.site_rules import CsvSite, NoSite, SiteRule, format_site_rule, parse_site_rule

RESULTS_LAYOUT = FolderLayout(journal=JOURNAL, last=("distances.csv", "run.json"), local_only="unpacked")
"""The output folder in object storage: a folder with a run.json holds a complete run."""

_NO_SITE = NoSite()


@dataclass(frozen=True, slots=True)
class PredictSettings(FieldSettings):
    """Settings of `trapmeter predict`."""

    paths: Annotated[tuple[AnyPath, ...], Parsed(parse_path)] = ()
    """Videos, photos, and folders of them (with all subfolders); or a Camtrap DP: its folder, zip or datapackage.json; or
    addresses such as s3://BUCKET/FOLDER or https://... (the extra `cloud`)."""
    _: KW_ONLY
    # As text until the run begins: a path would take the second slash out of an address.
    out: Annotated[Path, Parsed(Path), Parameter(name=("--out", "-o"))]
    """Folder for the results, created if it doesn't exist; or s3://BUCKET/FOLDER. An interrupted run resumes there."""
    every_s: Annotated[float, Parameter(name="--every"), Range(least=0.001, unit="seconds")] = 1.0
    """Measure every so many seconds of a video."""
    times: Path | None = None
    """Measure only at these seconds: a CSV file with video_id and time."""
    boxes: Path | None = None
    """Use the animals' boxes in this file instead of the detector: MegaDetector's JSON, DrivenData's metadata CSV or a
    distances.csv."""
    site: Annotated[SiteRule, Parsed(parse_site_rule, format_site_rule)] = _NO_SITE
    """How to find the site of a medium: folder:1 (top folder), folder:-1 (last), regex:(S[0-9]+), or a CSV file of media_id
    and site_id. A Camtrap DP states its own sites."""
    detector: Annotated[DetectorPrecision | Path, Parsed(parse_detector)] = DetectorPrecision.INT8
    """Which detector finds animals: the embedded one in 8 bits (int8) or as published (float32), which takes three times the
    processor time, or your own: the ONNX file of a MegaDetector or of another YOLO or RT-DETR detector."""
    min_score: Annotated[float | None, Range(least=0.0, most=1.0)] = None
    """Leave out boxes with a lower score. Default: 0.25; 0.2 for MegaDetector's JSON and for a detector of your own; 0 for
    other files. In videos, the embedded detector's boxes below it count too if something moves in them and the neighbouring
    seconds support them."""
    hfov_deg: Annotated[float | None, Parameter(name="--hfov"), HFOV_RANGE] = None
    """Horizontal field of view of the cameras, if --cameras doesn't state it."""
    exif: bool = False
    """Take the field of view from the EXIF data of photos, if nothing else states it: from the focal length, or else from
    make and model, for models in the table of cameras."""
    truth: Path | None = None
    """Known distances to compare with: DrivenData labels or a table with distance_m."""
    places: Path | None = None
    """Where the sites are, for the map in the report: a CSV file of site_id, latitude, longitude, or a Camtrap DP or its
    deployments.csv. A Camtrap DP that is measured states its own."""
    media_times: Path | None = None
    """When media were taken: a CSV file of media_id, start. Media that it doesn't name are dated by their Camtrap DP, their
    EXIF data, their container, or their name."""
    deployments: Path | None = None
    """When each camera stood where: a CSV file of site_id, start, end, and optionally clock_offset. Media from outside are
    named, and no event spans two deployments."""
    clock_offset: Annotated[tuple[SiteOffset, ...], Parsed(parse_site_offset, format_site_offset)] = ()
    """Add to the times of a camera whose clock was wrong: SITE=HH:MM:SS, such as S01=-01:00:00 or, for a clock that was never
    set, S01=8887d03:12:00. Give it several times for several sites; or fill in a column clock_offset of the deployments or
    the cameras."""
    burst_gap_s: Annotated[float, Parameter(name="--burst-gap"), Range(least=0.0, unit="seconds")] = 60.0
    """Photos and videos of a site that follow each other within this time are a sequence, through which an animal keeps its
    animal_id."""
    independence_min: Annotated[float, Parameter(name="--independence"), Range(least=0.0, unit="minutes")] = 30.0
    """Animals of a site that follow each other within this time are one event."""
    models: Annotated[tuple[Path, ...], Parsed(find_model), Parameter(name="--model")] = ()
    """Folder of a network's bundle, or the name of a downloaded one (`trapmeter models`), to use instead of the box model;
    give several for an ensemble."""
    blend: Path | None = None
    """File of `trapmeter blend`: combine networks and box model, each weighted by how good it is."""
    flip: bool = False
    """Run each network on the mirror image too."""
    runtime: Runtime = Runtime.AUTO
    """What runs the networks: onnxruntime, openvino (an extra), torch (for GPUs), or auto, which prints its choice."""
    detect: Annotated[bool, Parameter(negative="--no-detect")] = True
    """Find animals with the detector; with --no-detect the networks estimate one distance for each whole picture."""
    store: Path | None = None
    """Take the pictures for --times from this frame store: no video is opened and nothing is detected."""
    jobs: Jobs = None
    """Worker processes. Default: one per core of the machine or the cluster."""
    overwrite: bool = False
    """Delete the results of an earlier run and start over."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.own_detector is not None:
            check_detector_file(self.own_detector)
        if self.models and self.box_model is not None and self.blend is None:
            raise InputError("--model and --box-model exclude each other: give one of them, or --blend for both")
        if self.blend is not None and not self.models:
            raise InputError("--blend needs its networks: give them with --model")
        if not self.models and (
            self.flip or not self.detect or self.store is not None or self.runtime is not Runtime.AUTO
        ):
            raise InputError("--flip, --runtime, --no-detect and --store need networks: give one or more with --model")
        if self.store is not None and (self.paths or self.times is None):
            raise InputError("--store replaces the videos: give --times with it, and no paths")

    @property
    def own_detector(self) -> Path | None:
        """The ONNX file of the user's detector, None for the embedded one."""
        return self.detector if isinstance(self.detector, Path) else None

    def with_absolute_paths(self) -> PredictSettings:
        """The same settings for processes that were started in another folder."""
        here = Path.cwd()
        absolute: dict[str, Any] = {
            name: here / path for name in PATH_FIELDS if (path := getattr(self, name)) is not None
        }
        if isinstance(self.site, CsvSite):
            absolute["site"] = CsvSite(here / self.site.path)
        if self.species is not None and Path(self.species).is_file():
            absolute["species"] = str(here / self.species)
        if self.own_detector is not None:
            absolute["detector"] = here / self.own_detector
        return replace(
            self,
            paths=tuple(path.absolute() for path in self.paths),
            models=tuple(here / path for path in self.models),
            **absolute,
        )


def predict_settings(
    paths: str | AnyPath | Sequence[str | AnyPath] = (), out: str | AnyPath | None = None, **settings: Any
) -> PredictSettings:
    """Settings from plain values by name, as the command line and Python give them.

    Raises:
        InputError: a name is unknown, or a value is not what is expected.
    """
    if settings.keys() >= {"every_s", "times"}:
        raise InputError("--every and --times exclude each other: give one of them")
    given: dict[str, Any] = {"paths": paths} if out is None else {"paths": paths, "out": str(out)}
    return from_values(PredictSettings, given | settings)


PATH_FIELDS = (
    *(
        "out",
        "times",
        "boxes",
        "cameras",
        "truth",
        "places",
        "media_times",
        "deployments",
        "box_model",
        "blend",
        "store",
    ),
)
"""The settings that are one local path."""
