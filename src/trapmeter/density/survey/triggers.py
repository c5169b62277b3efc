"""How a motion-triggered camera photographs: in bursts, and blind for a while after each, as told or learnt from times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from trapmeter.density.detection.quadrature import Floats
from trapmeter.errors import InputError
from trapmeter.settings import Parsed

MAX_SPACING_S = 10.0
"""Photographs that are farther apart than this are of different triggers, unless the user tells another spacing."""
MAX_RETRIGGER_S = 300.0
"""Gaps up to this length may be those between two triggers by one animal; longer ones tell nothing about the camera."""
RETRIGGER_QUANTILE = 0.05
"""Of the gaps between triggers, the quantile that is the camera's recovery time: the shortest may be slips of a clock."""
FEWEST_GAPS = 10
"""Gaps that a recovery time is learnt from."""
REGULAR_SHARE = 0.7
"""The least share of rows of photographs that are whole bursts, and of their gaps that are alike."""
CLOCK_S = 1.0
"""Cameras write times in whole seconds, so two times may be off by one against each other."""
_BURST = re.compile(r"(\d+)(?:\s*[x×*]\s*(\d+(?:\.\d+)?)\s*s?)?")


@dataclass(frozen=True, slots=True)
class Burst:
    """The photographs of one trigger: n of them, spacing_s seconds apart (0 for a single one)."""

    n: int
    spacing_s: float = 0.0

    def __post_init__(self) -> None:
        if self.n < 1 or (self.n > 1) != (self.spacing_s > 0):
            raise _no_burst(f"{self.n} x {self.spacing_s:g}")

    @property
    def length_s(self) -> float:
        """From the first photograph to the last."""
        return (self.n - 1) * self.spacing_s

    def __str__(self) -> str:
        return f"{self.n} x {self.spacing_s:g}" if self.n > 1 else "1"


def parse_burst(text: str) -> Burst:
    """The burst that a text stands for: '3 x 1' is three photographs, a second apart; '1' is a single one.

    Raises:
        InputError: it is something else.
    """
    found = _BURST.fullmatch(text.strip())
    n, spacing_s = (int(found[1]), float(found[2] or 0.0)) if found else (0, 0.0)
    if n < 1 or (n > 1 and not spacing_s):
        raise _no_burst(text)
    return Burst(n, spacing_s if n > 1 else 0.0)


def _no_burst(text: str) -> InputError:
    return InputError(
        "--burst: expected the number of photographs of a trigger and the seconds between them, such as '3 x 1', or 1 for "
        f"single photographs; got {text!r}"
    )


BurstSetting = Annotated[Burst | None, Parsed(parse_burst), Parameter(name="--burst")]
"""A setting: the photographs of one trigger."""


@dataclass(frozen=True, slots=True)
class TriggerTiming:
    """The burst of a camera, and the seconds after its last photograph during which nothing can trigger it.

    is_burst_learnt, is_retrigger_learnt: whether times of photographs gave them, rather than the user.
    """

    burst: Burst
    retrigger_s: float
    is_burst_learnt: bool = False
    is_retrigger_learnt: bool = False

    @property
    def busy_s(self) -> float:
        """From a trigger until the camera can be triggered again."""
        return self.burst.length_s + self.retrigger_s

    def __str__(self) -> str:
        n, spacing_s = self.burst.n, self.burst.spacing_s
        photographs = f"bursts of {n} photographs {spacing_s:g} s apart" if n > 1 else "single photographs"
        learnt = " (learnt from times)"
        return (
            f"{photographs}{learnt * self.is_burst_learnt}, and ready again after {self.retrigger_s:g} s"
            f"{learnt * self.is_retrigger_learnt}"
        )


def find_timing(
    cameras: Sequence[Floats], *, burst: Burst | None = None, retrigger_s: float | None = None
) -> tuple[TriggerTiming, tuple[str, ...]]:
    """The timing of the survey's cameras: what the user told, and the rest from the times of their photographs; and notes.

    cameras: times of all photographs of each camera in seconds, ascending.

    Raises:
        InputError: there are too few times to learn from, or they contradict what the user told.
    """
    is_burst_learnt, is_retrigger_learnt = burst is None, retrigger_s is None
    burst = _learn_burst(cameras) if burst is None else burst
    starts = [group_bursts(times_s, burst) for times_s in cameras]
    gaps = np.concatenate([_gaps_between_bursts(*pair) for pair in zip(cameras, starts, strict=True)] or [np.zeros(0)])
    gaps = gaps[gaps <= max(MAX_RETRIGGER_S, 2 * (retrigger_s or 0.0))]
    notes = list(_note_incomplete(cameras, starts, burst))
    if retrigger_s is None:
        if len(gaps) < FEWEST_GAPS:
            raise InputError(
                f"the photographs have {len(gaps):,} triggers within {MAX_RETRIGGER_S:g} s of another, too few to learn "
                "after how many seconds a camera can be triggered again; give that from its settings, such as --retrigger 5"
            )
        retrigger_s = float(np.round(np.quantile(gaps, RETRIGGER_QUANTILE), 1))
    else:
        notes += _check_retrigger(gaps, retrigger_s)
    return TriggerTiming(burst, retrigger_s, is_burst_learnt, is_retrigger_learnt), tuple(notes)


def group_bursts(times_s: Floats, burst: Burst) -> list[int]:
    """The index of the first photograph of each trigger. A burst may lack photographs, such as deleted ones.

    times_s: of one camera, ascending.
    """
    starts: list[int] = []
    end_s = -np.inf
    slack_s = max(burst.spacing_s / 2, CLOCK_S) if burst.n > 1 else 0.0
    for index, time_s in enumerate(times_s.tolist()):
        if not starts or index - starts[-1] >= burst.n or time_s > end_s:
            starts.append(index)
            end_s = time_s + burst.length_s + slack_s
    return starts


def _learn_burst(cameras: Iterable[Floats]) -> Burst:
    """The most common number of photographs in a row, and their mean spacing.

    A row is photographs as close as the most common gap of a few seconds. Bursts are complete and of one spacing, so most
    rows are of n photographs or multiples of it, and most of their gaps are alike. Rows of single photographs are neither.
    """
    gaps = [np.diff(times_s) for times_s in cameras if len(times_s)]
    near = np.concatenate([gap[gap <= MAX_SPACING_S] for gap in gaps] or [np.zeros(0)])
    if not len(near):
        return Burst(1)
    usual_s = min(Counter(np.round(near, 1).tolist()).most_common(), key=lambda item: (-item[1], item[0]))[0]
    limit_s = max(1.5 * usual_s, min(usual_s + CLOCK_S, MAX_SPACING_S)) + 1e-6
    rows: list[Floats] = []
    for gap in gaps:
        edges = [-1, *np.flatnonzero(gap > limit_s).tolist(), len(gap)]
        rows += [gap[before + 1 : after] for before, after in pairwise(edges)]
    n = 1 + min(Counter(map(len, rows)).most_common(), key=lambda item: (-item[1], item[0]))[0]
    is_alike = np.abs(np.concatenate(rows) - usual_s) <= 0.1 * usual_s + CLOCK_S
    n_whole = sum((len(row) + 1) % n == 0 for row in rows)
    if n == 1 or min(n_whole / len(rows), float(is_alike.mean())) < REGULAR_SHARE:
        return Burst(1)
    spacing_s = float(np.mean(np.concatenate([row for row in rows if len(row) == n - 1])))
    # Several photographs with one time are less than a second apart.
    return Burst(n, max(round(spacing_s, 1), round(CLOCK_S / n, 1)))


def _gaps_between_bursts(times_s: Floats, starts: Sequence[int]) -> Floats:
    """Seconds from the last photograph of each trigger to the next trigger of a camera."""
    following = np.array(starts[1:], np.intp)
    return times_s[following] - times_s[following - 1]


def _note_incomplete(cameras: Sequence[Floats], starts: Sequence[Sequence[int]], burst: Burst) -> Iterable[str]:
    sizes = [
        size
        for times_s, of_camera in zip(cameras, starts, strict=True)
        for size in np.diff([*of_camera, len(times_s)]).tolist()
    ]
    n_complete = sum(size == burst.n for size in sizes)
    if sizes and n_complete < len(sizes) / 2:
        yield (
            f"only {n_complete:,} of {len(sizes):,} triggers have {burst.n} photographs: give the times of all photographs, "
            "those without animals too, or correct --burst"
        )


def _check_retrigger(gaps: Floats, retrigger_s: float) -> Iterable[str]:
    """Refuses a recovery time that most gaps between triggers contradict, and notes one that some do."""
    if not len(gaps):
        return
    share, median = float(np.mean(gaps < retrigger_s - CLOCK_S)), float(np.median(gaps))
    text = (
        f"--retrigger {retrigger_s:g}: {share:.0%} of {len(gaps):,} triggers come sooner than {retrigger_s:g} s after "
    )
    text += f"another (the median gap is {median:.3g} s)"
    if share > 0.5:
        raise InputError(
            f"{text}; give the time after which the camera can be triggered again, or leave the option out"
        )
    if share > RETRIGGER_QUANTILE:
        yield f"{text}; check the camera's settings and --burst"
