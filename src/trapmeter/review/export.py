"""What comes out of a review: distances as they stand, labels to learn from and to calibrate by, animals to leave out."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trapmeter._version import __version__
from trapmeter.errors import InputError
from trapmeter.files import atomic_file, lock_folder, sha256_of
from trapmeter.records import REVIEW_MODEL_ID, REVIEW_PREFIX, Estimate, Observation, Status, row_order
from trapmeter.review.decisions import read_log
from trapmeter.review.results import read_results
from trapmeter.review.state import ReviewState, RowState, Verdict, replay_decisions
from trapmeter.tables.density_inputs import write_excluded_animals
from trapmeter.tables.distances import DISTANCES_CSV as DISTANCES
from trapmeter.tables.distances import RUN_KEY, read_run_facts, write_distances
from trapmeter.tables.drivendata import write_metadata, write_nearest_distances
from trapmeter.tables.truth import write_labels

LABELS, TRAIN_LABELS, TRAIN_METADATA = "labels.csv", "train_labels.csv", "train_metadata.csv"
LEAVE_OUT, RUN_JSON = "leave-out.csv", "run.json"
MIN_OFF_AXIS = 0.1
"""A box whose middle is this far from the picture's (half widths) tells by its angle how wide the camera sees."""

SecondKey = tuple[str, float]


def export_review(results: str | Path, out: str | Path) -> list[str]:
    """Writes all tables of a review into a folder; returns lines for the user that say what was written.

    Raises:
        InputError: nothing was decided, or out is the folder that was reviewed.
        RunError: the log is of another distances.csv, or out can't be written.
    """
    out = Path(out)
    read = read_results(results)
    if out.resolve() == read.source.parent.resolve():
        raise InputError(f"{out} holds the results themselves; choose another --out")
    decisions = read_log(read.source)
    state = replay_decisions(read, decisions)
    rows = [row for media_id in read.media for row in state.of_medium(media_id)]
    labelled = [row for row in rows if row.has_animal and row.is_checked]
    nearest = [_nearest(row) for row in _fully_checked_seconds(rows).values()]
    estimates = sorted(reviewed_estimates(state, rows), key=row_order)
    counts = Counter(row.verdict.value for row in rows if row.measured.distance is not None)
    with lock_folder(out):
        write_distances(out / DISTANCES, estimates)
        write_labels(out / LABELS, ((_observation(row), _current_distance_m(row)) for row in labelled))
        write_nearest_distances(out / TRAIN_LABELS, nearest)
        write_metadata(out / TRAIN_METADATA, (one.observation for one in nearest))
        left_out = sorted({_animal_key(row) for row in rows if row.reacts and row.has_animal})
        write_excluded_animals(out / LEAVE_OUT, ((media_id, number or None) for media_id, number in left_out))
        facts = {
            "trapmeter": __version__,
            "reviewed": str(read.source),
            "distances_sha256": sha256_of(read.source),
            "decisions": len(decisions),
            "counts": dict(sorted(counts.items())),
            RUN_KEY: read_run_facts(read.source),
        }
        with atomic_file(out / RUN_JSON) as file:
            json.dump(facts, file, indent=2)
            file.write("\n")
    told = ", ".join(f"{n:,} {verdict.replace('_', ' ')}" for verdict, n in counts.most_common())
    return [
        f"{sum(counts.values()):,} animals: {told}",
        f"distances: {out / DISTANCES}",
        f"labels: {len(labelled):,} animals in {out / LABELS}, {len(nearest):,} seconds in {out / TRAIN_LABELS}",
        f"animals that react to the camera: {len(left_out):,} in {out / LEAVE_OUT}",
    ]


def reviewed_estimates(state: ReviewState, rows: Sequence[RowState]) -> Iterator[Estimate]:
    """The rows of a corrected distances.csv, in no order.

    Animals that were taken away are left out; a second that loses all of them becomes one without an animal, since it was
    looked at. Where one is added, a second without an animal loses the row that said so.
    """
    widths = _half_widths(state.results.rows)
    seconds: dict[SecondKey, list[RowState]] = defaultdict(list)
    for row in rows:
        seconds[_second_key(row)].append(row)
    for second in seconds.values():
        animals = [row for row in second if row.has_animal]
        for row in animals:
            yield _estimate(row, widths)
        if not animals:
            said = [row for row in second if row.measured.distance is None]
            yield from map(_without_animal, said or second[:1])


def _estimate(row: RowState, widths: Mapping[str, float]) -> Estimate:
    """A measured animal as it stands; its reason says what was decided."""
    measured = row.measured
    said = [measured.reason]
    if row.verdict is Verdict.ACCEPTED:
        said.append(f"{REVIEW_PREFIX}accepted")
    if row.is_added:
        said.append(f"{REVIEW_PREFIX}added")
    elif row.distance_m is not None and measured.distance is not None:
        said.append(f"{REVIEW_PREFIX}distance was {measured.distance.distance_m:.2f} m")
    if row.box is not None:
        said.append(f"{REVIEW_PREFIX}box moved")
    if row.reacts:
        said.append(f"{REVIEW_PREFIX}reacts to the camera")
    return replace(
        measured,
        observation=_observation(row),
        distance=row.current_distance,
        angle_deg=_angle_deg(row, widths) if row.box is not None or row.is_added else measured.angle_deg,
        reason="; ".join(filter(None, said)),
        model_id=measured.model_id if row.distance_m is None else REVIEW_MODEL_ID,
    )


def _without_animal(row: RowState) -> Estimate:
    """The row of a second in which no animal is (left)."""
    if row.measured.distance is None:
        said = f"{REVIEW_PREFIX}accepted" if row.verdict is Verdict.ACCEPTED else ""
        return replace(row.measured, reason="; ".join(filter(None, (row.measured.reason, said))))
    seen = replace(row.measured.observation, box=None, animal_id=0)
    word = "not an animal" if row.verdict is Verdict.NOT_ANIMAL else "box deleted"
    return Estimate(seen, Status.NO_ANIMAL, reason=f"{REVIEW_PREFIX}{word}")


def _fully_checked_seconds(rows: Sequence[RowState]) -> dict[SecondKey, list[RowState]]:
    """The animals of each second all of whose distances a person has checked: only there it's known which is nearest."""
    seconds: dict[SecondKey, list[RowState]] = defaultdict(list)
    for row in rows:
        if row.has_animal:
            seconds[_second_key(row)].append(row)
    return {second: animals for second, animals in seconds.items() if all(row.is_checked for row in animals)}


def _nearest(animals: Sequence[RowState]) -> Estimate:
    return _estimate(min(animals, key=_current_distance_m), {})


def _half_widths(rows: Sequence[Estimate]) -> dict[str, float]:
    """The tangent of half the field of view of each medium, as its rows' own angles tell it."""
    best: dict[str, tuple[float, float]] = {}
    for row in rows:
        box = row.observation.box
        if box is None or row.angle_deg is None:
            continue
        aside = box.x1 + box.x2 - 1.0
        if abs(aside) > max(MIN_OFF_AXIS, best.get(row.observation.media_id, (0.0, 0.0))[0]):
            best[row.observation.media_id] = abs(aside), math.tan(math.radians(row.angle_deg)) / aside
    return {media_id: tangent for media_id, (_, tangent) in best.items()}


def _angle_deg(row: RowState, widths: Mapping[str, float]) -> float | None:
    """The bearing of a box that a person drew; None where the medium's other boxes don't tell the field of view."""
    tangent, box = widths.get(row.measured.observation.media_id), row.current_box
    return None if tangent is None or box is None else math.degrees(math.atan((box.x1 + box.x2 - 1.0) * tangent))


def _observation(row: RowState) -> Observation:
    return replace(row.measured.observation, box=row.current_box)


def _current_distance_m(row: RowState) -> float:
    assert row.current_distance is not None, "animals have a distance"
    return row.current_distance.distance_m


def _second_key(row: RowState) -> SecondKey:
    return row.measured.observation.media_id, row.measured.observation.time_s


def _animal_key(row: RowState) -> tuple[str, int]:
    return row.measured.observation.media_id, row.measured.observation.animal_id
