"""Verifies a store: every shard opens, every picture has its checksum and decodes to the store's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trapmeter.errors import InputError
from trapmeter.frames.codecs import check_codec
from trapmeter.frames.shard import open_shard
from trapmeter.frames.store import FrameStore


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a shard (its file name), at a second of it or, with time_s None, as a whole."""

    shard: str
    time_s: float | None
    reason: str


def check_store(store: FrameStore, progress: Callable[[str, int, int, int], None] = lambda *_: None) -> list[Problem]:
    """All that is wrong with a store; [] when it is sound.

    progress: called with "check", shards done, shards in all, and shards with problems.

    Raises:
        MissingExtraError: the codec's package is not installed.
    """
    check_codec(store.spec.codec)
    paths = store.shard_paths()
    problems: list[Problem] = []
    n_bad = 0
    out = np.empty((*store.spec.size_hw, 3), np.uint8)
    for done, path in enumerate(paths, start=1):
        found: list[Problem] = []
        try:
            index = store.index_at(path)
            with open_shard(path) as shard:
                for time_s in index.entries:
                    try:
                        store.decode(shard, time_s, out)
                    except InputError as error:
                        found.append(Problem(path.name, time_s, str(error)))
        except InputError as error:
            found.append(Problem(path.name, None, str(error)))
        except FileNotFoundError:
            found.append(Problem(path.name, None, "it was removed while the store was checked"))
        problems += found
        n_bad += bool(found)
        progress("check", done, len(paths), n_bad)
    return problems
