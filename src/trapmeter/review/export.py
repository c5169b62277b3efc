"""Writes what a review decided: corrected distances, labels for training and calibration, animals to exclude."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trapmeter._version import __version__
from trapmeter.errors import InputError
from trapmeter.files import atomic_file, lock_folder, sha256_of
from trapmeter.prediction.event_animals import mark_first_positions
from trapmeter.records import REVIEW_MODEL_ID, REVIEW_PREFIX, Estimate, Observation, Status, row_order
from trapmeter.report.words import counted
from trapmeter.review.decisions import read_log
from trapmeter.review.results import read_results
from trapmeter.review.state import ReviewState, RowState, Verdict, replay_decisions
from trapmeter.tables.density_inputs import write_excluded_animals
from trapmeter.tables.distances import DISTANCES_CSV, RUN_KEY, read_run_facts, write_distances
from trapmeter.tables.drivendata import write_metadata, write_nearest_distances
from trapmeter.tables.medium_times import copy_media
from trapmeter.tables.truth import write_labels

LABELS, TRAIN_LABELS, TRAIN_METADATA = "labels.csv", "train_labels.csv", "train_metadata.csv"
LEAVE_OUT, RUN_JSON = "leave-out.csv", "run.json"
MIN_OFF_AXIS = 0.1
"""From this distance between the middles of box and picture (half widths), the angle reveals the field of view."""


def export_review(results: str | Path, out: str | Path) -> list[str]:
    """Writes all tables of a review into a folder; returns lines for the user that say what was written.

    results: the reviewed folder, or its distances.csv. out: another folder, which is created if it is missing.

    Raises:
        InputError: nothing has been decided, or out is the reviewed folder.
        RunError: the log belongs to another distances.csv, or out can't be written.
    """
    out = Path(out)
    reviewed = read_results(results)
    if out.resolve() == reviewed.source.parent.resolve():
        raise InputError(f"{out} is the reviewed folder itself; choose another --out")
    decisions = read_log(reviewed.source)
    state = replay_decisions(reviewed, decisions)
    rows = [row for media_id in reviewed.media for row in state.of_medium(media_id)]
    labelled = [row for row in rows if row.has_animal and row.is_checked]
    nearest = [_estimate(min(animals, key=_current_distance_m), {}) for animals in _fully_checked_seconds(rows)]
    reacting = sorted({_animal_key(row) for row in rows if row.reacts and row.has_animal})
    counts = Counter(row.verdict.value for row in rows if row.measured.distance is not None)
    facts = {
        "trapmeter": __version__,
        "reviewed": str(reviewed.source),
        "distances_sha256": sha256_of(reviewed.source),
        "decisions": len(decisions),
        "counts": dict(sorted(counts.items())),
        RUN_KEY: read_run_facts(reviewed.source),
    }
    with lock_folder(out):
        corrected = mark_first_positions(reviewed_estimates(state, rows))
        write_distances(out / DISTANCES_CSV, sorted(corrected, key=row_order))
        copy_media(reviewed.source, out)
        write_labels(out / LABELS, ((_observation(row), _current_distance_m(row), row.is_blind) for row in labelled))
        write_nearest_distances(out / TRAIN_LABELS, nearest)
        write_metadata(out / TRAIN_METADATA, (estimate.observation for estimate in nearest))
        write_excluded_animals(out / LEAVE_OUT, ((media_id, animal_id or None) for media_id, animal_id in reacting))
        with atomic_file(out / RUN_JSON) as file:
            json.dump(facts, file, indent=2)
            file.write("\n")
    verdicts = ", ".join(f"{n:,} {verdict.replace('_', ' ')}" for verdict, n in counts.most_common())
    return [
        f"{sum(counts.values()):,} animals: {verdicts}",
        f"distances: {out / DISTANCES_CSV}",
        f"labels: {counted(len(labelled), 'animal', 'animals')} in {out / LABELS}, "
        f"{counted(len(nearest), 'second', 'seconds')} in {out / TRAIN_LABELS}",
        f"animals that react to the camera: {len(reacting):,} in {out / LEAVE_OUT}",
    ]


def reviewed_estimates(state: ReviewState, rows: Sequence[RowState]) -> Iterator[Estimate]:
    """The rows of the corrected distances.csv, in no particular order.

    Removed animals are left out; people and vehicles stay as rows without a distance. A second that loses all its animals
    becomes a second without an animal, since it was examined; one without an animal loses that row if an animal is added.
    """
    widths = _half_widths(state.results.rows)
    for second in _by_second(rows):
        animals = [row for row in second if row.has_animal]
        for row in animals:
            yield _estimate(row, widths)
        apart = [row for row in second if row.is_apart]
        yield from map(_person_or_vehicle, apart)
        if not animals and not apart:
            without_animal = [row for row in second if row.measured.distance is None]
            yield from map(_without_animal, without_animal or second[:1])


def _estimate(row: RowState, widths: Mapping[str, float]) -> Estimate:
    """The current estimate of a measured or added animal; its reason says what was decided."""
    measured = row.measured
    reasons = [measured.reason]
    if row.verdict is Verdict.ACCEPTED:
        reasons.append(f"{REVIEW_PREFIX}accepted")
    if row.is_added:
        reasons.append(f"{REVIEW_PREFIX}added")
    elif row.distance_m is not None and measured.distance is not None:
        reasons.append(f"{REVIEW_PREFIX}distance was {measured.distance.distance_m:.2f} m")
    if row.box is not None:
        reasons.append(f"{REVIEW_PREFIX}box moved")
    if row.species is not None and row.species != measured.observation.species:
        reasons.append(f"{REVIEW_PREFIX}species was {measured.observation.species or 'unknown'}")
    if row.reacts:
        reasons.append(f"{REVIEW_PREFIX}reacts to the camera")
    return replace(
        measured,
        observation=_observation(row),
        distance=row.current_distance,
        angle_deg=_angle_deg(row, widths) if row.box is not None or row.is_added else measured.angle_deg,
        reason="; ".join(filter(None, reasons)),
        model_id=measured.model_id if row.distance_m is None else REVIEW_MODEL_ID,
    )


def _person_or_vehicle(row: RowState) -> Estimate:
    """The row of a person or vehicle: a box without a distance, of a species that is no animal's."""
    if row.measured.distance is None:
        return row.measured
    return Estimate(replace(_observation(row), animal_id=0), Status.NO_ANIMAL, reason=f"{REVIEW_PREFIX}not an animal")


def _without_animal(row: RowState) -> Estimate:
    """The row of a second that has no animal, or none any more."""
    if row.measured.distance is None:
        decision = f"{REVIEW_PREFIX}accepted" if row.verdict is Verdict.ACCEPTED else ""
        if decision and row.measured.status is Status.UNKNOWN:  # a person has looked, and there is no animal
            return replace(row.measured, status=Status.NO_ANIMAL, reason=decision)
        return replace(row.measured, reason="; ".join(filter(None, (row.measured.reason, decision))))
    observation = replace(row.measured.observation, box=None, animal_id=0)
    word = "not an animal" if row.verdict is Verdict.NOT_ANIMAL else "box deleted"
    return Estimate(observation, Status.NO_ANIMAL, reason=f"{REVIEW_PREFIX}{word}")


def _by_second(rows: Iterable[RowState]) -> list[list[RowState]]:
    seconds: dict[tuple[str, float], list[RowState]] = defaultdict(list)
    for row in rows:
        seconds[row.measured.observation.media_id, row.measured.observation.time_s].append(row)
    return list(seconds.values())


def _fully_checked_seconds(rows: Sequence[RowState]) -> list[list[RowState]]:
    """The animals of each second whose distances a person has all checked: only there is the nearest animal certain."""
    seconds = _by_second(row for row in rows if row.has_animal)
    return [animals for animals in seconds if all(row.is_checked for row in animals)]


def _half_widths(rows: Sequence[Estimate]) -> dict[str, float]:
    """The tangent of half the field of view of each medium, derived from the angles of its rows."""
    best: dict[str, tuple[float, float]] = {}
    for row in rows:
        box = row.observation.box
        if box is None or row.angle_deg is None:
            continue
        offset = box.x1 + box.x2 - 1.0
        if abs(offset) > max(MIN_OFF_AXIS, best.get(row.observation.media_id, (0.0, 0.0))[0]):
            best[row.observation.media_id] = abs(offset), math.tan(math.radians(row.angle_deg)) / offset
    return {media_id: tangent for media_id, (_, tangent) in best.items()}


def _angle_deg(row: RowState, widths: Mapping[str, float]) -> float | None:
    """The bearing of a box that a person drew; None if the medium's other boxes don't reveal the field of view."""
    tangent, box = widths.get(row.measured.observation.media_id), row.current_box
    return None if tangent is None or box is None else math.degrees(math.atan((box.x1 + box.x2 - 1.0) * tangent))


def _observation(row: RowState) -> Observation:
    observation = replace(row.measured.observation, box=row.current_box)
    if row.species is None:
        return observation
    said = observation.species_label or observation.species
    label = "" if said == row.species else said
    return replace(observation, species=row.species, species_score=None, species_label=label)


def _current_distance_m(row: RowState) -> float:
    assert row.current_distance is not None, "every animal has a distance"
    return row.current_distance.distance_m


def _animal_key(row: RowState) -> tuple[str, int]:
    return row.measured.observation.media_id, row.measured.observation.animal_id
