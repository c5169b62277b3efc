"""What a person sees in the terminal: progress on standard error, the answer on standard output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trapmeter.geometry import DEFAULT_HFOV_DEG

if TYPE_CHECKING:
    from trapmeter.predict.run import Progress, Run

_STAGES = {"look": "Looking for animals", "measure": "Measuring distances"}


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A bar per stage with the time left; the value is called as `trapmeter.predict.run.Progress` says."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks = {}
    with bars:

        def show(stage: str, done: int, total: int, n_failed: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES.get(stage, stage), total=total, note="")
            bars.update(tasks[stage], completed=done, note=f"{n_failed} failed" if n_failed else "")

        yield show


def print_summary(run: Run, out: Path, report: Path) -> None:
    """Counts, the first failures with their reasons, and where the results are."""
    summary = run.summary
    distance = "" if summary.median_m is None else f", median distance {summary.median_m:.1f} m"
    print(f"{summary.n_media:,} media, {summary.n_seconds:,} seconds, {summary.n_animals:,} animals{distance}")
    print(
        f"rows: {summary.n_measured:,} measured, {summary.n_no_animal:,} without animal, "
        f"{summary.n_past_end:,} past the end, {summary.n_failed:,} failed"
    )
    if summary.n_unasked:
        print(f"{summary.n_unasked:,} media stand in no row of the table of times and were left out")
    for folder in run.facts["unreadable_folders"]:
        print(f"not readable: {shown(folder['folder'])}: {folder['reason']}")
    for media_id, reason in summary.failures[:_MOST_FAILURES]:
        print(f"failed: {shown(media_id)}: {reason}")
    if len(summary.failures) > _MOST_FAILURES:
        print(f"failed: and {len(summary.failures) - _MOST_FAILURES:,} more, see the report")
    if run.facts["arguments"]["hfov_deg"] == DEFAULT_HFOV_DEG:
        print(
            f"bearings assume a horizontal field of view of {DEFAULT_HFOV_DEG:g} degrees; give your cameras' with --hfov"
        )
    print(f"results: {out / 'distances.csv'}\nreport:  {report}")


def shown(text: str) -> str:
    """A file name that may not be valid UTF-8, as something that any terminal can print."""
    return text.encode("utf-8", "backslashreplace").decode()


_MOST_FAILURES = 10
