"""What a run did, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from trapmeter.predict.seen import MediumSeen
from trapmeter.records import Estimate, Status


@dataclass(frozen=True, slots=True)
class Summary:
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


def summarise(seen: Sequence[MediumSeen], estimates: Sequence[Estimate], n_unasked: int) -> Summary:
    """Counts media, seconds, animals and rows; failures and doubts are pairs of media_id and reason."""
    statuses = Counter(estimate.status for estimate in estimates)
    distances = [e.distance.distance_m for e in estimates if e.distance is not None]
    return Summary(
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
        failures=tuple((m.media_id, _failure(m)) for m in sorted(seen, key=lambda m: m.media_id) if m.has_failed),
        doubts=tuple((m.media_id, doubt) for m in sorted(seen, key=lambda m: m.media_id) for doubt in m.doubts),
    )


def _failure(medium: MediumSeen) -> str:
    failed = [second for second in medium.seconds if second.status is Status.FAILED]
    if medium.failure or len(failed) == len(medium.seconds):
        return medium.failure or failed[0].reason
    return f"{len(failed)} of {len(medium.seconds)} seconds failed: {failed[0].reason}"
