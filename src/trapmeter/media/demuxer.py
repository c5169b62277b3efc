"""Opens a video's container with FFmpeg, and tells what it and its packets say of themselves."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from trapmeter.errors import MediaError
from trapmeter.media.medium_file import MediumFile
from trapmeter.media.photo import FIRST_YEAR
from trapmeter.media.timeline import PACKET
from trapmeter.storage.filesystems import RemoteError

MAX_PIXELS = 100_000_000
"""Larger pictures are refused: no camera trap makes them, and a damaged header can claim any size."""

# FFmpeg's errors reach us as exceptions with its own words; printed as well, they would fill the user's terminal.
av.logging.set_level(av.logging.PANIC)


def ffmpeg_message(error: Exception) -> str:
    """What FFmpeg said, without the number and the path that Python adds."""
    if not isinstance(error, av.error.FFmpegError):
        return str(error)
    # (level, component, message); PyAV's type hints say otherwise.
    log: tuple[Any, ...] | None = error.log
    return str(error.strerror) if log is None else f"{error.strerror} ({log[1]}: {log[2].strip()})"


@contextmanager
def open_container(file: MediumFile, options: Mapping[str, str] | None = None) -> Iterator[InputContainer]:
    """The container of a video for as long as the block lasts; it decodes with one thread.

    Raises:
        MediaError: FFmpeg can't open it, or there is no picture in it. RemoteError: it can't be reached.
    """
    try:
        with file.opening() as content:
            source = str(content) if isinstance(content, Path) else content
            container: InputContainer = av.open(source, "r", metadata_errors="replace", options=dict(options or {}))
    except RemoteError:
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(ffmpeg_message(error)) from error
    with closing(container):
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none at all"
            raise MediaError(f"no video stream in the file (streams: {kinds})")
        codec = video_stream(container).codec_context
        # One thread: a survey keeps all cores busy with a video each, and more threads would cost memory and CPU time.
        codec.thread_type = "NONE"
        codec.thread_count = 1
        # FFmpeg looks at this before it allocates a picture.
        codec.options = {"max_pixels": str(MAX_PIXELS)}
        yield container


def video_packets(container: InputContainer, file: MediumFile) -> Generator[Packet[Any]]:
    """The packets of the video stream in decoding order, as far as the file can be read."""
    packets = container.demux(video_stream(container))
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            file.check()
            return
        file.check()
        if packet.size:
            yield packet


PLACED_PACKET = np.dtype([*PACKET.descr, ("at", np.int64), ("size", np.int64)])
"""A packet's facts, and where it lies in the file: from which byte on (-1 where untold), and how many bytes."""


def packet_facts(packet: Packet[Any], *, is_exact: bool) -> tuple[int, bool, bool, bool, int, int, int]:
    """A packet's fields for `PLACED_PACKET`; its decoding time where no other can be trusted."""
    pts = packet.pts if is_exact else packet.dts
    at = -1 if packet.pos is None else packet.pos
    shown, duration = not packet.is_discard, packet.duration or 0
    return pts or 0, pts is not None, packet.is_keyframe, shown, duration, at, packet.size


def video_stream(container: InputContainer) -> VideoStream:
    """The main video stream as FFmpeg's own program picks it; some files hold several in different sizes."""
    # PyAV's type hints leave out that a stream of an unknown codec has no context.
    streams = [stream for stream in container.streams.video if getattr(stream, "codec_context", None) is not None]
    if not streams:
        raise MediaError("FFmpeg has no decoder for the video's codec")
    return max(streams, key=lambda stream: (stream.width * stream.height, -stream.index))


def container_recording_time(container: InputContainer) -> str:
    """When the container says that it was made, as its clock had it; "" where it says nothing plausible."""
    try:
        when = datetime.fromisoformat(container.metadata.get("creation_time", "")).replace(tzinfo=None, microsecond=0)
    except ValueError:
        return ""
    return when.isoformat() if when.year >= FIRST_YEAR else ""


def declared_length_s(container: InputContainer, stream: VideoStream) -> float | None:
    """The length that the file's headers tell; the longest of what they say, since FFmpeg mends some of it when it opens."""
    told = []
    if stream.duration is not None and stream.time_base is not None:
        told.append(float(stream.duration * stream.time_base))
    elif container.duration is not None:
        # Some formats count the time before the first picture as well.
        told.append((container.duration - max(0, container.start_time or 0)) / 1_000_000)
    if stream.frames and stream.average_rate:
        told.append(float(stream.frames / stream.average_rate))
    return max(told, default=None)
