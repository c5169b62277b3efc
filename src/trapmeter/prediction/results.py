"""A folder of results read back as the run that left it: for reports made anew, also of calibrated results."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from trapmeter.errors import InputError
from trapmeter.frames.store import FrameStore
from trapmeter.prediction.estimates import RunSummary
from trapmeter.prediction.run import PredictRun
from trapmeter.records import Estimate, Status
from trapmeter.storage.address import AnyPath
from trapmeter.tables.camtrapdp.container import DESCRIPTOR, is_package
from trapmeter.tables.distances import DISTANCES_CSV, RUN_KEY, read_distances, read_run_facts, read_run_json
from trapmeter.tables.site_locations import SiteLocation, read_site_locations


def read_run(folder: Path, media: AnyPath | None = None) -> PredictRun:
    """The run whose distances.csv and run.json lie in a folder; without a run.json the rows alone speak.

    media: where its media lie now, if they were moved; always to be given where that is an address: a run.json may come from
    somebody else, and opens no connection.

    Raises:
        InputError: there is no distances.csv, or it isn't what it should be.
    """
    if not (folder / DISTANCES_CSV).is_file():
        raise InputError(f"{folder} has no {DISTANCES_CSV}; give the folder that `trapmeter predict --out` has written")
    if isinstance(media, Path) and not media.is_dir():
        raise InputError(f"--media {media} is no folder; give the one that the names in {DISTANCES_CSV} start from")
    estimates = tuple(read_distances(folder / DISTANCES_CSV))
    facts = _read_facts(folder)
    store = None if media is not None else _open_store(facts)
    root = facts.get("root")
    is_here = isinstance(root, str) and "://" not in root
    return PredictRun(
        media or Path(str(root) if is_here else folder), estimates, _summarise_rows(estimates, facts), facts, store
    )


def find_package(run: PredictRun) -> Path | None:
    """The Camtrap DP that the run measured; None where it measured none, or it is not there any more."""
    given = _mapping(run.facts, "arguments").get("paths")
    if not (isinstance(given, list) and len(given) == 1 and isinstance(given[0], str)):
        return None
    path = Path(given[0])
    descriptor = path / DESCRIPTOR if path.is_dir() else path
    return path if is_package(path) and descriptor.is_file() else None


def find_site_locations(
    run: PredictRun, table: str | Path | None
) -> tuple[dict[str, SiteLocation] | None, tuple[str, ...]]:
    """Where the run's sites are, and notes for the user: from a table, else from the Camtrap DP of the run, else None.

    Raises:
        InputError: the table is not as expected. A package that has no locations is only noted.
    """
    if table is not None:
        return read_site_locations(Path(table)), ()
    package = find_package(run)
    try:
        return None if package is None else read_site_locations(package), ()
    except InputError as error:
        # The user did not request a map, so that it must not cost the report.
        return None, (f"the report has no map: {error}",)


def _read_facts(folder: Path) -> dict[str, Any]:
    """The run's own facts; those of a later step that wrote the table are under "calibration" or "review"."""
    facts = _valid_facts(read_run_facts(folder / DISTANCES_CSV))
    step = read_run_json(folder / DISTANCES_CSV)
    if step.pop(RUN_KEY, None) is not None:
        facts["review" if "reviewed" in step else "calibration"] = step
    return facts


def _valid_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts without those parts that are not what this version writes: a report does without them."""
    return {name: value for name, value in facts.items() if isinstance(value, _FACT_TYPES.get(name, object))}


_FACT_TYPES = {
    "arguments": dict,
    "counts": dict,
    "models": dict,
    "seconds": dict,
    "doubts": list,
    "unreadable_folders": list,
}


def _open_store(facts: dict[str, Any]) -> FrameStore | None:
    named = _mapping(facts, "arguments").get("store")
    try:
        return FrameStore.open(Path(named)) if isinstance(named, str) else None
    except InputError:
        return None


def _summarise_rows(estimates: Sequence[Estimate], facts: dict[str, Any]) -> RunSummary:
    """Counts of the rows; of what no row tells (media without any, doubts) the run's own facts."""
    counts = _mapping(facts, "counts")
    # Whoever looked through the rows took animals away and added others.
    of_run = (
        ("n_media", "n_seconds", "n_unasked")
        if "review" in facts
        else ("n_media", "n_animals", "n_seconds", "n_unasked")
    )
    told = {name: counts[name] for name in of_run if name in counts}
    known = {name: value for name, value in told.items() if isinstance(value, int)}
    return RunSummary(**(_count_rows(estimates) | known), failures=_failures(estimates), doubts=_doubts(facts))


def _count_rows(estimates: Sequence[Estimate]) -> dict[str, Any]:
    statuses = Counter(estimate.status for estimate in estimates)
    seen = [estimate.observation for estimate in estimates]
    metres = [estimate.distance.distance_m for estimate in estimates if estimate.distance is not None]
    return {
        "n_media": len({one.media_id for one in seen}),
        "n_failed_media": len({e.observation.media_id for e in estimates if e.status is Status.FAILED}),
        "n_seconds": len({(one.media_id, one.time_s) for one in seen}),
        "n_animals": len({(one.media_id, one.animal_id) for one in seen if one.animal_id}),
        "n_measured": statuses[Status.MEASURED],
        "n_no_animal": statuses[Status.NO_ANIMAL],
        "n_failed": statuses[Status.FAILED],
        "n_past_end": statuses[Status.PAST_END],
        "n_without_site": len({one.media_id for one in seen if not one.site_id}),
        "n_unasked": 0,
        "median_m": median(metres) if metres else None,
    }


def _failures(estimates: Sequence[Estimate]) -> tuple[tuple[str, str], ...]:
    """Each failed medium with its first reason, and how much of it failed."""
    n_seconds: dict[str, set[float]] = defaultdict(set)
    failed: dict[str, list[str]] = defaultdict(list)
    for estimate in estimates:
        seen = estimate.observation
        n_seconds[seen.media_id].add(seen.time_s)
        if estimate.status is Status.FAILED:
            failed[seen.media_id].append(estimate.reason)
    return tuple(
        (name, reasons[0] if len(reasons) == len(n_seconds[name]) else _partial_failure(reasons, len(n_seconds[name])))
        for name, reasons in sorted(failed.items())
    )


def _partial_failure(reasons: Sequence[str], n_seconds: int) -> str:
    return f"{len(reasons)} of {n_seconds} seconds failed: {reasons[0]}"


def _doubts(facts: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    doubts = facts.get("doubts")
    return tuple(
        (str(one.get("media_id")), str(one.get("reason")))
        for one in (doubts if isinstance(doubts, list) else [])
        if isinstance(one, dict)
    )


def _mapping(facts: dict[str, Any], name: str) -> dict[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, dict) else {}
