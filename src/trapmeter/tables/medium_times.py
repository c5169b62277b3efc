"""When the media of a folder of results were recorded."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from trapmeter.tables.density_inputs import MEDIA_STARTS, read_media_starts
from trapmeter.tables.distances import JOURNAL, find_distances, read_run_json


def read_medium_times(results: str | Path) -> dict[str, datetime]:
    """When each medium was recorded: by the package that it came from, else by its own EXIF data or metadata.

    results: a folder of `predict` or `calibrate`, or its distances.csv. Media without a known time are left out.

    Raises:
        InputError: there are no results, or the table of times is damaged.
    """
    source = find_distances(results)
    folder = source.parent
    if not (folder / MEDIA_STARTS).exists() and not (folder / JOURNAL).exists():
        folder = _measured_folder(source)
    times = _journal_times(folder / JOURNAL)
    if (folder / MEDIA_STARTS).exists():
        times |= read_media_starts(folder / MEDIA_STARTS)
    return times


def _measured_folder(source: Path) -> Path:
    """The folder of the results that `calibrate` corrected, as its run.json says; else that of the table itself."""
    try:
        return Path(read_run_json(source)["inputs"]["results"]["file"]).parent
    except (KeyError, TypeError):
        return source.parent


def _journal_times(path: Path) -> dict[str, datetime]:
    """The times that the files themselves state, from the journal of a run. A damaged line only lacks its time."""
    times = {}
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    times[entry["media_id"]] = datetime.fromisoformat(entry["recorded"])
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
    except OSError:
        return {}
    return times
