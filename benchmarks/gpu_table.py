"""The table of benchmarks/gpu.py: its rows, their ratios, and the files. No torch."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from trapmeter.files import atomic_file


@dataclass(frozen=True)
class Figures:
    """What a process measured. batch: windows at a time. GB: peaks of the GPU's memory, None on a CPU."""

    windows_per_s: float
    batch: int
    allocated_gb: float | None = None
    reserved_gb: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A row of the table. ratio: windows_per_s divided by that of the baseline, a row of the same run; its name or ""."""

    part: str
    name: str
    batch: int
    devices: int
    windows_per_s: float | None
    ratio: float | None
    baseline: str
    allocated_gb: float | None
    reserved_gb: float | None
    note: str


def make_row(part: str, name: str, batch: int, devices: int, outcome: Figures | str, baseline: Row | None) -> Row:
    """The row of an outcome: figures, or the reason why there are none. baseline: the row that it is compared with."""
    compared = ""
    if baseline is not None:
        compared = baseline.name if baseline.part == part else f"{baseline.part} {baseline.name}"
    if isinstance(outcome, str):
        return Row(part, name, batch, devices, None, None, compared, None, None, outcome)
    ratio = outcome.windows_per_s / baseline.windows_per_s if baseline and baseline.windows_per_s else None
    memory = outcome.allocated_gb, outcome.reserved_gb
    return Row(part, name, outcome.batch, devices, outcome.windows_per_s, ratio, compared, *memory, outcome.note)


HEADER = (
    "| part | variant | batch | devices | windows/s | times | compared with | GB allocated | GB reserved | note |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def row_text(row: Row) -> str:
    """A line of the Markdown table."""
    rate = _number(row.windows_per_s, ".3g" if (row.windows_per_s or 0) < 100 else ".0f")
    memory = _number(row.allocated_gb, ".1f"), _number(row.reserved_gb, ".1f")
    note = row.note.replace("|", "/")
    numbers = (row.batch, row.devices, rate, _number(row.ratio, ".2f"))
    cells = (row.part, row.name, *numbers, row.baseline, *memory, note)
    return f"|{''.join(f' {cell} |' if cell != '' else ' |' for cell in cells)}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def write_table(path: Path, machine: Mapping[str, Any], settings: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Writes PATH.json, with the machine and the settings, and PATH.csv, with the machine in every row.

    Raises:
        RunError: a file can't be written.
    """
    content = {"machine": dict(machine), "settings": dict(settings), "rows": [asdict(row) for row in rows]}
    with atomic_file(path.with_name(f"{path.name}.json")) as file:
        json.dump(content, file, indent=1)
    with atomic_file(path.with_name(f"{path.name}.csv")) as file:
        writer = csv.writer(file)
        writer.writerow([*(field.name for field in fields(Row)), *machine])
        # Without a value, csv writes an empty cell.
        writer.writerows([*asdict(row).values(), *machine.values()] for row in rows)
