"""Runs a density analysis from its settings: reads the tables, estimates, bootstraps."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from trapmeter.density.activity import ActivityCurve, note_hours
from trapmeter.density.analysis import Analysis, run_analysis
from trapmeter.density.availability import find_availability
from trapmeter.density.bootstrap import Bootstrap, bootstrap_density
from trapmeter.density.models import LevelEstimate
from trapmeter.density.replicates import DEFAULT_REPLICATES
from trapmeter.density.settings import DensitySettings, SurveyFormat, density_settings
from trapmeter.density.survey.camtrap_dp import read_camtrap_survey
from trapmeter.density.survey.columns import check_columns
from trapmeter.density.survey.flat_file import availability_from_rows, survey_from_rows
from trapmeter.density.survey.measured_distances import read_measured_survey
from trapmeter.density.survey.species import SPECIES_COLUMN, check_species, find_species_column
from trapmeter.density.survey.survey import Availability, Survey, check_effort_of_detections, circle_share
from trapmeter.errors import InputError
from trapmeter.progress import Progress, no_progress
from trapmeter.settings import settings_of
from trapmeter.tables.camtrapdp.container import is_package, table_files
from trapmeter.tables.csvfile import find_ignored_columns, read_columns
from trapmeter.tables.distances import COLUMNS as DISTANCE_COLUMNS
from trapmeter.tables.distances import DRAW_COLUMNS, NIGHT_COLUMN, OPTIONAL_COLUMNS
from trapmeter.tables.flatfile import COLUMNS, LABEL_COLUMNS, SIZE_COLUMN, read_flat_file
from trapmeter.tables.medium_times import MEDIA_CSV

BY_FORMULA, BY_BOOTSTRAP = "by formula", "bootstrap, lognormal"


@dataclass(frozen=True, slots=True)
class Headline:
    """The density to report, animals per km2, with its standard error, coefficient of variation and interval.

    interval: `BY_BOOTSTRAP` if there is a bootstrap, since its lognormal interval covers best, or else `BY_FORMULA`. df:
    degrees of freedom of the interval.
    """

    density_km2: float
    se_km2: float
    cv: float
    low_km2: float
    high_km2: float
    df: float
    interval: str


@dataclass(frozen=True, slots=True)
class DensityRun:
    """The settings of an analysis and its results.

    activity: of all animals. activity_by_level: of each species or stratum instead. bootstrap_failure: why there is no
    bootstrap although it was wanted.
    """

    settings: DensitySettings
    analysis: Analysis
    activity: ActivityCurve | None = None
    bootstrap: Bootstrap | None = None
    bootstrap_failure: str = ""
    activity_by_level: Mapping[str, ActivityCurve] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the data, the fit, the activity and the interval."""
        curves = [*self.activity_by_level.values()] if self.activity is None else [self.activity]
        activity = dict.fromkeys(note for curve in curves for note in note_hours(curve, self.analysis.survey))
        interval = self.bootstrap.notes if self.bootstrap else (self._note_formula(),)
        return (*self.analysis.warnings, *activity, *interval)

    @property
    def headline(self) -> Headline:
        """The density of the selected function with the interval that is recommended of those that were computed."""
        density, found = self.analysis.best.density, self.bootstrap
        if found is None:
            limits = density.low_km2, density.high_km2, density.df, BY_FORMULA
            return Headline(density.density_km2, density.se_km2, density.cv, *limits)
        # As the interval: the coefficient of variation of the replicates, around the estimate.
        limits = found.log_low_km2, found.log_high_km2, float(found.df), BY_BOOTSTRAP
        return Headline(density.density_km2, found.cv * density.density_km2, found.cv, *limits)

    @property
    def level_intervals(self) -> list[tuple[LevelEstimate, float, float]]:
        """The levels of the selected function with the limits of their intervals, animals per km2: as of the headline."""
        levels, found = self.analysis.best.by_level, self.bootstrap
        intervals = (None,) * len(levels) if found is None else found.by_level
        return [
            (level, level.density.low_km2, level.density.high_km2)
            if interval is None
            else (level, interval.low_km2, interval.high_km2)
            for level, interval in zip(levels, intervals, strict=True)
        ]

    def _note_formula(self) -> str:
        assumed = "snapshots are independent, and those of one animal are not"
        if self.analysis.survey.errors is not None:
            assumed = "snapshots and the errors of distances are independent, and those of one camera are not"
        note = f"the interval by formula assumes that {assumed}, and is mostly too narrow"
        if self.bootstrap_failure:
            return f"there is no interval by bootstrap: {self.bootstrap_failure}. {note[0].upper()}{note[1:]}"
        return f"{note}; use that of the bootstrap: --bootstrap {DEFAULT_REPLICATES}"


def run_density(
    file: str | Path | None = None,
    *,
    config: str | Path | None = None,
    progress: Progress = no_progress,
    **settings: Any,
) -> DensityRun:
    """Estimates animal density from a table of distances (Howe et al. 2017).

    Args:
        file: distances.csv, a flat file of R's package Distance, or a Camtrap DP.
        config: a TOML file of settings; the other arguments replace its values.
        progress: called as bootstrap replicates are done, with the stage "replicate".
        settings: the other settings of `DensitySettings`, by name.

    Raises:
        InputError: a setting or a table is invalid, or nothing can be estimated from it.

    Example:
        >>> run_density("peak.csv", key="hazard-rate", cutpoints=[2, 3, 4, 5, 6, 7, 8, 10, 12, 15])
    """
    return run_survey(density_settings(file, config=config, **settings), progress)


def run_survey(settings: DensitySettings, progress: Progress = no_progress) -> DensityRun:
    """As `run_density`, with settings that are made already."""
    survey, availability = read_survey(settings)
    if availability is not None and (settings.availability is not None or settings.activity is not None):
        option = "--availability" if settings.activity is None else "--activity"
        note = f"the column 'availability' ({availability.share:g}) was not used, because {option} is given"
        survey = replace(survey, notes=(*survey.notes, note))
    known = find_availability(settings, survey, availability)
    analysis = run_analysis(survey, settings.analysis(), known.availability)
    run = DensityRun(settings, analysis, known.activity, activity_by_level=known.by_level)
    replication = settings.replication()
    if replication is None:
        return run
    try:
        return replace(run, bootstrap=bootstrap_density(analysis, replication, progress))
    except InputError as error:  # The estimate and its interval by formula are good without replicates.
        return replace(run, bootstrap_failure=str(error))


def read_survey(settings: DensitySettings) -> tuple[Survey, Availability | None]:
    """The survey in the tables of the settings, and the availability that a flat file may give.

    Raises:
        InputError: a setting or a table is invalid, or effort can't be what it says.
    """
    survey, availability = _read_tables(settings)
    notes = check_effort_of_detections(survey, str(settings.file))
    return replace(survey, notes=(*survey.notes, *notes)), availability


def _read_tables(settings: DensitySettings) -> tuple[Survey, Availability | None]:
    survey_format = _detect_format(settings)
    _refuse_unused(settings, survey_format)
    if survey_format is SurveyFormat.DISTANCES:
        survey = _with_areas(read_measured_survey(settings), settings)
        optional = [settings.species_column or name if name == SPECIES_COLUMN else name for name in OPTIONAL_COLUMNS]
        known = (*DISTANCE_COLUMNS, *DRAW_COLUMNS, NIGHT_COLUMN, *optional, *settings.columns)
        return replace(survey, notes=(*survey.notes, *_note_ignored(settings, known))), None
    if survey_format is SurveyFormat.CAMTRAP_DP:
        return _with_areas(read_camtrap_survey(settings), settings), None
    species = settings.requested_species
    column = find_species_column(settings.file, settings.species_column, species)
    check_columns(settings.file, settings.columns)
    rows = read_flat_file(settings.file, column, settings.columns)
    if column is not None:
        check_species(settings.file, column, (row.species for row in rows if row.distance_m is not None), species)
    survey = survey_from_rows(
        rows,
        species=species,
        has_strata=settings.strata,
        multiplier=None if settings.theta_deg is None else circle_share(settings.theta_deg),
        of_observations=(SIZE_COLUMN, *settings.species_columns),
    )
    known = (*COLUMNS, *LABEL_COLUMNS, SIZE_COLUMN, column or SPECIES_COLUMN, *settings.columns)
    notes = (*survey.notes, *_note_ignored(settings, known))
    hours = {settings.operating_hours: 1.0} if settings.hours else {}
    survey = replace(_with_areas(survey, settings), errors=settings.error_model(), hours=hours, notes=notes)
    return survey, availability_from_rows(rows)


def _note_ignored(settings: DensitySettings, known: Sequence[str]) -> list[str]:
    """Notes on columns of the table of distances that are ignored, and what takes the place of some."""
    notes = find_ignored_columns(settings.file, known)
    return [f"{note}; {_ERROR_ADVICE}" if _ERROR_COLUMN.search(note) else note for note in notes]


_ERROR_COLUMN = re.compile(r"'distance\W?_?(se|sd|cv|err)", re.IGNORECASE)
_ERROR_ADVICE = "state the error of distances with --distance-cv or --errors"


def list_inputs(settings: DensitySettings) -> list[Path]:
    """The files that a run reads, including optional ones that may not exist.

    Raises:
        InputError: the table of distances or the package can't be read.
    """
    values = (getattr(settings, field.name) for field in fields(settings))
    inputs = [value for value in values if isinstance(value, Path)]
    survey_format = _detect_format(settings)
    if survey_format is SurveyFormat.CAMTRAP_DP:
        inputs += table_files(settings.file)
    elif survey_format is SurveyFormat.DISTANCES:
        inputs += [settings.file.with_name(name) for name in ("run.json", MEDIA_CSV)]
    return inputs


_OF_DISTANCES = {"mediaid", "distancem"}
"""Columns that tell distances.csv, of which one may be misspelt."""


def _refuse_unused(settings: DensitySettings, survey_format: SurveyFormat) -> None:
    """Refuses settings that this format doesn't use."""
    options = {setting.name: setting.option for setting in settings_of(DensitySettings)}
    for name, formats in _ONLY_FOR.items():
        value = getattr(settings, name)
        if value is not None and value is not False and value != () and survey_format not in formats:
            raise InputError(
                f"{options[name]} is for {' and '.join(formats)} only, but {settings.file} is read as {survey_format}; leave "
                f"it out, or give --format {formats[0]}{_INSTEAD.get(name, '')}"
            )


_ONLY_FOR = {
    "deployments": (SurveyFormat.DISTANCES, SurveyFormat.CAMTRAP_DP),
    "snapshot_s": (SurveyFormat.DISTANCES, SurveyFormat.CAMTRAP_DP),
    "burst": (SurveyFormat.DISTANCES, SurveyFormat.CAMTRAP_DP),
    "retrigger_s": (SurveyFormat.DISTANCES, SurveyFormat.CAMTRAP_DP),
    "gaps": (SurveyFormat.DISTANCES, SurveyFormat.CAMTRAP_DP),
    "silence": (SurveyFormat.DISTANCES, SurveyFormat.CAMTRAP_DP),
    "media_times": (SurveyFormat.DISTANCES,),
    "leave_out": (SurveyFormat.DISTANCES,),
    "points": (SurveyFormat.DISTANCES,),
    "keep_static": (SurveyFormat.DISTANCES,),
    "leave_out_tags": (SurveyFormat.CAMTRAP_DP,),
    "hours": (SurveyFormat.R_FLAT,),
}
_INSTEAD = {"hours": ". The column hours of the deployments says when cameras worked"}


def _detect_format(settings: DensitySettings) -> SurveyFormat:
    if settings.format is not None:
        return settings.format
    if (settings.file / "distances.csv").is_file():
        raise InputError(f"{settings.file} is a folder of results; give {settings.file / 'distances.csv'}")
    if is_package(settings.file):
        return SurveyFormat.CAMTRAP_DP
    # In any spelling: reading the file reports a misspelt column.
    columns = read_columns(settings.file)
    names = {"".join(filter(str.isalnum, name)).lower() for name in columns}
    if "samplelabel" in names:
        return SurveyFormat.R_FLAT
    if not names & _OF_DISTANCES:
        found = ", ".join(map(repr, columns)) or "nothing"
        raise InputError(
            f"{settings.file}: expected distances.csv of trapmeter (media_id, distance_m, ...), or a flat file of R's "
            f"Distance (Sample.Label, Effort, distance); found {found}"
        )
    return SurveyFormat.DISTANCES


def _with_areas(survey: Survey, settings: DensitySettings) -> Survey:
    unknown = sorted(set(settings.areas) - set(survey.strata))
    if unknown:
        raise InputError(f"areas: there is no stratum {unknown[0]!r}; there are {', '.join(map(repr, survey.strata))}")
    for stratum, area in settings.areas.items():
        if not 0 < area < math.inf:
            raise InputError(f"areas: expected an area above 0 of stratum {stratum!r}, got {area:g}; correct it")
    return replace(survey, areas={**survey.areas, **settings.areas})
