"""Settings of a density estimation, from a TOML file, the command line or Python."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from trapmeter.density.candidates import AnalysisSettings
from trapmeter.density.detection.formula import Formula, parse_formula
from trapmeter.density.detection.held_out_errors import read_held_out
from trapmeter.density.detection.measurement_error import MeasurementError, RandomError
from trapmeter.density.detection.selection import SelectBy, candidate_functions
from trapmeter.density.replicates import DEFAULT_REPLICATES, BootstrapSettings
from trapmeter.density.survey.silence import SilenceRule
from trapmeter.density.survey.species import ALL_SPECIES, SPECIES_COLUMN
from trapmeter.density.survey.triggers import BurstSetting
from trapmeter.errors import InputError
from trapmeter.settings import Jobs, Numbers, Range, Texts, check_ranges, from_values, read_toml, worker_count
from trapmeter.tables.times import Hours, TimeZone, parse_hours


class SurveyFormat(StrEnum):
    """What the table of distances is."""

    R_FLAT = "r-flat"
    """A flat file of R's Distance, with effort and stations in it."""
    DISTANCES = "distances"
    """trapmeter's distances.csv, with a table of deployments."""
    CAMTRAP_DP = "camtrap-dp"
    """A Camtrap DP: its folder, zip archive or datapackage.json."""


@dataclass(frozen=True, slots=True)
class DensitySettings:
    """Settings of a density estimation. In a TOML file, relative paths count from the file's folder."""

    file: Path
    """Table of distances: distances.csv, a flat file of R's package Distance, or a Camtrap DP (folder or zip)."""
    _: KW_ONLY
    format: SurveyFormat | None = None
    """What the table is: r-flat, distances or camtrap-dp. By default, recognised by name and columns."""
    deployments: Path | None = None
    """For distances.csv: CSV file of site_id, start, end, theta_deg, snapshot_s, and optionally hours."""
    key: Texts = ()
    """Key functions: half-normal, hazard-rate or uniform (or R's hn, hr, unif). Default: all three (Howe et al. 2019)."""
    adjust: Texts = ()
    """Adjustments: none; cosine (default), hermite or polynomial, which try no terms and more terms, up to 3 with uniform, 2
    with half-normal, 1 with hazard-rate; or cosine:2 for exactly two terms. hazard-rate=polynomial is for that key alone."""
    cutpoints: Numbers = ()
    """Edges of bins in metres, such as 2,3,4,5,6,7,8,10,12,15. Without them distances stay exact. A distance on an edge
    counts in the nearer bin, as in R."""
    truncation: Numbers = ()
    """Left and right truncation in metres, such as 2,15; or the right one alone. Default: the outer cutpoints."""
    select: SelectBy | None = None
    """Criterion that selects the detection function: qaic (default with cutpoints) or aic (default without)."""
    formula: Texts = ()
    """Covariates: columns of the distances or deployments that the scale of half-normal and hazard-rate depends on, such as
    'species + season'. May be given several times; each is compared with the functions without covariates."""
    by: str | None = None
    """Column for whose values to estimate densities too, such as species or habitat: with one detection function for all, or
    with one scale each, if the formula names it."""
    monotone: Annotated[bool, Parameter(negative="--no-monotone")] = True
    """Don't let adjusted functions rise with distance."""
    level: Annotated[float, Range(above=0.0, below=1.0)] = 0.95
    """Confidence level of all intervals."""
    species: str | None = None
    """The species to use, by its scientific, English, German, French or Spanish name; `all` uses every row. Default: all, if
    the table has only one, or --by or the formula names it. People and vehicles never count."""
    species_column: str | None = None
    """Column that holds the species. Default: species, if it exists."""
    strata: Annotated[bool, Parameter(negative="--no-strata")] = True
    """Estimate each stratum separately and weight the strata by area; --no-strata pools all stations."""
    areas: dict[str, float] = field(default_factory=dict)
    """Areas of the strata, all in one unit, such as {north = 12.5, south = 30}, or as options --areas.north 12.5
    --areas.south 30. Default: those of the tables."""
    theta_deg: Annotated[float | None, Parameter(name="--theta"), Range(above=0.0, most=360.0, unit="degrees")] = None
    """Angle of view in degrees, for tables that don't state it."""
    snapshot_s: Annotated[float | None, Parameter(name="--snapshot"), Range(above=0.0, unit="seconds")] = None
    """Seconds from one snapshot to the next, for deployments that don't state it. (Snapshots are the moments at which a
    camera counts animals.)"""
    burst: BurstSetting = None
    """For motion-triggered photographs: how many the camera takes at a trigger, and how many seconds apart, such as "3 x 1";
    or 1. Effort then follows from the triggers, not from a snapshot interval. Default: learnt from the times of photographs,
    if no snapshot interval is given."""
    retrigger_s: Annotated[float | None, Parameter(name="--retrigger"), Range(least=0.0, unit="seconds")] = None
    """For motion-triggered photographs: seconds after the last one of a burst until the camera can be triggered again.
    Default: learnt from their times."""
    gaps: Path | None = None
    """CSV file of site_id, from, to: times in which a camera did not work, which are no effort."""
    silence: SilenceRule | None = None
    """Which silent stretches, without media, are no effort, if times of media are known: clear (default), of cameras that
    take pictures at regular times; all, also those that are unusually long for the site; or none."""
    points: bool = False
    """Use distance_m instead of the ten draws q05_m to q95_m (distances that are equally likely)."""
    errors: Literal["deep-chimpact"] | Path | None = None
    """Allow for the model's error, as its predictions at held-out sites show it: deep-chimpact (the built-in box model), or a
    CSV file of truth_m, distance_m, site_id, such as oof.csv of `boxmodel evaluate`."""
    distance_cv: Annotated[float | None, Range(above=0.0)] = None
    """Allow for a random error of distances instead: its coefficient of variation, such as 0.2 for 20 %."""
    timezone: TimeZone = None
    """Zone of times that carry none, and of hours of the day, such as Europe/Berlin or +02:00. Default: the zone that times
    carry; if none does, all are local times."""
    media_times: Path | None = None
    """When media start: a CSV file of media_id, start, in place of the media.csv that `predict` wrote beside distances.csv.
    Animals outside of deployments and operating hours are left out."""
    leave_out: Path | None = None
    """CSV file of media_id, animal_id to leave out, such as animals that react to the camera."""
    keep_static: bool = False
    """For distances.csv: count boxes that are marked static too, which probably show leaves or stumps."""
    leave_out_tags: Texts = ()
    """For a Camtrap DP: leave out observations with one of these in behavior or observationTags."""
    availability: Annotated[float | None, Range(above=0.0)] = None
    """Share of the effort in which animals can be detected at all; above 1 for cues (signs, calls): those that an animal
    gives in a snapshot on average."""
    availability_se: Annotated[float, Range(least=0.0)] = 0.0
    """Standard error of the availability."""
    activity: Path | None = None
    """Estimate availability from times of day: CSV file of time, and optionally site_id and species."""
    activity_by: Literal["species", "stratum"] | None = None
    """Estimate the activity of each species (with --by species) or of each stratum."""
    hours: Annotated[Texts, Parameter(consume_multiple=True)] = ()
    """With `activity` and a flat file: hours of the day that its effort counts, such as 06:00-18:00 20:00-22:00. Default: all
    day. Deployments have them in their column hours."""
    bootstrap: Annotated[int, Range(least=0)] = DEFAULT_REPLICATES
    """Number of bootstrap replicates over stations, with selection in each; 0 leaves the interval to a formula, which is
    faster and mostly too narrow."""
    scale_error: Annotated[float, Range(least=0.0)] = 0.0
    """Standard deviation of a scale error of all distances, such as 0.05 for 5 %, drawn in each replicate."""
    site_scale_error: Annotated[float, Range(least=0.0)] = 0.0
    """The same for each site separately, in addition to the spread of the draws."""
    seed: Annotated[int, Range(least=0)] = 1
    """Seed of all random numbers."""
    jobs: Jobs = None
    """Worker processes. Default: one per core."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if len(self.truncation) > 2:
            raise InputError(
                f"--truncation: expected the right, or the left and right metres, got {list(self.truncation)}"
            )
        if self.availability is not None and self.activity is not None:
            raise InputError("--availability and --activity exclude each other: give one of them")
        if self.hours and self.activity is None:
            raise InputError("--hours needs --activity, since availability is relative to these hours: give both")
        self.operating_hours  # noqa: B018 - refuses other texts
        self.formulas  # noqa: B018 - refuses what isn't a formula
        if self.activity_by is not None and self.activity is None:
            raise InputError("--activity-by needs --activity: give both")
        if self.activity_by == SPECIES_COLUMN and not self._is_by_species:
            raise InputError("--activity-by species needs --by species: give both")
        if self.availability_se and self.availability is None:
            raise InputError("--availability-se needs --availability: give both")
        if (self.scale_error or self.site_scale_error) and not self.bootstrap:
            raise InputError(
                "--scale-error and --site-scale-error are drawn in each replicate: leave out --bootstrap 0"
            )
        if self.errors is not None and self.distance_cv is not None:
            raise InputError("--errors and --distance-cv exclude each other: give one of them")

    def analysis(self) -> AnalysisSettings:
        """What to fit, and how."""
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
            formulas=self.formulas,
            by=self.by,
        )

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """The formulas of covariates.

        Raises:
            InputError: one isn't a formula.
        """
        return tuple(map(parse_formula, self.formula))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that formulas and `by` name."""
        names = [name for formula in self.formulas for name in formula.columns]
        return tuple(dict.fromkeys(names if self.by is None else [*names, self.by]))

    @property
    def species_columns(self) -> tuple[str, ...]:
        """Names of the column of species in any table."""
        return (self.species_column or SPECIES_COLUMN, "scientificName")

    @property
    def requested_species(self) -> str | None:
        """The species that count: all if the species are covariates or levels, unless one is chosen."""
        if self.species is None and set(self.columns) & set(self.species_columns):
            return ALL_SPECIES
        return self.species

    @property
    def _is_by_species(self) -> bool:
        return self.by in self.species_columns

    @property
    def has_error_model(self) -> bool:
        """Whether the error of the distances is known; otherwise they, or their draws, count as they are."""
        return self.errors is not None or self.distance_cv is not None

    @property
    def operating_hours(self) -> Hours:
        """The hours of the day that the effort of a flat file counts; () for all day.

        Raises:
            InputError: they aren't ranges of the day, or overlap.
        """
        try:
            return parse_hours(" ".join(self.hours))
        except InputError as error:
            raise InputError(f"--hours: {error}") from None

    def error_model(self) -> MeasurementError | None:
        """The error of the distances; None uses them as true, or their draws as they are."""
        if self.errors is not None:
            return read_held_out(self.errors)
        return None if self.distance_cv is None else RandomError(self.distance_cv)

    def replication(self) -> BootstrapSettings | None:
        """The bootstrap; None for the interval by formula alone."""
        if not self.bootstrap:
            return None
        jobs = worker_count(self.jobs)
        return BootstrapSettings(self.bootstrap, self.seed, jobs, self.scale_error, self.site_scale_error)


def density_settings(
    file: str | Path | None = None, *, config: str | Path | None = None, **options: Any
) -> DensitySettings:
    """Settings from a TOML file, from values by name, or from both; values replace those of the file.

    Raises:
        InputError: the file can't be read, a name is unknown, no table was named, or a value is not what is expected.
    """
    values = {} if config is None else read_toml(DensitySettings, Path(config))
    values |= options if file is None else {**options, "file": file}
    if "file" not in values:
        raise InputError("no table of distances was given: name it as the first argument, or as `file` in the settings")
    return from_values(DensitySettings, values, "" if config is None else str(config))
