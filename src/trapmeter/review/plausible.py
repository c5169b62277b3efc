"""Which typed distances the page questions: a slip such as 420 for 42.0 would count as a label."""

from __future__ import annotations

from trapmeter.errors import TrapmeterError
from trapmeter.records import Distance
from trapmeter.tables.metres import FARTHEST_KNOWN_M

UNUSUAL_M = 50.0
"""Twice the farthest training label. Camera traps trigger up to some 30 m."""
INTERVAL_FACTOR = 3.0
"""How far beyond the 90 % interval a distance may be. Of 15,229 true distances, 1 % were farther from their interval in the
held-out predictions of the box model, and 94 % of them if multiplied or divided by 10."""


class DoubtfulDistanceError(TrapmeterError):
    """A typed distance is implausible; nothing changed. can_confirm: whether it is accepted if sent again as confirmed."""

    def __init__(self, text: str, *, can_confirm: bool) -> None:
        super().__init__(text)
        self.can_confirm = can_confirm


def check_distance(metres: float, measured: Distance | None, *, is_confirmed: bool) -> None:
    """Checks a distance that a person typed. measured: the row's measured distance, None for an added animal.

    Raises:
        DoubtfulDistanceError: it is beyond FARTHEST_KNOWN_M, or unless confirmed, beyond UNUSUAL_M or INTERVAL_FACTOR times
            outside the measured 90 % interval.
    """
    if metres > FARTHEST_KNOWN_M:
        raise DoubtfulDistanceError(
            f"{metres:g} m: at most {FARTHEST_KNOWN_M:g} m can be entered{_guess(metres)}; correct it",
            can_confirm=False,
        )
    if not is_confirmed and (reason := _reason_for_doubt(metres, measured)):
        raise DoubtfulDistanceError(
            f"{metres:g} m is {reason}{_guess(metres)}: press Enter again if it is right, or correct it",
            can_confirm=True,
        )


def _reason_for_doubt(metres: float, measured: Distance | None) -> str:
    # A distance that a person gave has an interval without width.
    if measured is not None and measured.low_m < measured.high_m:
        is_far = metres > INTERVAL_FACTOR * measured.high_m
        if is_far or metres < measured.low_m / INTERVAL_FACTOR:
            side = "above" if is_far else "below"
            return f"far {side} the measured {measured.low_m:.1f} to {measured.high_m:.1f} m"
    return "unusually far" if metres > UNUSUAL_M else ""


def _guess(metres: float) -> str:
    return f" (was {metres / 10:.1f} m meant?)" if UNUSUAL_M < metres <= 10 * FARTHEST_KNOWN_M else ""
