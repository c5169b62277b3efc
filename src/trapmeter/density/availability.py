"""The availability of a run: given as a number, or estimated from times of day, for all animals or for each level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trapmeter.density.activity import ActivityCurve, fit_activity
from trapmeter.density.levels import STRATUM, AvailabilityByLevel, values_of
from trapmeter.density.settings import DensitySettings
from trapmeter.density.survey.species import SPECIES_COLUMN, is_any_species
from trapmeter.density.survey.survey import Availability, Survey
from trapmeter.errors import InputError
from trapmeter.tables.density_inputs import ActivityTime, read_activity_times


@dataclass(frozen=True, slots=True)
class KnownAvailability:
    """The availability, and the curves of activity from which it comes.

    activity: of all animals. by_level: of each species or stratum; empty if they aren't distinguished.
    """

    availability: Availability | AvailabilityByLevel | None
    activity: ActivityCurve | None = None
    by_level: Mapping[str, ActivityCurve] = field(default_factory=dict)


def find_availability(settings: DensitySettings, survey: Survey, of_table: Availability | None) -> KnownAvailability:
    """The availability that the settings ask for. of_table: that of a flat file, used if the settings name none.

    Raises:
        InputError: the table of times can't be read, or has too few times of a level.
    """
    if settings.availability is not None:
        return KnownAvailability(Availability(settings.availability, settings.availability_se))
    if settings.activity is None:
        return KnownAvailability(of_table)
    column = None if is_any_species(settings.species) else settings.species_column or SPECIES_COLUMN
    is_by_species = settings.activity_by == SPECIES_COLUMN
    times = read_activity_times(
        settings.activity,
        species=settings.species,
        species_column=column,
        label_column=(settings.species_column or SPECIES_COLUMN) if is_by_species else None,
        zone=settings.timezone,
        zones=survey.zones,
    )
    if settings.activity_by is None:
        activity = _fit(times, survey, settings)
        return KnownAvailability(activity.availability, activity)
    if is_by_species:
        assert settings.by is not None, "checked with the settings"
        level_of, name = {time: time.label for time in times}, settings.by
    else:
        level_of, name = _strata_of(times, survey, settings), STRATUM
    curves = {}
    for level in sorted(set(values_of(survey, name))):
        try:
            curves[level] = _fit([time for time in times if level_of[time] == level], survey, settings)
        except InputError as error:
            raise InputError(f"{settings.activity}: {settings.activity_by} {level!r}: {error}") from None
    shares = {level: curve.availability for level, curve in curves.items()}
    return KnownAvailability(AvailabilityByLevel(name, shares), by_level=curves)


def _fit(times: list[ActivityTime], survey: Survey, settings: DensitySettings) -> ActivityCurve:
    sites = [time.site_id for time in times]
    return fit_activity(
        [time.hour for time in times],
        sites if all(sites) else None,
        operating_hours=survey.hours,
        seed=settings.seed,
    )


def _strata_of(times: list[ActivityTime], survey: Survey, settings: DensitySettings) -> dict[ActivityTime, str]:
    """The stratum of each time, by its site."""
    strata = {station.station_id: station.stratum for station in survey.stations}
    unknown = next((time.site_id for time in times if time.site_id not in strata), None)
    if unknown is not None:
        raise InputError(
            f"{settings.activity}: expected the column site_id with the stations of the survey, because --activity-by "
            f"stratum is given; got {unknown!r}"
        )
    return {time: strata[time.site_id] for time in times}
