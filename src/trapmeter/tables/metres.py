"""Known distances in tables: metres, up to a farthest one."""

from __future__ import annotations

from trapmeter.tables.csvfile import Row

FARTHEST_KNOWN_M = 200.0
"""No table of known distances may exceed this. Camera traps trigger up to some 30 m, people can't measure an animal in a
camera trap's picture beyond 200 m, and no model predicts more than `trapmeter.uncertainty.MAX_M`: a larger number is a
typing mistake or in another unit."""


def known_metres(row: Row, column: str, *, is_positive: bool = False) -> float:
    """The cell as a known distance: 0 to FARTHEST_KNOWN_M metres. is_positive: 0 m is refused too.

    Raises:
        InputError: it is something else; names file, line and column, and what was probably meant.
    """
    metres = row.number(column)
    if metres < 0 or (is_positive and metres == 0):
        raise row.error(column, f"a number of metres {'>' if is_positive else '>='} 0")
    if metres > FARTHEST_KNOWN_M:
        raise row.error(column, expected_metres(metres))
    return metres


def expected_metres(metres: float) -> str:
    """What was expected instead of a distance beyond FARTHEST_KNOWN_M, and what it was probably meant to be."""
    guesses = [f"{metres / 10:.1f} with its decimal point"] if metres / 10 <= FARTHEST_KNOWN_M else []
    guesses += [f"{metres / 100:.2f}, if it is in centimetres"] if metres / 100 <= FARTHEST_KNOWN_M else []
    meant = f" (probably {' or '.join(guesses)})" if guesses else ""
    return f"a number of metres up to {FARTHEST_KNOWN_M:g}{meant}"
