"""Which detection function to take: by AIC, or by QAIC in two steps where observations are not independent.

Camera traps see the same animal in many snapshots, for which AIC chooses far too many terms. Howe et al. (2019) choose among
the functions of each key by QAIC, with the overdispersion factor c-hat of the most general one, and then among keys by c-hat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trapmeter.density.fit import DetectionFit
from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fit with what it is judged by. chat: of its key's most general function; is_best_of_key: by QAIC."""

    fit: DetectionFit
    chat: float
    qaic: float
    is_best_of_key: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """The fit that was selected among the candidates, which are in the order that was given."""

    best: DetectionFit
    candidates: tuple[Candidate, ...]


def qaic(fit: DetectionFit, chat: float) -> float:
    """-2 lnl / chat + 2 parameters; chat below 1 counts as 1 (Burnham & Anderson 2002, section 2.5)."""
    return -2 * fit.lnl / max(chat, 1.0) + 2 * fit.n_parameters


def select_by_aic(fits: Sequence[DetectionFit]) -> DetectionFit:
    """The fit with the least AIC, the first of equal ones: for independent observations.

    Raises:
        InputError: there is no fit, or they are not all of the same observations.
    """
    _check(fits)
    return min(fits, key=lambda fit: fit.aic)


def select_by_qaic(fits: Sequence[DetectionFit]) -> Selection:
    """The two steps of Howe et al. (2019).

    c-hat is chi-square over its degrees of freedom. Step 1 takes from each key the function with the least QAIC, all with the
    c-hat of the key's function with most parameters; step 2 takes the one of these whose own c-hat is least.

    Raises:
        InputError: there is no fit, they are not all of the same observations, or one has no chi-square or no degrees of
            freedom for it.
    """
    _check(fits)
    candidates: dict[int, Candidate] = {}
    for key in dict.fromkeys(fit.key for fit in fits):
        family = [number for number, fit in enumerate(fits) if fit.key == key]
        general = max(family, key=lambda number: fits[number].n_parameters)
        chat = chat_of(fits[general])
        of_family = {number: qaic(fits[number], chat) for number in family}
        best = min(family, key=of_family.__getitem__)
        for number in family:
            candidates[number] = Candidate(fits[number], chat, of_family[number], number == best)
    of_keys = [candidate.fit for candidate in candidates.values() if candidate.is_best_of_key]
    return Selection(min(of_keys, key=chat_of), tuple(candidates[number] for number in range(len(fits))))


def chat_of(fit: DetectionFit) -> float:
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


def _check(fits: Sequence[DetectionFit]) -> None:
    if not fits:
        raise InputError("expected at least one fit to select from, got none")
    data = {(fit.n, fit.left_m, fit.right_m, _edges(fit)) for fit in fits}
    if len(data) > 1:
        raise InputError(
            "the fits are of different observations, truncations or bins, so that their likelihoods don't compare; fit all "
            "to the same distances"
        )


def _edges(fit: DetectionFit) -> tuple[float, ...]:
    return () if fit.chi_square is None else tuple(one.low_m for one in fit.chi_square.bins)
