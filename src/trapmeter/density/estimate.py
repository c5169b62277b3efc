"""The density estimate from a fit and the encounter rate, with its variance and interval.

D = n / (m pi w^2 Pa T), with n detections, w the truncation, Pa the share detected inside it, T the snapshots of all cameras
and m the share of a full circle that a camera covers, theta / 360. This is Howe et al. (2017) with theta in degrees, and the
form of R's flat files (Effort in snapshots, multiplier m). Ordinary point transects have m = 1 and T visits.

With groups or covariates, n / Pa becomes the sum of size / Pa(z) over detections (Horvitz and Thompson 1952), and the
variance between stations is that of this sum (Innes et al. 2002), as in R's mrds.

The uncertainty of the detection function assumes independent snapshots. Camera traps detect one animal many times, so the
interval is too narrow in this respect; the interval of a bootstrap over stations isn't.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import variance
from typing import NamedTuple

import numpy as np

from trapmeter.density.detection.doubts import delta_variance
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.quadrature import Floats
from trapmeter.density.survey.survey import Availability, StationCounts, check_circle_share
from trapmeter.errors import InputError

SQUARE_METRES_IN_KM2 = 1e6
COUNT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class DensityEstimate:
    """Animals per square kilometre with standard error and interval; cv is se / density.

    df: degrees of freedom of the interval. n: detections. encounter_cv, detection_cv, availability_cv: components; the sum of
    their squares is the square of cv.
    """

    density_km2: float
    se_km2: float
    cv: float
    low_km2: float
    high_km2: float
    df: float
    level: float
    n: float
    n_stations: int
    effort_snapshots: float
    encounter_cv: float
    detection_cv: float
    availability_cv: float


@dataclass(frozen=True, slots=True)
class GroupSize:
    """The density of groups, and their mean size with its standard error."""

    density: DensityEstimate
    mean: float
    se: float


@dataclass(frozen=True, slots=True)
class EncounterRate:
    """Detections per snapshot, or animals that they stand for, and their variance; df: stations - 1."""

    rate: float
    variance: float
    df: int


def covered_area_m2(multiplier: float, right_m: float) -> float:
    """The area that a camera covers in each snapshot up to the truncation: m pi w^2, square metres."""
    return multiplier * math.pi * right_m**2


def estimate_encounter_rate(stations: Sequence[StationCounts]) -> EncounterRate:
    """Detections per snapshot over all stations, with the variance P2 of Fewster et al. (2009, web appendix).

    If the stations know the animals that their detections stand for, the rate is that of these.

    With K stations, n_k detections and T_k snapshots at each: 1 / (K (K - 1)) times the sum of (n_k / T_k - mean of these)^2.
    As in R's mrds, stations have equal weight in the variance whatever their effort; the rate is weighted by effort.

    Raises:
        InputError: there are fewer than 2 stations.
    """
    k = len(stations)
    if k < 2:
        raise InputError(
            f"the variance between stations needs at least 2 of them, got {k}; name the station of each observation, and "
            "include stations without detections"
        )
    amounts = [station.n if station.animals is None else station.animals for station in stations]
    efforts = [station.effort_snapshots for station in stations]
    rates = [amount / effort for amount, effort in zip(amounts, efforts, strict=True)]
    return EncounterRate(sum(amounts) / sum(efforts), variance(rates) / k, k - 1)


def estimate_density(
    fit: DetectionFit,
    stations: Sequence[StationCounts],
    *,
    multiplier: float = 1.0,
    areas_km2: Mapping[str, float] | None = None,
    availability: Availability | None = None,
    level: float = 0.95,
) -> DensityEstimate:
    """Density over all stations, or over strata weighted by their areas.

    The variance adds those of encounter rate, detection and availability as squared coefficients of variation (delta method);
    the interval is lognormal with the degrees of freedom of Satterthwaite (Buckland et al. 2001, section 3.6). All strata
    share one detection function; for the density of one stratum, pass its stations only.

    Args:
        fit: of the same observations.
        stations: all of them, with their detections inside the fit's truncation, and the animals that these stand for if
            there are groups or covariates (`horvitz_thompson.py`).
        multiplier: m above, the share (0..1) of a circle that cameras cover; see `circle_share`.
        areas_km2: of each stratum, required if there are several; any unit, because they are weights.
        availability: 1 by default.
        level: of the interval, 0..1.

    Raises:
        InputError: a stratum has fewer than 2 stations, there are no detections or more than in the fit, an area is missing,
            or multiplier or level is out of range.
    """
    _check_inputs(fit, stations, multiplier, level)
    availability = availability or Availability(1.0)
    rates = _rates(fit, stations, areas_km2)
    per_animal = SQUARE_METRES_IN_KM2 / (covered_area_m2(multiplier, fit.right_m) * availability.share)
    density = per_animal * rates.rate
    encounter = [
        (square / rates.rate**2, float(df)) for square, df in rates.variances
    ]  # squared cv, degrees of freedom
    detection_cv = math.sqrt(delta_variance(rates.slopes / rates.rate, fit.information)[0])
    components = [*encounter, (detection_cv**2, fit.n - fit.n_parameters), (availability.cv**2, math.inf)]
    cv = math.sqrt(sum(square for square, _ in components))
    df = _satterthwaite(components)
    low, high = lognormal_interval(density, cv, df, level)
    n, effort = _totals(stations)
    return DensityEstimate(
        density_km2=density,
        se_km2=density * cv,
        cv=cv,
        low_km2=low,
        high_km2=high,
        df=df,
        level=level,
        n=n,
        n_stations=len(stations),
        effort_snapshots=effort,
        encounter_cv=math.sqrt(sum(square for square, _ in encounter)),
        detection_cv=detection_cv,
        availability_cv=availability.cv,
    )


def estimate_group_size(
    fit: DetectionFit,
    groups: Sequence[StationCounts],
    animals: Sequence[StationCounts],
    areas_km2: Mapping[str, float] | None = None,
) -> tuple[float, float]:
    """The mean size of all groups, detected or not, and its standard error.

    It is the density of animals divided by that of groups, so large groups, which are seen from farther away, don't count too
    often. The variance is that of a ratio (delta method), with the covariance of both between stations and through the
    detection function, as in R's mrds (`dht`).

    Args:
        fit: of the same observations.
        groups: stations with the number of groups in `StationCounts.animals`.
        animals: the same stations with the number of animals in these groups.
        areas_km2: as for `estimate_density`.
    """
    n_groups = _rates(fit, groups, areas_km2).rate
    mean = _rates(fit, animals, areas_km2).rate / n_groups
    # The variance of a ratio is that of numerator - ratio x denominator.
    residuals = []
    for one, many in zip(groups, animals, strict=True):
        assert (
            one.animals is not None and many.animals is not None and one.slopes is not None and many.slopes is not None
        )
        residuals.append(
            replace(many, animals=many.animals - mean * one.animals, slopes=many.slopes - mean * one.slopes)
        )
    rates = _rates(fit, residuals, areas_km2)
    between = sum(square for square, _ in rates.variances)
    return mean, math.sqrt(between + delta_variance(rates.slopes, fit.information)[0]) / n_groups


class _Rates(NamedTuple):
    """Animals per snapshot if all strata are weighted. variances: between stations of each stratum, with degrees of freedom.

    slopes: of the rate in the parameters of the detection function (parameters).
    """

    rate: float
    variances: list[tuple[float, int]]
    slopes: Floats


def _rates(fit: DetectionFit, stations: Sequence[StationCounts], areas_km2: Mapping[str, float] | None) -> _Rates:
    strata = _group_by_stratum(stations)
    single = [stratum for stratum, members in strata.items() if len(members) < 2]
    if single and len(strata) > 1:
        raise InputError(
            f"stratum {single[0]!r} has 1 station, expected 2 or more for a variance between stations; merge the strata "
            "(--no-strata), or leave this one out"
        )
    shares = _area_shares(strata, areas_km2)
    rate, variances, slopes = 0.0, [], np.zeros(fit.n_parameters)
    for stratum, members in strata.items():
        counted = [_with_animals(station, fit) for station in members]
        found, share = estimate_encounter_rate(counted), shares[stratum]
        rate += share * found.rate
        variances.append((share**2 * found.variance, found.df))
        effort = sum(station.effort_snapshots for station in members)
        for station in counted:
            if station.slopes is not None:
                slopes = slopes + share / effort * station.slopes
    return _Rates(rate, variances, slopes)


def _with_animals(station: StationCounts, fit: DetectionFit) -> StationCounts:
    """The station with the animals that its detections stand for: by default n / Pa."""
    if station.animals is not None:
        return station
    return replace(station, animals=station.n / fit.pa, slopes=-station.n / fit.pa**2 * fit.pa_slopes)


def lognormal_interval(estimate: float, cv: float, df: float, level: float = 0.95) -> tuple[float, float]:
    """The interval from estimate / C to estimate * C, C = exp(t sqrt(log(1 + cv^2))) with Student's quantile t for df.

    Buckland et al. (2001), section 3.6. An infinite cv gives 0 to infinity.
    """
    from scipy.special import ndtri, stdtrit

    if not math.isfinite(cv):
        return 0.0, math.inf
    upper = (1 + level) / 2
    t = float(ndtri(upper) if math.isinf(df) else stdtrit(df, upper))
    factor = math.exp(t * math.sqrt(math.log1p(cv**2)))
    return estimate / factor, estimate * factor


def _satterthwaite(components: Sequence[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of variances, given each with its own: Satterthwaite (1946)."""
    if not all(math.isfinite(square) for square, _ in components):
        return 0.0
    total = sum(square**2 / df for square, df in components)
    return sum(square for square, _ in components) ** 2 / total if total > 0 else math.inf


def _check_inputs(fit: DetectionFit, stations: Sequence[StationCounts], multiplier: float, level: float) -> None:
    check_circle_share(multiplier, "the multiplier")
    if not 0 < level < 1:
        raise InputError(f"expected a level between 0 and 1, such as 0.95, got {level:g}; correct it")
    names = [station.station_id for station in stations]
    if len(set(names)) < len(names):
        repeated = min(name for name in names if names.count(name) > 1)
        raise InputError(f"station {repeated!r} appears twice; give each station once, with all its effort")
    n = sum(station.n for station in stations)
    if not n > 0:
        raise InputError(
            f"none of the {len(stations)} stations has a detection, so there is no density to estimate; check species, "
            "station names and truncation"
        )
    if n > fit.n * (1 + COUNT_TOLERANCE):
        raise InputError(
            f"the stations have {n:g} detections, but the detection function was fitted to {fit.n:g}; count only those from "
            f"{fit.left_m:g} to {fit.right_m:g} m"
        )


def _group_by_stratum(stations: Sequence[StationCounts]) -> dict[str, list[StationCounts]]:
    strata: dict[str, list[StationCounts]] = defaultdict(list)
    for station in stations:
        strata[station.stratum].append(station)
    return strata


def _area_shares(
    strata: Mapping[str, Sequence[StationCounts]], areas_km2: Mapping[str, float] | None
) -> dict[str, float]:
    """The share of each stratum in the total area."""
    if len(strata) == 1:
        return dict.fromkeys(strata, 1.0)
    areas = {stratum: (areas_km2 or {}).get(stratum, math.nan) for stratum in strata}
    invalid = [stratum for stratum, area in areas.items() if not 0 < area < math.inf]
    if invalid:
        raise InputError(
            f"several strata are weighted by area, got none above 0 for {invalid[0]!r}; give the area of each, or put all "
            "stations into one stratum"
        )
    total = sum(areas.values())
    return {stratum: area / total for stratum, area in areas.items()}


def _totals(stations: Sequence[StationCounts]) -> tuple[float, float]:
    return sum(station.n for station in stations), sum(station.effort_snapshots for station in stations)
