"""From teachers and frames to a student: the teachers are asked once, then the student is trained as any fold is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from trapmeter.distillation.targets import Asked, targets, told_by_teachers, write_targets
from trapmeter.errors import InputError
from trapmeter.frames.store import FrameStore
from trapmeter.models.spec import InputSpec
from trapmeter.predict.stored import Moment, member_answers
from trapmeter.pseudolabels import PseudolabelSettings
from trapmeter.runtimes.choice import Runtime
from trapmeter.runtimes.ensemble import Ensemble
from trapmeter.tables.drivendata import MetadataRow, best_rows, read_moments
from trapmeter.training.dataset import check_store
from trapmeter.training.distributed import process_group, ranks_from_environment
from trapmeter.training.recipes import Recipe
from trapmeter.training.records import unseen_videos
from trapmeter.training.samples import OTHER_ANIMAL, PSEUDO, Sample, labelled, read_samples
from trapmeter.training.single import Job, prepare_process, train_one
from trapmeter.uncertainty import mean_uncertainty
from trapmeter.windows import window_times

ANSWERS, TARGETS, STUDENT = "answers.jsonl", "targets.csv", "student"
LABEL_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class DistilSettings:
    """The arguments of `trapmeter distil`."""

    teachers: tuple[Path, ...]
    """Folders of bundles that take one and the same input."""
    store: Path
    out: Path
    recipe: Recipe
    """The student's."""
    teachers_store: Path | None = None
    """Where frames of the teachers' size are, if it is not the student's."""
    labels: Path | None = None
    metadata: Path | None = None
    moments: Path | None = None
    """Unlabelled ones; None for all that the store has the whole window of."""
    animals: Path | None = None
    flip: bool = True
    label_share: float = LABEL_SHARE
    """Of the label in what the student is to say of a labelled moment, 0..1; the rest is the teachers'."""
    pseudolabels: PseudolabelSettings = field(default_factory=PseudolabelSettings)
    start: Path | None = None
    """Weights to begin with, such as best.safetensors of a teacher's fold; None takes the recipe's."""
    licence: str = "not stated"

    def __post_init__(self) -> None:
        if not 0 <= self.label_share <= 1:
            raise InputError(f"--label-share lies in 0..1, got {self.label_share:g}")
        if self.animals is not None and self.labels is None:
            raise InputError("--animals tells which animal a label means; give --labels as well")


def distil(
    settings: DistilSettings,
    tell: Callable[[str], None],
    progress: Callable[[int, int], None] = lambda *_: None,
    *,
    runtime: Runtime = Runtime.ONNXRUNTIME,
    threads: int = 1,
) -> Path:
    """Asks the teachers, trains the student and exports it; returns the folder of its bundle.

    Broken off at any time, the same call goes on. Under torchrun or srun all processes call this alike. runtime, threads: of
    the teachers.

    Raises:
        InputError: a table, a store or an argument is wrong; nothing was trained.
        ModelError: a teacher is damaged, or they take different inputs.
        RunError: the folder holds another distillation, the loss is no number, or the disk is full.
    """
    ensemble = Ensemble.load(settings.teachers, flip=settings.flip, threads=threads, runtime=runtime)
    store = FrameStore.open(settings.store)
    teachers_store = store if settings.teachers_store is None else FrameStore.open(settings.teachers_store)
    asked = what_to_ask(settings, store)
    for frames, spec in ((store, settings.recipe.input), (teachers_store, ensemble.spec)):
        check_store(frames, [*asked.labelled, *asked.unlabelled], spec)
    ranks = ranks_from_environment()
    settings.out.mkdir(parents=True, exist_ok=True)
    boxes = {(sample.video_id, sample.time_s): sample.box for sample in (*asked.labelled, *asked.unlabelled)}
    # Of several processes the first to come asks; the others wait, and then find all answered.
    with FileLock(settings.out / ".lock"):
        answers = member_answers(
            ensemble,
            teachers_store,
            asked.moments,
            boxes,
            settings.out / ANSWERS,
            flip=settings.flip,
            progress=progress,
            runtime=runtime,
        )
    told = told_by_teachers(asked, answers, [unseen_videos(folder) for folder in settings.teachers])
    samples = targets(asked, told, settings.label_share, settings.pseudolabels)
    if not samples:
        raise InputError("the teachers differ about every moment; give labels, or a larger --max-spread")
    if ranks.is_first:
        write_targets(settings.out / TARGETS, samples, asked, told)
        n_unseen = sum(told[sample.video_id, sample.time_s].is_unseen for sample in asked.labelled)
        n_kept = sum(sample.source == PSEUDO for sample in samples)
        tell(
            f"{len(asked.labelled)} labelled moments, {n_unseen} of them answered by teachers that had not seen the video; "
            f"{n_kept} others, and {len(asked.unlabelled) - n_kept} left out where the teachers differ"
        )
    known = [bundle.uncertainty for bundle in ensemble.members if bundle.uncertainty is not None]
    job = Job(
        name=STUDENT,
        folder=settings.out / STUDENT,
        recipe=settings.recipe,
        train=samples,
        held_out=(),
        facts={"distilled": True},
        held_out_facts={},
        model_id=f"{settings.recipe.name}-student",
        licence=settings.licence,
        provenance={"distilled_from": _origin(settings, ensemble)},
        # Nobody has held anything out from the student; its errors are about those of a single teacher.
        uncertainty=mean_uncertainty(known) if len(known) == len(ensemble.members) else None,
        start=settings.start,
    )
    prepare_process(ranks)
    with process_group(ranks):
        return train_one(job, store, ranks, tell if ranks.is_first else lambda _: None)


def what_to_ask(settings: DistilSettings, store: FrameStore) -> Asked:
    """The labelled moments, and the unlabelled ones with the box that a detector saw.

    With metadata, moments that it has no box for are left out of the unlabelled: nobody knows that an animal is there.

    Raises:
        InputError: a table is not as expected, or there is no moment at all.
    """
    samples: list[Sample] = []
    if settings.labels is not None:
        samples = read_samples(settings.labels, settings.metadata, settings.animals)
    known = best_rows(settings.metadata)
    if settings.moments is None:
        moments = stored_moments(store, settings.recipe.input)
    else:
        moments = [(moment.video_id, moment.time_s) for moment in read_moments(settings.moments)]
    taken = {(sample.video_id, sample.time_s) for sample in samples}
    nothing = MetadataRow("", 0.0, None)
    unlabelled = []
    for video_id, time_s in moments:
        row = known.get((video_id, time_s), nothing)
        if (video_id, time_s) in taken or (settings.metadata is not None and row.box is None):
            continue
        unlabelled.append(Sample(video_id, time_s, 0.0, row.box, row.site_id, row.park, source=PSEUDO))
    if not samples and not unlabelled:
        raise InputError("no moment to ask the teachers about; give --labels or --moments, or fill the store")
    # A network that sees no box can't be told which animal is meant.
    others = [s for s in samples if s.source == OTHER_ANIMAL and settings.recipe.input.box_channel]
    return Asked(tuple(labelled(samples)), tuple(unlabelled), tuple(others))


def stored_moments(store: FrameStore, spec: InputSpec) -> list[Moment]:
    """Every moment that a store has all frames of the window of, video by video."""
    found: list[Moment] = []
    for video_id in store.video_ids():
        times, length_s = set(store.times(video_id)), store.length_s(video_id)
        for time_s in sorted(times):
            window = window_times(time_s, spec.offsets_s, length_s, spec.edge)
            if times.issuperset(t for t in window if t is not None):
                found.append((video_id, time_s))
    return found


def _origin(settings: DistilSettings, ensemble: Ensemble) -> dict[str, Any]:
    return {
        "teachers": [
            {"model_id": bundle.identity.model_id, "sha256": bundle.identity.sha256} for bundle in ensemble.members
        ],
        "flip": settings.flip,
        "label_share": settings.label_share,
        "intervals": "from the teachers' held-out errors",
    }
