"""What `trapmeter density` is asked for: from a TOML file, from the command line, or from both."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from trapmeter.density.analysis import AnalysisSettings
from trapmeter.density.detection.held_out_errors import DEEP_CHIMPACT, read_held_out
from trapmeter.density.detection.measurement_error import MeasurementError, RandomError
from trapmeter.density.detection.selection import SelectBy, candidate_functions
from trapmeter.density.replicates import BootstrapSettings
from trapmeter.errors import InputError


class SurveyFormat(StrEnum):
    """What the table of distances is."""

    R_FLAT = "r-flat"
    """A flat file of R's Distance: effort and stations stand in it."""
    DISTANCES = "distances"
    """Our own distances.csv, with a table of deployments beside it."""
    CAMTRAP_DP = "camtrap-dp"
    """A Camtrap DP: its folder, zip archive or datapackage.json."""


@dataclass(frozen=True, slots=True)
class DensitySettings:
    """The content of a survey's configuration file. Paths are taken from where the file lies."""

    file: Path
    """The table of distances."""
    format: SurveyFormat | None = None
    """None tells it from the name and the columns."""
    deployments: Path | None = None
    """Site, start, end, angle of view, snapshot interval and hours of each deployment; needed with distances.csv."""
    key: tuple[str, ...] = ()
    adjust: tuple[str, ...] = ()
    cutpoints: tuple[float, ...] = ()
    """Of bins, metres; distances stay exact without."""
    truncation: tuple[float, ...] = ()
    """Left and right, or right alone, metres."""
    select: SelectBy | None = None
    monotone: bool = True
    """Keep adjusted functions from rising with distance."""
    level: float = 0.95
    """Of intervals."""
    species: str | None = None
    species_column: str | None = None
    """None takes `species`, if it is there."""
    strata: bool = True
    """Estimate each stratum and weight them by area; false puts all stations together."""
    areas: Mapping[str, float] = field(default_factory=dict)
    """Of strata, above 0, in any one unit."""
    theta_deg: float | None = None
    """Angle of view, for deployments or rows that don't tell their own."""
    snapshot_s: float | None = None
    """Seconds from one snapshot to the next, for deployments that don't tell their own."""
    points: bool = False
    """Take distance_m in place of the draws q05_m ... q95_m."""
    errors: str | Path | None = None
    """Answers at held-out sites with their truths: a CSV file of truth_m, distance_m, site_id; deep-chimpact for the embedded
    box model."""
    distance_cv: float | None = None
    """Coefficient of variation of a random error of distances, where no such answers are at hand."""
    media_times: Path | None = None
    """When each medium starts: media_id, start."""
    leave_out: Path | None = None
    """Media, or animals in them, that don't count, as those that react to the camera: media_id, animal_id."""
    leave_out_tags: tuple[str, ...] = ()
    """Of a Camtrap DP: observations with one of these in behavior or observationTags don't count."""
    availability: float | None = None
    availability_se: float = 0.0
    activity: Path | None = None
    """Times of day to estimate availability from: time, and perhaps site_id and species."""
    bootstrap: int = 0
    """Replicates; 0 for none."""
    scale_error: float = 0.0
    """Error of scale that all distances share, as a share of 1: drawn anew in each replicate."""
    site_scale_error: float = 0.0
    """Error of scale that the distances of a site share."""
    seed: int = 1
    jobs: int = 1

    def __post_init__(self) -> None:
        if len(self.truncation) > 2:
            raise InputError(f"expected a truncation of right, or left and right metres, got {list(self.truncation)}")
        if self.availability is not None and self.activity is not None:
            raise InputError("availability is either given as a number or estimated from times of day; leave out one")
        if self.availability_se and self.availability is None:
            raise InputError("a standard error of availability was given without availability itself; give both")
        if self.errors is not None and self.distance_cv is not None:
            raise InputError("errors of distances are either those of held-out answers or random; leave out one")
        if self.jobs < 1:
            raise InputError(f"expected 1 or more jobs, got {self.jobs}")

    def analysis(self) -> AnalysisSettings:
        """What is fitted."""
        left, right = (None, *self.truncation)[-2:] if self.truncation else (None, None)
        if len(self.truncation) == 1 and self.cutpoints:
            left = self.cutpoints[0]
        return AnalysisSettings(
            functions=candidate_functions(self.key, self.adjust),
            cutpoints_m=self.cutpoints,
            left_m=left,
            right_m=right,
            select_by=self.select,
            is_monotone=self.monotone,
            level=self.level,
        )

    def error_model(self) -> MeasurementError | None:
        """How distances are measured; None takes them as true, or their draws as they are."""
        if self.errors is not None:
            return read_held_out(self.errors)
        return None if self.distance_cv is None else RandomError(self.distance_cv)

    def replication(self) -> BootstrapSettings | None:
        """The bootstrap, None without."""
        if not self.bootstrap:
            return None
        return BootstrapSettings(self.bootstrap, self.seed, self.jobs, self.scale_error, self.site_scale_error)


def density_settings(values: Mapping[str, Any]) -> DensitySettings:
    """Settings from plain values by name, as TOML and the command line give them.

    Raises:
        InputError: a name is unknown, `file` is missing, or a value is not what is expected.
    """
    known = {one.name: str(one.type) for one in fields(DensitySettings)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"unknown settings {', '.join(unknown)}; there are {', '.join(known)}")
    if "file" not in values:
        raise InputError(
            "no table of distances was given; name it as the first argument, or as `file` in the configuration"
        )
    return DensitySettings(**{name: _value(name, known[name], value) for name, value in values.items()})


def read_density_settings(path: Path) -> DensitySettings:
    """Settings from a TOML file, as `trapmeter density --config` reads it; paths in it are taken from where it lies.

    Raises:
        InputError: it can't be read, a name is unknown, or a value is not what is expected.
    """
    return density_settings(read_values(path))


def read_values(path: Path) -> dict[str, Any]:
    """The values of a TOML file, paths taken from where it lies.

    Raises:
        InputError: it can't be read, or a name is unknown.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, got {error}; save it again as UTF-8") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        has_backslash = at is not None and "\\" in text.split("\n")[int(at[1]) - 1]
        advice = _BACKSLASH if has_backslash else "put texts into double quotes"
        raise InputError(f"{path}: not TOML: {error}; {advice}") from error
    known = {one.name: str(one.type) for one in fields(DensitySettings)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"{path}: unknown settings {', '.join(unknown)}; there are {', '.join(known)}")
    for name, value in values.items():
        if "Path" in known[name] and value != DEEP_CHIMPACT:
            if not isinstance(value, str) or any(mark < " " for mark in value):  # "C:\table\new.csv" has a tab
                raise InputError(f"{path}: expected the name of a file for {name}, got {value!r}; {_BACKSLASH}")
            values[name] = path.parent / value
    return values


def _value(name: str, kind: str, value: Any) -> Any:
    """The value as its field wants it; what it can't be is refused by name."""
    try:
        return _converted(kind, value)
    except (TypeError, ValueError) as error:
        what = next((text for start, text in _EXPECTED.items() if kind.startswith(start)), kind)
        raise InputError(f"{name}: expected {what}, got {value!r}; correct it") from error


_BACKSLASH = "put the text into single quotes, or write / in place of \\"
_EXPECTED = {
    "str | Path": "the name of a file, or deep-chimpact",
    "tuple[str": "a text or a list of texts",
    "tuple[float": "a list of numbers",
    "Mapping": "a table of numbers, such as {north = 12.5}",
    "Path": "the name of a file",
    "SurveyFormat": f"one of {', '.join(SurveyFormat)}",
    "SelectBy": f"one of {', '.join(SelectBy)}",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
}


def _converted(kind: str, value: Any) -> Any:
    if value is None and kind.endswith("None"):
        return None
    return next(convert for start, convert in _CONVERTERS.items() if kind.startswith(start))(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "str | Path": lambda value: value if value == DEEP_CHIMPACT else Path(value),
    "tuple[str": lambda value: tuple(map(_text, [value] if isinstance(value, str) else value)),
    "tuple[float": lambda value: tuple(map(_number, value if isinstance(value, list | tuple) else [value])),
    "Mapping": lambda value: {_text(name): _number(one) for name, one in dict(value).items()},
    "Path": Path,
    "SurveyFormat": SurveyFormat,
    "SelectBy": SelectBy,
    "bool": lambda value: _exactly(bool, value),
    "int": lambda value: _exactly(int, value),
    "float": _number,
    "str": _text,
}
