"""Settings of a calibration, and what the field team knows of cameras and animals, which predictions use too."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trapmeter.errors import InputError
from trapmeter.geometry import DEFAULT_HFOV_DEG
from trapmeter.settings import Range, check_ranges
from trapmeter.tables.times import TimeZone

HFOV_RANGE = Range(least=5.0, most=170.0, unit="degrees")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSettings:
    """What is known of the cameras and the animals, whichever models estimate the distances."""

    cameras: Path | None = None
    """Camera set-ups: a CSV file of site_id, hfov_deg or focal_35mm, height_m, pitch_deg, aspect."""
    species: str | None = None
    """Species of the animals (scientific, English, German, French or Spanish name), or a CSV file of media_id, folder or
    site_id, and optionally time_s and box, with species or shoulder_m."""
    shoulder_m: Annotated[float | None, Parameter(name="--shoulder-height"), Range(above=0.0, unit="metres")] = None
    """Shoulder height of the animals, instead of --species."""
    min_species_score: Annotated[float | None, Range(least=0.0, most=1.0)] = None
    """A classifier's species with a lower score counts as unknown, and tells no size. Default: 0.5 when measuring; when
    calibrating, species stay as they are."""
    trained_hfov_deg: Annotated[float, Parameter(name="--trained-hfov"), HFOV_RANGE] = DEFAULT_HFOV_DEG
    """Horizontal field of view of the cameras that the networks were trained on, if they don't take the lens themselves."""
    box_model: Path | None = None
    """Folder of a box model, if it isn't the built-in one."""
    timezone: TimeZone = None
    """Zone of times that carry none, such as Europe/Berlin or +02:00."""


@dataclass(frozen=True, slots=True)
class CalibrateSettings(FieldSettings):
    """Settings of `trapmeter calibrate`."""

    results: Path
    """Folder of `trapmeter predict`, or its distances.csv."""
    _: KW_ONLY
    out: Annotated[Path, Parameter(name=("--out", "-o"))]
    """Folder for the corrected results, created if it doesn't exist."""
    labels: Path | None = None
    """Known distances of some seconds: a CSV file of video_id, time, distance; what --pick wrote; or a Camtrap DP in which
    people entered individualPositionRadius."""
    points: Path | None = None
    """Reference points, poles and people: a CSV file of site_id, x, y (fractions, or pixels with width and height),
    distance_m, and more columns for poles and dates. `trapmeter points` makes one by clicking."""
    photos: Path | None = None
    """Folder of the reference photographs that the table of points names. Default: the table's own folder, then that of the
    media. Each is compared with the media of its site, so that nothing is corrected by a photograph from before the camera
    moved."""
    media: Path | None = None
    """Folder of the media, if they have moved since they were measured."""
    media_times: Path | None = None
    """CSV file of media_id, start: which media belong to which of a site's dated reference points. Default: the times that
    the files or their Camtrap DP state."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if all(v is None for v in (self.labels, self.points, self.cameras, self.species, self.shoulder_m)):
            raise InputError(
                "nothing to calibrate with: give --labels, --points, --cameras, --species or --shoulder-height, or --pick to "
                "learn which seconds to label"
            )
