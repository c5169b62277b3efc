"""Turns the results of all media into the rows of distances.csv, and count them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from types import MappingProxyType
from typing import NamedTuple

from trapmeter.calibration.animal_facts import AnimalFacts
from trapmeter.calibration.field_facts import FieldFacts
from trapmeter.detect.static_boxes import static_reasons
from trapmeter.geometry import bearing_deg
from trapmeter.prediction.camera_correction import TOLD_ALL, CameraCorrection, ToldFacts
from trapmeter.prediction.estimators import DetectedAnimal, DistanceEstimator
from trapmeter.prediction.medium_result import MediumResult, SecondResult
from trapmeter.records import Box, Estimate, Observation, Status, row_order
from trapmeter.tables.species_names import PERSON, VEHICLE, is_animal

MEDIA_PER_GROUP = 1000


class BurstPlace(NamedTuple):
    """The place of a photo's animal in a burst.

    burst_id: of the burst as a medium. time_s: seconds since its first photo. animal_id: in the burst.
    """

    burst_id: str
    time_s: float
    animal_id: int


def estimate_distances(
    media: Sequence[MediumResult],
    site_ids: Mapping[str, str],
    model: DistanceEstimator,
    facts: FieldFacts | None = None,
    progress: Callable[[int], None] = lambda _: None,
    told: ToldFacts = TOLD_ALL,
    bursts: Mapping[tuple[str, int], BurstPlace] = MappingProxyType({}),
) -> list[Estimate]:
    """Estimates for every second and animal, in the order of media_id, time and animal_id.

    site_ids: the site of each media_id; media without a site share no context. facts: known cameras and animals by media_id;
    distances are corrected for them, and the model_id of each row names them. progress: called with the number of media that
    were finished since the last call. told: what the estimator knew itself. bursts: the animals of photos in bursts, by
    media_id and animal_id.
    """
    facts = facts or FieldFacts()
    model = CameraCorrection(model, facts, told)
    by_site: dict[str, list[MediumResult]] = defaultdict(list)
    for medium in media:
        by_site[site_ids.get(medium.media_id, "")].append(medium)
    estimates: list[Estimate] = []
    for site_id, group in _groups(by_site):
        rows = [
            row
            for medium in group
            for second in medium.seconds
            for row in _rows(medium, second, site_id, facts.animals, bursts)
        ]
        # The model gets animals only, not the seconds without one, nor people and vehicles.
        animals = [animal for animal, status, _ in rows if status is Status.MEASURED]
        distances = iter(model.estimate(animals) if animals else [])
        static = iter(static_reasons([animal.observation for animal in animals]))
        for animal, status, reason in rows:
            observation = animal.observation
            if status is not Status.MEASURED:
                estimates.append(Estimate(observation, status, reason=reason))
                continue
            box, distance = observation.box, next(distances)
            estimates.append(
                Estimate(
                    observation,
                    Status.MEASURED,
                    distance,
                    None if box is None else bearing_deg((box.x1 + box.x2) / 2, facts.hfov_deg(observation.media_id)),
                    "; ".join(filter(None, (reason, distance.doubt, next(static)))),
                    f"{model.identity.model_id}{facts.note(observation)}",
                )
            )
        progress(len(group))
    return sorted(estimates, key=row_order)


def _rows(
    medium: MediumResult,
    second: SecondResult,
    site_id: str,
    facts: AnimalFacts,
    bursts: Mapping[tuple[str, int], BurstPlace],
) -> Iterator[tuple[DetectedAnimal, Status, str]]:
    """A row, with its status and reason, for each animal, person and vehicle of a second, or one if there are none."""
    empty = Observation(medium.media_id, second.time_s, None, 0, site_id, medium.is_night)
    predictions = second.answers or ((),) * len(second.boxes)
    for box, animal_id, distances_m in zip(second.boxes, second.animal_ids, predictions, strict=True):
        observation = facts.name(_with_box(empty, box))
        if not is_animal(observation.species):
            yield DetectedAnimal(observation, ()), Status.NO_ANIMAL, second.reason
            continue
        observation = replace(observation, animal_id=animal_id)
        place = bursts.get((medium.media_id, animal_id))
        in_burst = None
        if place is not None:
            in_burst = replace(observation, media_id=place.burst_id, time_s=place.time_s, animal_id=place.animal_id)
        yield DetectedAnimal(observation, distances_m, in_burst=in_burst), second.status, second.reason
    for box in second.others:
        yield DetectedAnimal(_with_box(empty, box), ()), Status.NO_ANIMAL, second.reason
    if not second.boxes and not second.others:
        yield DetectedAnimal(empty, ()), second.status, second.reason


def _with_box(observation: Observation, box: Box | None) -> Observation:
    if box is None:
        return observation
    return replace(
        observation,
        box=box,
        species=box.species,
        species_score=box.species_score,
        species_label=box.species_label,
    )


def _groups(by_site: Mapping[str, list[MediumResult]]) -> Iterator[tuple[str, list[MediumResult]]]:
    """The media of each site. Media without a site share no context, and come in groups that fit into memory."""
    for site_id, media in by_site.items():
        step = len(media) if site_id else MEDIA_PER_GROUP
        for start in range(0, len(media), step):
            yield site_id, media[start : start + step]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Counts of a run. Rows are those of distances.csv; an animal counts once in each event; n_no_animal counts seconds.

    n_people, n_vehicles: boxes, one for each second in which a person or vehicle is seen.
    n_unasked: media that the table of times does not name. failures, doubts: pairs of media_id and reason.
    """

    n_media: int
    n_failed_media: int
    n_seconds: int
    n_animals: int
    n_measured: int
    n_no_animal: int
    n_unknown: int
    n_static: int
    n_failed: int
    n_past_end: int
    n_people: int
    n_vehicles: int
    n_without_site: int
    n_unasked: int
    median_m: float | None
    failures: tuple[tuple[str, str], ...]
    doubts: tuple[tuple[str, str], ...]


def summarise_run(
    estimates: Sequence[Estimate], counts: Mapping[str, int], doubts: Iterable[tuple[str, str]] = ()
) -> RunSummary:
    """Counts the rows.

    counts: fields of the summary that the rows may not tell (n_media, n_seconds, n_unasked), as the run counted them; those
    that are missing are counted from the rows.
    """
    observations = [estimate.observation for estimate in estimates]
    statuses = Counter(estimate.status for estimate in estimates)
    species = Counter(observation.species for observation in observations)
    distances_m = [estimate.distance.distance_m for estimate in estimates if estimate.distance is not None]
    failures = _failures(estimates)
    from_rows = {
        "n_media": len({row.media_id for row in observations}),
        "n_seconds": len({(row.media_id, row.time_s) for row in observations}),
        "n_animals": len({row.animal_key for row in observations if row.animal_id}),
        "n_unasked": 0,
    }
    return RunSummary(
        **{**from_rows, **counts},
        n_failed_media=len(failures),
        n_measured=statuses[Status.MEASURED],
        n_no_animal=len(_seconds_of(estimates, Status.NO_ANIMAL) - _seconds_of(estimates, Status.MEASURED)),
        n_unknown=statuses[Status.UNKNOWN],
        n_static=sum(estimate.is_static for estimate in estimates),
        n_failed=statuses[Status.FAILED],
        n_past_end=statuses[Status.PAST_END],
        n_people=species[PERSON],
        n_vehicles=species[VEHICLE],
        n_without_site=len({row.media_id for row in observations if not row.site_id}),
        median_m=median(distances_m) if distances_m else None,
        failures=failures,
        doubts=tuple(doubts),
    )


def count_results(media: Sequence[MediumResult], n_unasked: int) -> dict[str, int]:
    """The counts that `summarise_run` takes, of a run's own media."""
    return {
        "n_media": len(media),
        "n_seconds": sum(len(medium.seconds) for medium in media),
        "n_unasked": n_unasked,
    }


def _seconds_of(estimates: Iterable[Estimate], status: Status) -> set[tuple[str, float]]:
    return {(row.observation.media_id, row.observation.time_s) for row in estimates if row.status is status}


def _failures(estimates: Sequence[Estimate]) -> tuple[tuple[str, str], ...]:
    """Each medium with failed seconds, its first reason, and how many of its seconds failed unless all did."""
    times_s: dict[str, set[float]] = defaultdict(set)
    reasons: dict[str, list[str]] = defaultdict(list)
    for estimate in estimates:
        media_id = estimate.observation.media_id
        times_s[media_id].add(estimate.observation.time_s)
        if estimate.status is Status.FAILED:
            reasons[media_id].append(estimate.reason)
    return tuple(
        (media_id, _failure_text(failed, len(times_s[media_id]))) for media_id, failed in sorted(reasons.items())
    )


def _failure_text(reasons: Sequence[str], n_seconds: int) -> str:
    if len(reasons) == n_seconds:
        return reasons[0]
    return f"{len(reasons)} of {n_seconds} seconds failed: {reasons[0]}"
