"""Animal density from a fitted detection function and what each camera saw, with its variance and interval.

D = n / (m pi w^2 Pa T), with n detections, w the truncation, Pa the share detected inside it, T the snapshots of all cameras
and m the share of a full circle that a camera covers, theta / 360. That is Howe et al. (2017) with theta in degrees, and what
R's flat files have (Effort in snapshots, multiplier m). Ordinary point transects have m = 1 and T visits.

Where the detection function is concerned, the interval takes snapshots as independent. Camera traps see one animal many
times, so that it is too narrow there; a bootstrap over stations isn't.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import variance

from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.survey.survey import StationCounts
from trapmeter.errors import InputError

SQUARE_METRES_IN_KM2 = 1e6
COUNT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Availability:
    """Share (0..1) of the time with effort in which animals could be detected at all, and its standard error."""

    share: float
    se: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.share <= 1 and 0 <= self.se < math.inf):
            raise InputError(
                f"expected an availability above 0 and up to 1 and its standard error, got {self.share:g} and {self.se:g}; "
                "give 1 where effort was counted only while all animals are active"
            )


@dataclass(frozen=True, slots=True)
class DensityEstimate:
    """Animals per square kilometre with standard error and interval; cv is se / density.

    df: degrees of freedom of the interval. The three cv are the parts of cv: its square is the sum of theirs.
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
    """Detections per snapshot and the variance of that; df: stations - 1."""

    rate: float
    variance: float
    df: int


def circle_share(theta_deg: float) -> float:
    """The share m of a full circle that a camera with this angle of view covers: theta / 360, theta in degrees.

    Raises:
        InputError: the angle is not above 0 and up to 360, or so small that it must be radians.
    """
    if not 0 < theta_deg <= 360:
        raise InputError(f"expected an angle of view above 0 and up to 360 degrees, got {theta_deg:g}; correct it")
    if theta_deg <= 2 * math.pi:
        raise InputError(
            f"expected an angle of view in degrees, got {theta_deg:g}, which looks like radians; "
            f"give {math.degrees(theta_deg):.4g} if so"
        )
    return theta_deg / 360


def estimate_encounter_rate(stations: Sequence[StationCounts]) -> EncounterRate:
    """Detections per snapshot over all stations, with the variance P2 of Fewster et al. (2009, web appendix).

    With K stations, n_k detections and T_k snapshots at each: 1 / (K (K - 1)) times the sum of (n_k / T_k - mean of these)^2.
    Stations count alike whatever their effort, as in R's mrds; the rate itself is weighted by effort.

    Raises:
        InputError: there are fewer than 2 stations.
    """
    k = len(stations)
    if k < 2:
        raise InputError(
            f"the encounter rate varies between stations, so that at least 2 are needed, got {k}; name the station of each "
            "observation, and give those without a detection too"
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
    the interval is lognormal with the degrees of freedom of Satterthwaite (Buckland et al. 2001, section 3.6). The detection
    function is one for all strata; for the density of one stratum pass its stations only.

    Args:
        fit: of the same observations.
        stations: with their detections inside the fit's truncation, those without any too.
        multiplier: m above, the share (0..1) of a circle that cameras cover; see `circle_share`.
        areas_km2: of each stratum, needed with several (any unit, they are weights).
        availability: all of the time when not given.
        level: of the interval, 0..1.

    Raises:
        InputError: there are fewer than 2 stations in a stratum, no detections, detections that the fit doesn't know, an area
            that is missing, or a multiplier or level out of range.
    """
    _check_inputs(fit, stations, multiplier, level)
    seen = availability or Availability(1.0)
    per_rate = SQUARE_METRES_IN_KM2 / (multiplier * math.pi * fit.right_m**2 * fit.pa * seen.share)
    strata = _group_by_stratum(stations)
    alone = [stratum for stratum, members in strata.items() if len(members) < 2]
    if alone and len(strata) > 1:
        raise InputError(
            f"stratum {alone[0]!r} has 1 station, of which no variance between stations can be told, expected 2 or more; put "
            "strata together (--no-strata), or leave this one out"
        )
    shares = _area_shares(strata, areas_km2)
    rates = {stratum: estimate_encounter_rate(members) for stratum, members in strata.items()}
    density = per_rate * sum(shares[stratum] * rate.rate for stratum, rate in rates.items())
    of_rates = [((per_rate * shares[stratum]) ** 2 * rate.variance, rate.df) for stratum, rate in rates.items()]
    # (squared cv, degrees of freedom)
    parts = [(spread / density**2, float(df)) for spread, df in of_rates]
    parts += [(fit.pa_cv**2, fit.n - fit.n_parameters), ((seen.se / seen.share) ** 2, math.inf)]
    cv = math.sqrt(sum(square for square, _ in parts))
    df = _satterthwaite(parts)
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
        encounter_cv=math.sqrt(sum(spread for spread, _ in of_rates)) / density,
        detection_cv=fit.pa_cv,
        availability_cv=seen.se / seen.share,
    )


def lognormal_interval(estimate: float, cv: float, df: float, level: float = 0.95) -> tuple[float, float]:
    """The interval from estimate / C to estimate * C with C = exp(t sqrt(log(1 + cv^2))), t Student's quantile of df.

    Buckland et al. (2001), section 3.6. An infinite cv gives 0 to infinity.
    """
    from scipy.special import ndtri, stdtrit

    if not math.isfinite(cv):
        return 0.0, math.inf
    upper = (1 + level) / 2
    t = float(ndtri(upper) if math.isinf(df) else stdtrit(df, upper))
    factor = math.exp(t * math.sqrt(math.log1p(cv**2)))
    return estimate / factor, estimate * factor


def _satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of variances (each with its own): Satterthwaite (1946)."""
    if not all(math.isfinite(square) for square, _ in parts):
        return 0.0
    total = sum(square**2 / df for square, df in parts)
    return sum(square for square, _ in parts) ** 2 / total if total > 0 else math.inf


def _check_inputs(fit: DetectionFit, stations: Sequence[StationCounts], multiplier: float, level: float) -> None:
    if not 0 < multiplier <= 1:
        raise InputError(
            f"expected a multiplier above 0 and up to 1, the share of a circle that cameras cover (42 degrees: 42/360), got "
            f"{multiplier:g}; divide degrees by 360"
        )
    if not 0 < level < 1:
        raise InputError(f"expected a level between 0 and 1, such as 0.95, got {level:g}; correct it")
    names = [station.station_id for station in stations]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputError(f"station {twice[0]!r} stands twice; give each station once, with all its effort")
    n = sum(station.n for station in stations)
    if not n > 0:
        raise InputError(
            f"none of the {len(stations)} stations has a detection, so that there is no density to estimate; check species, "
            "station names and truncation"
        )
    if n > fit.n * (1 + COUNT_TOLERANCE):
        raise InputError(
            f"the stations have {n:g} detections, but the detection function was fitted to {fit.n:g}; count only those of "
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
    """The share of each stratum in the whole area."""
    if len(strata) == 1:
        return dict.fromkeys(strata, 1.0)
    areas = {stratum: (areas_km2 or {}).get(stratum, math.nan) for stratum in strata}
    wrong = [stratum for stratum, area in areas.items() if not 0 < area < math.inf]
    if wrong:
        raise InputError(
            f"with several strata the area of each is needed to weight it, got none above 0 for {wrong[0]!r}; give the "
            "areas, or put all stations into one stratum"
        )
    whole = sum(areas.values())
    return {stratum: area / whole for stratum, area in areas.items()}


def _totals(stations: Sequence[StationCounts]) -> tuple[float, float]:
    return sum(station.n for station in stations), sum(station.effort_snapshots for station in stations)
