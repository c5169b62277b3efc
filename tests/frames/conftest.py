"""Small stores of numbered clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from trapmeter.frames.extraction import ExtractionResult, ExtractionTask, extract_frames
from trapmeter.frames.requests import FrameRequest
from trapmeter.frames.spec import StoreSpec
from trapmeter.frames.store import FrameStore
from trapmeter.records import Medium, MediumKind

SMALL_HW = (48, 80)


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., FrameStore]:
    """Makes a store of small pictures: make_store(name, resize=..., codec=...)."""

    def make(name: str = "store", **fields: object) -> FrameStore:
        return FrameStore.create(tmp_path / name, StoreSpec(**{"size_hw": SMALL_HW, **fields}))  # type: ignore[arg-type]

    return make


@pytest.fixture
def request_for() -> Callable[..., FrameRequest]:
    """Makes a request for seconds of a file: request_for(path, times_s, video_id=its name)."""

    def make(
        path: Path, times_s: Iterable[float], video_id: str | None = None, labelled_s: Iterable[float] = ()
    ) -> FrameRequest:
        kind = MediumKind.PHOTO if path.suffix in (".png", ".jpg") else MediumKind.VIDEO
        return FrameRequest(Medium(video_id or path.name, path, kind), tuple(map(float, times_s)), tuple(labelled_s))

    return make


@pytest.fixture
def put(request_for: Callable[..., FrameRequest]) -> Callable[..., ExtractionResult]:
    """Stores seconds of a file in this process: put(store, path, times_s, video_id=its name)."""

    def go(store: FrameStore, path: Path, times_s: Iterable[float], video_id: str | None = None) -> ExtractionResult:
        return extract_frames(ExtractionTask(store, request_for(path, times_s, video_id)))

    return go
