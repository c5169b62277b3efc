"""Model selection: the candidate detection functions, and the choice among their fits by AIC or QAIC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.function import KEY_FUNCTIONS, AdjustmentSeries, DetectionFunction, detection_function
from trapmeter.errors import InputError

KEY_ALIASES: Mapping[str, str] = {name: name for name in KEY_FUNCTIONS} | {
    "hn": "half-normal",
    "hr": "hazard-rate",
    "unif": "uniform",
}
SERIES_ALIASES: Mapping[str, AdjustmentSeries] = {
    "cosine": "cosine",
    "cos": "cosine",
    "hermite": "hermite",
    "herm": "hermite",
    "polynomial": "polynomial",
    "poly": "polynomial",
}
NO_SERIES = "none"
MAX_TERMS: Mapping[str, int] = {"uniform": 3, "half-normal": 2, "hazard-rate": 1}
"""Howe et al. (2019): uniform with one to three cosines, half-normal with none to two, hazard-rate with none or one."""


def candidate_functions(keys: Sequence[str] = (), adjustments: Sequence[str] = ()) -> tuple[DetectionFunction, ...]:
    """The detection functions that keys and adjustments name, each with each; without adjustments as in `MAX_TERMS`.

    Args:
        keys: half-normal, hazard-rate, uniform (or R's hn, hr, unif); all three when none is given.
        adjustments: `none`; a series (cosine, hermite, polynomial) for none up to the most terms of the key; or `cosine:2`
            for exactly so many.

    Raises:
        InputError: there is no such key or series.

    Example:
        >>> [one.name for one in candidates(["half-normal"], ["cosine"])]
        ['half-normal', 'half-normal + cosine(2)', 'half-normal + cosine(2, 3)']
    """
    chosen = list(dict.fromkeys(_resolve_key(name) for name in keys)) or ["uniform", "half-normal", "hazard-rate"]
    asked = [_parse_adjustment(text) for text in adjustments] or [("cosine", None)]
    functions = dict.fromkeys(function for key in chosen for one in asked for function in _functions_of_key(key, *one))
    # A uniform key without terms says that everything is seen. It is fitted only where nothing else is asked of that key.
    alone = detection_function("uniform")
    if alone in functions and sum(function.is_uniform for function in functions) > 1:
        del functions[alone]
    return tuple(functions)


def _functions_of_key(key: str, series: AdjustmentSeries | None, n_terms: int | None) -> Iterator[DetectionFunction]:
    if series is None or n_terms == 0:
        yield detection_function(key)
    elif n_terms is not None:
        yield detection_function(key, series, n_terms)
    else:
        yield detection_function(key)
        for number in range(1, MAX_TERMS[key] + 1):
            yield detection_function(key, series, number)


def _resolve_key(name: str) -> str:
    if name not in KEY_ALIASES:
        raise InputError(f"expected the key {', '.join(KEY_FUNCTIONS)}, got {name!r}; choose one of them")
    return KEY_ALIASES[name]


def _parse_adjustment(text: str) -> tuple[AdjustmentSeries | None, int | None]:
    name, has_number, number = text.partition(":")
    if name == NO_SERIES and not has_number:
        return None, 0
    if name not in SERIES_ALIASES or (has_number and not number.isdecimal()):
        raise InputError(
            f"expected the adjustment none, cosine, hermite or polynomial, or one with its number of terms, such as "
            f"cosine:2, got {text!r}; choose one of them"
        )
    return SERIES_ALIASES[name], int(number) if has_number else None


@dataclass(frozen=True, slots=True)
class ScoredFit:
    """A fit with what it is judged by. chat: of its key's most general function; is_best_of_key: by QAIC."""

    fit: DetectionFit
    chat: float
    qaic: float
    is_best_of_key: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """The fit that was selected among the candidates, which are in the order that was given."""

    best: DetectionFit
    scored_fits: tuple[ScoredFit, ...]


def qaic(fit: DetectionFit, chat: float) -> float:
    """-2 lnl / chat + 2 parameters; chat below 1 counts as 1 (Burnham & Anderson 2002, section 2.5)."""
    return -2 * fit.lnl / max(chat, 1.0) + 2 * fit.n_parameters


def select_by_aic(fits: Sequence[DetectionFit]) -> DetectionFit:
    """The fit with the least AIC, the first of equal ones: for independent observations.

    Raises:
        InputError: there is no fit, or they are not all of the same observations.
    """
    _check_same_data(fits)
    return min(fits, key=lambda fit: fit.aic)


def select_by_qaic(fits: Sequence[DetectionFit]) -> Selection:
    """The two steps of Howe et al. (2019).

    c-hat is chi-square over its degrees of freedom. Step 1 takes from each key the function with the least QAIC, all with the
    c-hat of the key's function with most parameters; step 2 takes the one of these whose own c-hat is least.

    Raises:
        InputError: there is no fit, they are not all of the same observations, or one has no chi-square or no degrees of
            freedom for it.
    """
    _check_same_data(fits)
    candidates: dict[int, ScoredFit] = {}
    for key in dict.fromkeys(fit.key for fit in fits):
        family = [number for number, fit in enumerate(fits) if fit.key == key]
        general = max(family, key=lambda number: fits[number].n_parameters)
        chat = estimate_overdispersion(fits[general])
        of_family = {number: qaic(fits[number], chat) for number in family}
        best = min(family, key=of_family.__getitem__)
        for number in family:
            candidates[number] = ScoredFit(fits[number], chat, of_family[number], number == best)
    of_keys = [candidate.fit for candidate in candidates.values() if candidate.is_best_of_key]
    return Selection(
        min(of_keys, key=estimate_overdispersion), tuple(candidates[number] for number in range(len(fits)))
    )


def estimate_overdispersion(fit: DetectionFit) -> float:
    """Chi-square of a fit over its degrees of freedom.

    Raises:
        InputError: the fit has no chi-square, or no degrees of freedom are left.
    """
    if fit.chi_square is None:
        raise InputError(
            f"QAIC needs a chi-square by bin, which the fit of {fit.function.name} to exact distances lacks; bin them"
        )
    if fit.chi_square.per_df is None:
        raise InputError(
            f"{len(fit.chi_square.bins)} bins leave no degrees of freedom for the {fit.n_parameters} parameters of "
            f"{fit.function.name}; give more cutpoints or fewer adjustments"
        )
    return fit.chi_square.per_df


def _check_same_data(fits: Sequence[DetectionFit]) -> None:
    if not fits:
        raise InputError("expected at least one fit to select from, got none")
    data = {(fit.n, fit.left_m, fit.right_m, _bin_starts(fit)) for fit in fits}
    if len(data) > 1:
        raise InputError(
            "the fits are of different observations, truncations or bins, so that their likelihoods don't compare; fit all "
            "to the same distances"
        )


def _bin_starts(fit: DetectionFit) -> tuple[float, ...]:
    return () if fit.chi_square is None else tuple(one.low_m for one in fit.chi_square.bins)
