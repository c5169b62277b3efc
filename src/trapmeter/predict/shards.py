"""A run in shards: each machine looks at its share of the media, and `merge` makes one result of what all have seen.

Shards know nothing of each other and need no engine: n runs of one command, as a Slurm array starts them. A shard only looks;
measuring needs all media of a site at once and is left to `merge.py`, so that the rows are those of a run in one piece.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trapmeter import __version__
from trapmeter.files import whole_file
from trapmeter.predict.plan import load_models, plan_work
from trapmeter.predict.run import Progress, look, open_journal, output_folder
from trapmeter.predict.settings import PredictSettings
from trapmeter.shares import Shard, share_of

SHARD = "shard.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class ShardRun:
    """What a shard has done: media of its share, those with failures among them, and its folder."""

    shard: Shard
    folder: Path
    n_media: int
    n_failed: int
    n_errors_of_ours: int


def predict_shard(settings: PredictSettings, shard: Shard, progress: Progress = lambda *_: None) -> ShardRun:
    """Looks at a shard's media, and keeps what was seen in a folder of its own below settings.out.

    Raises:
        InputError, RunError, ModelError: as `predict`.
    """
    work = plan_work(settings)
    tasks = share_of(work.asked.tasks, shard, lambda task: task.medium.path)
    models = load_models(work, len(tasks))
    folder = settings.out / shard.name
    with output_folder(folder, overwrite=settings.overwrite), open_journal(folder, work, models) as journal:
        _write_shard(folder / SHARD, shard, settings)
        seen = look(tasks, journal, models, progress)
    return ShardRun(
        shard, folder, len(seen), sum(medium.has_failed for medium in seen), sum(bool(medium.trace) for medium in seen)
    )


def _write_shard(path: Path, shard: Shard, settings: PredictSettings) -> None:
    data = {
        "trapmeter_shard": FORMAT,
        "trapmeter": __version__,
        "shard": shard.number,
        "n_shards": shard.of,
        "arguments": settings.from_anywhere().to_json(),
    }
    with whole_file(path) as file:
        json.dump(data, file, indent=2)
        file.write("\n")
