"""The requests of the review page as checked records."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from trapmeter.errors import InputError
from trapmeter.records import Status
from trapmeter.review.decisions import XYXY, DecisionKind
from trapmeter.review.listing import RowFilter, RowOrder
from trapmeter.review.results import Results


class DecisionRequest(BaseModel):
    """A decision as the page sends it; for the fields see `Decision`.

    confirmed: the reviewer has confirmed a doubtful distance. show: the number of the row to show next.
    """

    model_config = ConfigDict(extra="forbid")

    kind: DecisionKind
    row: int
    base: int = 0
    distance_m: float | None = None
    xyxy: XYXY | None = None
    target: int | None = None
    species: str | None = None
    confirmed: bool = False
    show: int | None = None


class BlindRequest(BaseModel):
    """Whether to hide the model's answers from now on."""

    model_config = ConfigDict(extra="forbid")

    on: bool


def read_filter(query: Mapping[str, str], results: Results, default_order: RowOrder = RowOrder.DOUBT) -> RowFilter:
    """The filter in a query: site (index into `results.sites`), status, low and high (metres), decided (no or yes), order.

    Empty or missing values do not filter.

    Raises:
        InputError: a value is not valid.
    """
    site = _number(query, "site")
    if site is not None and not (site == int(site) and 0 <= site < len(results.sites)):
        raise InputError(f"there is no site number {query['site']}")
    try:
        status = Status(query["status"]) if query.get("status") else None
    except ValueError:
        raise InputError(f"status must be one of {', '.join(Status)}; got {query['status']!r}") from None
    try:
        order = RowOrder(query.get("order") or default_order)
    except ValueError:
        raise InputError(f"order must be one of {', '.join(RowOrder)}; got {query['order']!r}") from None
    return RowFilter(
        order=order,
        site=None if site is None else results.sites[int(site)],
        status=status,
        low_m=_number(query, "low"),
        high_m=_number(query, "high"),
        is_open={"no": True, "yes": False}.get(query.get("decided", "")),
    )


def read_count(query: Mapping[str, str], name: str) -> int | None:
    """A whole number of 0 or more in a query; None if it is missing.

    Raises:
        InputError: the value is something else.
    """
    number = _number(query, name)
    if number is None:
        return None
    if number < 0 or number != int(number):
        raise InputError(f"{name} must be a whole number of 0 or more; got {query[name]!r}")
    return int(number)


def _number(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name, "").strip().replace(",", ".")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} must be a number; got {query[name]!r}")
    return number
