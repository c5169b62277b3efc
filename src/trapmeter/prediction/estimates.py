"""The rows of distances.csv, estimated from the results of all media, and their counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from trapmeter.calibration.field_facts import FieldFacts
from trapmeter.geometry import bearing_deg
from trapmeter.prediction.camera_correction import CameraCorrection
from trapmeter.prediction.estimators import DetectedAnimal, DistanceEstimator
from trapmeter.prediction.medium_result import MediumResult, SecondResult
from trapmeter.records import Estimate, Observation, Status, row_order

MEDIA_PER_GROUP = 1000


def estimate_distances(
    seen: Sequence[MediumResult],
    site_ids: Mapping[str, str],
    model: DistanceEstimator,
    facts: FieldFacts | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Estimate]:
    """Estimates for every second and animal, in the order of media_id, time and animal_id.

    site_ids: the site of each media_id; media without one share no context. facts: what is known of cameras and animals
    by media_id; they are reckoned in, and each row tells so beside its model. progress: called with the number of media
    that were measured.
    """
    facts = facts or FieldFacts()
    model = CameraCorrection(model, facts)
    by_site: dict[str, list[MediumResult]] = defaultdict(list)
    for medium in seen:
        by_site[site_ids.get(medium.media_id, "")].append(medium)
    estimates: list[Estimate] = []
    for site_id, media in _groups(by_site):
        rows = [
            row
            for medium in media
            for second in medium.seconds
            for row in _rows(medium, second, site_id, facts.species.get(medium.media_id, ""))
        ]
        # Seconds without an animal are no sights of one: the model never hears of them.
        sights = [sight for sight, second in rows if second.status is Status.MEASURED]
        distances = iter(model.estimate(sights) if sights else [])
        for sight, second in rows:
            observation = sight.observation
            if second.status is not Status.MEASURED:
                estimates.append(Estimate(observation, second.status, reason=second.reason))
                continue
            box, distance = observation.box, next(distances)
            estimates.append(
                Estimate(
                    observation,
                    Status.MEASURED,
                    distance,
                    None if box is None else bearing_deg((box.x1 + box.x2) / 2, facts.hfov_deg(observation.media_id)),
                    "; ".join(filter(None, (second.reason, distance.doubt))),
                    f"{model.identity.model_id}{facts.note(observation.media_id)}",
                )
            )
        progress(len(media))
    return sorted(estimates, key=row_order)


def _rows(
    medium: MediumResult, second: SecondResult, site_id: str, species: str
) -> Iterator[tuple[DetectedAnimal, SecondResult]]:
    """A row for each animal of a second, or one for a second without any."""
    answers = second.answers or ((),) * len(second.boxes)
    animals = zip(second.boxes, second.animal_ids, answers, strict=True) if second.boxes else [(None, 0, ())]
    for box, animal_id, answer in animals:
        seen = Observation(medium.media_id, second.time_s, box, animal_id, site_id, medium.is_night, species)
        yield DetectedAnimal(seen, answer), second


def _groups(by_site: Mapping[str, list[MediumResult]]) -> Iterator[tuple[str, list[MediumResult]]]:
    """The media of each site; those without a site share no context, so they come in pieces that fit into memory."""
    for site_id, media in by_site.items():
        step = len(media) if site_id else MEDIA_PER_GROUP
        for start in range(0, len(media), step):
            yield site_id, media[start : start + step]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Counts of a run. Rows are animals and seconds as in distances.csv; n_animals counts tracks."""

    n_media: int
    n_failed_media: int
    n_seconds: int
    n_animals: int
    n_measured: int
    n_no_animal: int
    n_failed: int
    n_past_end: int
    n_without_site: int
    n_unasked: int
    median_m: float | None
    failures: tuple[tuple[str, str], ...]
    doubts: tuple[tuple[str, str], ...]


def summarise_run(seen: Sequence[MediumResult], estimates: Sequence[Estimate], n_unasked: int) -> RunSummary:
    """Counts media, seconds, animals and rows; failures and doubts are pairs of media_id and reason."""
    statuses = Counter(estimate.status for estimate in estimates)
    distances = [e.distance.distance_m for e in estimates if e.distance is not None]
    return RunSummary(
        n_media=len(seen),
        n_failed_media=sum(medium.has_failed for medium in seen),
        n_seconds=sum(len(medium.seconds) for medium in seen),
        n_animals=sum(max((i for s in medium.seconds for i in s.animal_ids), default=0) for medium in seen),
        n_measured=statuses[Status.MEASURED],
        n_no_animal=statuses[Status.NO_ANIMAL],
        n_failed=statuses[Status.FAILED],
        n_past_end=statuses[Status.PAST_END],
        n_without_site=len({e.observation.media_id for e in estimates if not e.observation.site_id}),
        n_unasked=n_unasked,
        median_m=median(distances) if distances else None,
        failures=tuple((m.media_id, _failure_text(m)) for m in sorted(seen, key=lambda m: m.media_id) if m.has_failed),
        doubts=tuple((m.media_id, doubt) for m in sorted(seen, key=lambda m: m.media_id) for doubt in m.doubts),
    )


def _failure_text(medium: MediumResult) -> str:
    failed = [second for second in medium.seconds if second.status is Status.FAILED]
    if medium.failure or len(failed) == len(medium.seconds):
        return medium.failure or failed[0].reason
    return f"{len(failed)} of {len(medium.seconds)} seconds failed: {failed[0].reason}"
