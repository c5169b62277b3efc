"""Which detection functions are tried: the eight of Howe et al. (2019), or what a user names by keys and adjustments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trapmeter.density.adjustments import Series
from trapmeter.density.detection import KEYS, DetectionFunction, detection_function
from trapmeter.errors import InputError

KEY_NAMES: Mapping[str, str] = {name: name for name in KEYS} | {
    "hn": "half-normal",
    "hr": "hazard-rate",
    "unif": "uniform",
}
SERIES_NAMES: Mapping[str, Series] = {
    "cosine": "cosine",
    "cos": "cosine",
    "hermite": "hermite",
    "herm": "hermite",
    "polynomial": "polynomial",
    "poly": "polynomial",
}
NO_SERIES = "none"
MOST_TERMS: Mapping[str, int] = {"uniform": 3, "half-normal": 2, "hazard-rate": 1}
"""Howe et al. (2019): uniform with one to three cosines, half-normal with none to two, hazard-rate with none or one."""


def candidates(keys: Sequence[str] = (), adjustments: Sequence[str] = ()) -> tuple[DetectionFunction, ...]:
    """The detection functions that keys and adjustments name, each with each; without adjustments as in `MOST_TERMS`.

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
    chosen = list(dict.fromkeys(_key(name) for name in keys)) or ["uniform", "half-normal", "hazard-rate"]
    asked = [_adjustment(text) for text in adjustments] or [("cosine", None)]
    functions = dict.fromkeys(function for key in chosen for one in asked for function in _functions(key, *one))
    # A uniform key without terms says that everything is seen. It is fitted only where nothing else is asked of that key.
    alone = detection_function("uniform")
    if alone in functions and sum(function.is_uniform for function in functions) > 1:
        del functions[alone]
    return tuple(functions)


def _functions(key: str, series: Series | None, n_terms: int | None) -> Iterator[DetectionFunction]:
    if series is None or n_terms == 0:
        yield detection_function(key)
    elif n_terms is not None:
        yield detection_function(key, series, n_terms)
    else:
        yield detection_function(key)
        for number in range(1, MOST_TERMS[key] + 1):
            yield detection_function(key, series, number)


def _key(name: str) -> str:
    if name not in KEY_NAMES:
        raise InputError(f"expected the key {', '.join(KEYS)}, got {name!r}; choose one of them")
    return KEY_NAMES[name]


def _adjustment(text: str) -> tuple[Series | None, int | None]:
    name, has_number, number = text.partition(":")
    if name == NO_SERIES and not has_number:
        return None, 0
    if name not in SERIES_NAMES or (has_number and not number.isdecimal()):
        raise InputError(
            f"expected the adjustment none, cosine, hermite or polynomial, or one with its number of terms, such as "
            f"cosine:2, got {text!r}; choose one of them"
        )
    return SERIES_NAMES[name], int(number) if has_number else None
