"""Reads a folder of results back as a finished run, also after calibration or review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trapmeter.errors import InputError
from trapmeter.frames.store import FrameStore
from trapmeter.prediction.estimates import summarise_run
from trapmeter.prediction.provenance import as_mapping
from trapmeter.prediction.run import PredictRun
from trapmeter.storage.address import AnyPath, parse_path
from trapmeter.tables.camtrapdp.container import DESCRIPTOR, is_package
from trapmeter.tables.distances import DISTANCES_CSV, RUN_KEY, read_distances, read_run_facts, read_run_json
from trapmeter.tables.site_locations import SiteLocation, read_site_locations


def read_run(folder: str | Path, media: str | AnyPath | None = None) -> PredictRun:
    """The run whose distances.csv and run.json lie in a folder; without a run.json only the rows are known.

    media: where its media lie now, if they were moved. Required if that is an address: a run.json may come from somebody
    else, and must not open a connection.

    Raises:
        InputError: there is no distances.csv, or it is not as expected.
    """
    folder = Path(folder)
    media = None if media is None else parse_path(str(media))
    if not (folder / DISTANCES_CSV).is_file():
        raise InputError(f"{folder} has no {DISTANCES_CSV}; give the folder that `trapmeter predict --out` has written")
    if isinstance(media, Path) and not media.is_dir():
        raise InputError(f"--media {media} is no folder; give the one that the names in {DISTANCES_CSV} start from")
    estimates = tuple(read_distances(folder / DISTANCES_CSV))
    facts = _read_facts(folder)
    root = facts.get("root")
    is_local = isinstance(root, str) and "://" not in root
    return PredictRun(
        media or Path(str(root) if is_local else folder),
        estimates,
        summarise_run(estimates, _run_counts(facts), _doubts(facts)),
        facts,
        None if media is not None else _open_store(facts),
    )


def find_package(run: PredictRun) -> Path | None:
    """The Camtrap DP that the run's media come from; None if there is none, or if it is gone."""
    paths = as_mapping(run.facts.get("arguments")).get("paths")
    if not (isinstance(paths, list) and len(paths) == 1 and isinstance(paths[0], str)):
        return None
    path = Path(paths[0])
    descriptor = path / DESCRIPTOR if path.is_dir() else path
    return path if is_package(path) and descriptor.is_file() else None


def find_site_locations(
    run: PredictRun, table: str | Path | None
) -> tuple[dict[str, SiteLocation] | None, tuple[str, ...]]:
    """The locations of the run's sites, and notes for the user: from a table, else from the run's Camtrap DP, else None.

    Raises:
        InputError: the table is not as expected. A package without valid locations only gets a note.
    """
    if table is not None:
        return read_site_locations(Path(table)), ()
    package = find_package(run)
    try:
        return None if package is None else read_site_locations(package), ()
    except InputError as error:
        # Nobody requested a map, so its failure must not cost the report.
        return None, (f"the report has no map: {error}",)


def _read_facts(folder: Path) -> dict[str, Any]:
    """The run's own facts; those of a later step that wrote the table are under "calibration" or "review"."""
    # A report does without facts that are not what this version writes.
    facts = {
        name: value
        for name, value in read_run_facts(folder / DISTANCES_CSV).items()
        if isinstance(value, _FACT_TYPES.get(name, object))
    }
    step = read_run_json(folder / DISTANCES_CSV)
    if step.pop(RUN_KEY, None) is not None:
        facts["review" if "reviewed" in step else "calibration"] = step
    return facts


_FACT_TYPES = {
    "arguments": dict,
    "counts": dict,
    "models": dict,
    "seconds": dict,
    "doubts": list,
    "unreadable_folders": list,
    "other_files": dict,
    "notes": list,
}


def _open_store(facts: dict[str, Any]) -> FrameStore | None:
    path = as_mapping(facts.get("arguments")).get("store")
    try:
        return FrameStore.open(Path(path)) if isinstance(path, str) else None
    except InputError:
        return None


def _run_counts(facts: dict[str, Any]) -> dict[str, int]:
    """What the rows can't tell, such as media without rows."""
    names = "n_media", "n_seconds", "n_unasked"
    counts = as_mapping(facts.get("counts"))
    return {name: counts[name] for name in names if isinstance(counts.get(name), int)}


def _doubts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    doubts = (doubt for doubt in facts.get("doubts", ()) if isinstance(doubt, dict))
    return [(str(doubt.get("media_id")), str(doubt.get("reason"))) for doubt in doubts]
