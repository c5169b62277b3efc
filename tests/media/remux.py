"""The packets of a video in another container, with other options or turned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av


def remux(
    source: Path,
    target: Path,
    *,
    movflags: str = "",
    rotation_deg: int = 0,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Copies the video's packets to `target` without encoding them again."""
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", options={"movflags": movflags} if movflags else {}) as new,
    ):
        new.metadata.update(tags or {})
        stream = new.add_stream_from_template(old.streams.video[0])
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return target
