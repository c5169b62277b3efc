"""The density estimate from a fit and the encounter rate, with its variance and interval.

D = n / (m pi w^2 Pa T), with n detections, w the truncation, Pa the share detected inside it, T the snapshots of all cameras
and m the share of a full circle that a camera covers, theta / 360. This is Howe et al. (2017) with theta in degrees, and the
form of R's flat files (Effort in snapshots, multiplier m). Ordinary point transects have m = 1 and T visits.

The uncertainty of the detection function assumes independent snapshots. Camera traps detect one animal many times, so the
interval is too narrow in this respect; the interval of a bootstrap over stations isn't.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import variance

from trapmeter.density.detection.fit import DetectionFit
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
class EncounterRate:
    """Detections per snapshot and their variance; df: stations - 1."""

    rate: float
    variance: float
    df: int


def covered_area_m2(multiplier: float, right_m: float) -> float:
    """The area that a camera covers in each snapshot up to the truncation: m pi w^2, square metres."""
    return multiplier * math.pi * right_m**2


def estimate_encounter_rate(stations: Sequence[StationCounts]) -> EncounterRate:
    """Detections per snapshot over all stations, with the variance P2 of Fewster et al. (2009, web appendix).

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
    n, effort = _totals(stations)
    rates = [station.n / station.effort_snapshots for station in stations]
    return EncounterRate(n / effort, variance(rates) / k, k - 1)


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
        stations: all of them, with their detections inside the fit's truncation.
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
    area_m2 = covered_area_m2(multiplier, fit.right_m)
    per_rate = SQUARE_METRES_IN_KM2 / (area_m2 * fit.pa * availability.share)
    strata = _group_by_stratum(stations)
    single = [stratum for stratum, members in strata.items() if len(members) < 2]
    if single and len(strata) > 1:
        raise InputError(
            f"stratum {single[0]!r} has 1 station, expected 2 or more for a variance between stations; merge the strata "
            "(--no-strata), or leave this one out"
        )
    shares = _area_shares(strata, areas_km2)
    rates = {stratum: estimate_encounter_rate(members) for stratum, members in strata.items()}
    density = per_rate * sum(shares[stratum] * rate.rate for stratum, rate in rates.items())
    rate_variances = [((per_rate * shares[stratum]) ** 2 * rate.variance, rate.df) for stratum, rate in rates.items()]
    availability_cv = availability.se / availability.share
    # (squared cv, degrees of freedom)
    components = [(rate_variance / density**2, float(df)) for rate_variance, df in rate_variances]
    components += [(fit.pa_cv**2, fit.n - fit.n_parameters), (availability_cv**2, math.inf)]
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
        encounter_cv=math.sqrt(sum(rate_variance for rate_variance, _ in rate_variances)) / density,
        detection_cv=fit.pa_cv,
        availability_cv=availability_cv,
    )


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
