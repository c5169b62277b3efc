"""Model selection: the candidate detection functions, and the choice among their fits by AIC or QAIC.

Camera traps detect the same animal in many snapshots, for which AIC chooses far too many terms. Howe et al. (2019) choose
among the functions of each key by QAIC, with the overdispersion factor c-hat of the most general one, and then among keys by
c-hat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trapmeter.density.detection.distances import BinnedDistances, Distances
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.function import (
    KEY_FUNCTIONS,
    R_KEY_NAMES,
    R_SERIES_NAMES,
    AdjustmentSeries,
    DetectionFunction,
    detection_function,
)
from trapmeter.errors import InputError

KEY_ALIASES: Mapping[str, str] = {name: name for name in KEY_FUNCTIONS} | {r: key for key, r in R_KEY_NAMES.items()}
SERIES_ALIASES: Mapping[str, AdjustmentSeries] = {
    name: series for series, r in R_SERIES_NAMES.items() for name in (series, r)
}
NO_SERIES = "none"
MAX_TERMS: Mapping[str, int] = {"uniform": 3, "half-normal": 2, "hazard-rate": 1}
"""Howe et al. (2019): uniform with one to three cosines, half-normal with none to two, hazard-rate with none or one."""


class SelectBy(StrEnum):
    """The criterion by which a detection function is selected."""

    QAIC = "qaic"
    AIC = "aic"

    @property
    def rule(self) -> str:
        """For messages and the report."""
        return "AIC" if self is SelectBy.AIC else "QAIC within each key, and chi-square / df between keys"


def candidate_functions(keys: Sequence[str] = (), adjustments: Sequence[str] = ()) -> tuple[DetectionFunction, ...]:
    """The detection functions named by keys and adjustments, in all combinations; by default the eight of Howe et al. (2019).

    Args:
        keys: half-normal, hazard-rate, uniform (or R's hn, hr, unif); all three by default.
        adjustments: `none`; a series (cosine, hermite, polynomial) with no terms up to `MAX_TERMS` of the key; or `cosine:2`
            for exactly two terms. Cosine by default. `hazard-rate=polynomial` is for one key, which then takes none of the
            others.

    Raises:
        InputError: there is no such key or series, or adjustments are for a key that isn't among the keys.

    Example:
        >>> [function.name for function in candidate_functions(["half-normal"], ["cosine"])]
        ['half-normal', 'half-normal + cosine(2)', 'half-normal + cosine(2, 3)']
    """
    chosen = list(dict.fromkeys(_resolve_key(name) for name in keys)) or ["uniform", "half-normal", "hazard-rate"]
    by_key = _adjustments_by_key(adjustments)
    unused = sorted(by_key.keys() - {"", *chosen})
    if unused:
        raise InputError(
            f"adjustments are for the key {unused[0]}, but the keys are {', '.join(chosen)}; add it to --key"
        )
    functions = dict.fromkeys(
        function
        for key in chosen
        for text in by_key.get(key) or by_key.get("") or ("cosine",)
        for function in _functions_of_key(key, *_parse_adjustment(text))
    )
    # A uniform key without terms detects everything. It is fitted only if it is the only function of that key.
    constant = detection_function("uniform")
    if constant in functions and sum(function.is_uniform for function in functions) > 1:
        del functions[constant]
    return tuple(functions)


def _adjustments_by_key(adjustments: Sequence[str]) -> dict[str, list[str]]:
    """The adjustments that name a key by that key, and the others by ""."""
    by_key: dict[str, list[str]] = {}
    for text in adjustments:
        key, equals, adjustment = text.partition("=")
        by_key.setdefault(_resolve_key(key.strip()) if equals else "", []).append(
            adjustment.strip() if equals else text
        )
    return by_key


def _functions_of_key(key: str, series: AdjustmentSeries | None, n_terms: int | None) -> Iterator[DetectionFunction]:
    if series is None or n_terms == 0:
        yield detection_function(key)
    elif n_terms is not None:
        yield detection_function(key, series, n_terms)
    else:
        yield detection_function(key)
        for n in range(1, MAX_TERMS[key] + 1):
            yield detection_function(key, series, n)


def _resolve_key(name: str) -> str:
    if name not in KEY_ALIASES:
        raise InputError(f"expected the key {', '.join(KEY_FUNCTIONS)}, got {name!r}")
    return KEY_ALIASES[name]


def _parse_adjustment(text: str) -> tuple[AdjustmentSeries | None, int | None]:
    name, colon, n_terms = text.partition(":")
    if name == NO_SERIES and not colon:
        return None, 0
    if name not in SERIES_ALIASES or (colon and not n_terms.isdecimal()):
        raise InputError(
            f"expected the adjustment none, cosine, hermite or polynomial, or a series with its number of terms, such as "
            f"cosine:2, got {text!r}"
        )
    return SERIES_ALIASES[name], int(n_terms) if colon else None


@dataclass(frozen=True, slots=True)
class ScoredFit:
    """A fit with its QAIC. chat: of the most general function of the key. is_best_of_key: whether its QAIC is the least."""

    fit: DetectionFit
    chat: float
    qaic: float
    is_best_of_key: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected fit, and all candidates in the given order."""

    best: DetectionFit
    scored_fits: tuple[ScoredFit, ...]


def qaic(fit: DetectionFit, chat: float) -> float:
    """QAIC: -2 lnl / chat + 2 parameters; chat below 1 counts as 1 (Burnham & Anderson 2002, section 2.5).

    The parameters are those of the detection function. R's Distance adds one for chat: 2 more for each model.
    """
    return -2 * fit.lnl / max(chat, 1.0) + 2 * fit.n_parameters


def select_by_aic(fits: Sequence[DetectionFit]) -> DetectionFit:
    """The fit with the least AIC, or the first of equal ones: for independent observations.

    Raises:
        InputError: there is no fit, or they don't share the same observations.
    """
    _check_same_data(fits)
    return min(fits, key=lambda fit: fit.aic)


def select_by_qaic(fits: Sequence[DetectionFit]) -> Selection:
    """Selects in the two steps of Howe et al. (2019).

    c-hat is chi-square over its degrees of freedom. Step 1 takes the function with the least QAIC from each key, with the
    c-hat of the most general function of the key. Step 2 takes the one of these whose own c-hat is least.

    Raises:
        InputError: there is no fit, they don't share the same observations, or one has no chi-square or no degrees of freedom
            for it.
    """
    _check_same_data(fits)
    scored: dict[int, ScoredFit] = {}
    for key in dict.fromkeys(fit.key for fit in fits):
        chat = estimate_overdispersion(_most_general_fit(fits, key))
        scores = {index: qaic(fit, chat) for index, fit in enumerate(fits) if fit.key == key}
        best = min(scores, key=scores.__getitem__)
        scored |= {index: ScoredFit(fits[index], chat, score, index == best) for index, score in scores.items()}
    best_of_keys = [candidate.fit for candidate in scored.values() if candidate.is_best_of_key]
    return Selection(min(best_of_keys, key=estimate_overdispersion), tuple(scored[index] for index in range(len(fits))))


def plausible_fits(fits: Sequence[DetectionFit], functions: Sequence[DetectionFunction]) -> list[DetectionFit]:
    """The fits without doubts; all of them if there are none, and only one key was asked for.

    functions: the candidates, fitted or not.

    Raises:
        InputError: there are doubts about all fits, and several keys were asked for.
    """
    plausible = [fit for fit in fits if not fit.doubts]
    if plausible or len({function.key.name for function in functions}) == 1:
        return plausible or list(fits)
    reasons = "; ".join(f"{fit.function.name} {fit.doubts[0]}" for fit in fits)
    raise InputError(
        f"there are doubts about each function, so none is chosen by itself: {reasons}. Leave out the nearest distances by a "
        "farther first cutpoint or left truncation, give other cutpoints, or ask for one key, such as --key half-normal"
    )


def select_fit(fits: Sequence[DetectionFit], criterion: SelectBy) -> DetectionFit:
    """The best of the fits; a single fit is selected without a criterion. See `plausible_fits` for which to give.

    Raises:
        InputError: the criterion is QAIC, and the fits have no chi-square to estimate overdispersion from.
    """
    if len(fits) == 1:
        return fits[0]
    return select_by_aic(fits) if criterion is SelectBy.AIC else select_by_qaic(fits).best


def default_criterion(distances: Distances) -> SelectBy:
    """QAIC for binned distances, AIC for exact ones."""
    return SelectBy.QAIC if isinstance(distances, BinnedDistances) else SelectBy.AIC


def overdispersion_of_key(fits: Sequence[DetectionFit], key: str) -> float | None:
    """The c-hat of the most general function of a key; None if it has no chi-square or no degrees of freedom."""
    chi_square = _most_general_fit(fits, key).chi_square
    return None if chi_square is None else chi_square.per_df


def estimate_overdispersion(fit: DetectionFit) -> float:
    """The c-hat of a fit: chi-square over its degrees of freedom.

    Raises:
        InputError: the fit has no chi-square, or no degrees of freedom are left.
    """
    if fit.chi_square is None:
        raise InputError(
            f"QAIC needs a chi-square by bin, which the fit of {fit.function.name} to exact distances lacks; give cutpoints"
        )
    if fit.chi_square.per_df is None:
        raise _no_degrees_of_freedom(fit.function, len(fit.chi_square.bins))
    return fit.chi_square.per_df


def check_degrees_of_freedom(function: DetectionFunction, n_bins: int) -> None:
    """Raises InputError if chi-square over n_bins has no degrees of freedom left, which QAIC needs."""
    if n_bins - 1 <= len(function.parameter_names):
        raise _no_degrees_of_freedom(function, n_bins)


def _no_degrees_of_freedom(function: DetectionFunction, n_bins: int) -> InputError:
    return InputError(
        f"{n_bins} bins leave no degrees of freedom for the {len(function.parameter_names)} parameters of {function.name}, "
        "which QAIC needs; give more cutpoints or fewer adjustments, or select by AIC"
    )


def _most_general_fit(fits: Sequence[DetectionFit], key: str) -> DetectionFit:
    return max((fit for fit in fits if fit.key == key), key=lambda fit: fit.n_parameters)


def _check_same_data(fits: Sequence[DetectionFit]) -> None:
    if not fits:
        raise InputError("expected at least one fit to select from, got none")
    data = {(fit.n, fit.left_m, fit.right_m, _bin_starts(fit)) for fit in fits}
    if len(data) > 1:
        raise InputError(
            "the fits have different observations, truncations or bins, so their likelihoods can't be compared; fit all of "
            "them to the same distances"
        )


def _bin_starts(fit: DetectionFit) -> tuple[float, ...]:
    return () if fit.chi_square is None else tuple(count.low_m for count in fit.chi_square.bins)
