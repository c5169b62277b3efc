"""Opens a video's container with FFmpeg, lists its packets, and times and converts decoded pictures."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
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
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from trapmeter.errors import MediaError
from trapmeter.media.medium_file import MediumFile
from trapmeter.media.reader import Scale, printable_tag, scaled_size, transpose_scale
from trapmeter.media.timeline import PACKET, Timeline
from trapmeter.records import Pixels
from trapmeter.storage.filesystems import RemoteError

MAX_VIDEO_PIXELS = 100_000_000
"""Larger pictures are refused: no camera trap makes them, and a damaged header can claim any size."""
EPOCHS = (1904, 1970)
"""The years from which containers count their time: one of these means that nothing was stated."""

# FFmpeg's errors arrive as exceptions with their text; printed as well, they would fill the user's terminal.
av.logging.set_level(av.logging.PANIC)


def ffmpeg_message(error: Exception) -> str:
    """FFmpeg's message, without the number and path that Python adds."""
    if not isinstance(error, av.error.FFmpegError):
        return str(error)
    # (level, component, message); PyAV's type hints say otherwise.
    log: tuple[Any, ...] | None = error.log
    return str(error.strerror) if log is None else f"{error.strerror} ({log[1]}: {log[2].strip()})"


@contextmanager
def open_container(file: MediumFile, options: Mapping[str, str] | None = None) -> Iterator[InputContainer]:
    """The container of a video, for as long as the block lasts; it decodes with one thread.

    Raises:
        MediaError: FFmpeg can't open it, or it has no pictures. RemoteError: it can't be reached.
    """
    try:
        with file.open() as content:
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
        # A survey keeps all cores busy with a video each; more threads per video would cost memory and CPU time.
        codec.thread_type = "NONE"
        codec.thread_count = 1
        # FFmpeg checks this before it allocates a picture.
        codec.options = {"max_pixels": str(MAX_VIDEO_PIXELS)}
        yield container


def video_stream(container: InputContainer) -> VideoStream:
    """The main video stream, chosen as the ffmpeg program does; some files have several in different sizes."""
    # A stream of an unknown codec has no context, which PyAV's type hints leave out.
    streams = [stream for stream in container.streams.video if getattr(stream, "codec_context", None) is not None]
    if not streams:
        raise MediaError("FFmpeg has no decoder for the video's codec")
    return max(streams, key=lambda stream: (stream.width * stream.height, -stream.index))


def container_recording_time(container: InputContainer) -> str:
    """When the container says it was recorded (ISO 8601); "" if it doesn't.

    MP4 and QuickTime count the seconds in UTC, and QuickTime may add the local time with its zone. AVI has the camera's time
    without a zone.
    """
    tags = container.metadata
    for name in ("com.apple.quicktime.creationdate", "creation_time"):
        try:
            when = datetime.fromisoformat(tags.get(name, "").strip()).replace(microsecond=0)
        except ValueError:
            continue
        if when.year not in EPOCHS:
            return when.isoformat()
    return ""


def container_camera(container: InputContainer) -> tuple[str, str]:
    """Make and model of the camera; "" for each that the container lacks, as most do."""
    tags = container.metadata
    make, model = (tags.get(name) or tags.get(f"com.apple.quicktime.{name}") for name in ("make", "model"))
    return printable_tag(make), printable_tag(model)


def declared_length_s(container: InputContainer, stream: VideoStream) -> float | None:
    """The longest of the lengths that the file's headers declare, since FFmpeg corrects some of them on opening."""
    lengths = []
    if stream.duration is not None and stream.time_base is not None:
        lengths.append(float(stream.duration * stream.time_base))
    elif container.duration is not None:
        # Some formats also count the time before the first picture.
        lengths.append((container.duration - max(0, container.start_time or 0)) / 1_000_000)
    if stream.frames and stream.average_rate:
        lengths.append(float(stream.frames / stream.average_rate))
    return max(lengths, default=None)


def video_packets(container: InputContainer, file: MediumFile) -> Generator[Packet[Any]]:
    """The packets of the video stream in decoding order, as far as the file can be read."""
    packets = container.demux(video_stream(container))
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            file.check_reads()
            return
        file.check_reads()
        if packet.size:
            yield packet


PLACED_PACKET = np.dtype([*PACKET.descr, ("position", np.int64), ("size", np.int64)])
"""`PACKET`, with the packet's first byte in the file (-1 if unknown) and its size in bytes."""


def packet_facts(packet: Packet[Any], *, is_exact: bool) -> tuple[int, bool, bool, bool, int, int, int]:
    """The fields of `PLACED_PACKET`; is_exact: whether presentation times can be trusted, else decoding times are used."""
    pts = packet.pts if is_exact else packet.dts
    position = -1 if packet.pos is None else packet.pos
    is_shown, duration = not packet.is_discard, packet.duration or 0
    return pts or 0, pts is not None, packet.is_keyframe, is_shown, duration, position, packet.size


def packet_table(container: InputContainer, file: MediumFile, *, is_exact: bool) -> NDArray[np.void]:
    """All packets of the video stream in decoding order, as an array of `PLACED_PACKET`."""
    with closing(video_packets(container, file)) as packets:
        return np.fromiter((packet_facts(packet, is_exact=is_exact) for packet in packets), PLACED_PACKET)


def indexed_packets(file: MediumFile, *, is_exact: bool) -> NDArray[np.void] | None:
    """All packets according to the index of a file with gaps, as `PLACED_PACKET`; None if the index is incomplete."""
    index = file.container_index
    assert index is not None, "a file with gaps has an index"
    # A parser would look for keyframes in pictures that have not been fetched.
    with open_container(file, {"fflags": "noparse"}) as container:
        table = packet_table(container, file, is_exact=is_exact)
    is_complete = len(table) in index.n_packets and bool((table["position"] >= 0).all())
    return table if is_complete else None


def timed_pictures(pictures: Iterable[VideoFrame], timeline: Timeline) -> Iterator[tuple[int, VideoFrame]]:
    """Pictures decoded in sequence, each with its pts; where packets have none, the first picture is the start."""
    known_pts = np.unique(timeline.pts)
    delay: int | None = None
    pts = timeline.start_pts - 1
    for picture in pictures:
        if timeline.is_exact:
            if picture.pts is not None and picture.pts < timeline.end_pts:
                yield picture.pts, picture
            continue
        if picture.dts is None:  # the decoder's last pictures: each follows the one before
            pts = int(known_pts[min(int(np.searchsorted(known_pts, pts, side="right")), len(known_pts) - 1)])
        else:
            delay = picture.dts - timeline.start_pts if delay is None else delay
            pts = picture.dts - delay
        yield pts, picture


_SCALING = Interpolation.AREA
_FULL_SIZE = Interpolation.BICUBIC  # the same bytes as FFmpeg's own conversion


def rgb_pixels(picture: VideoFrame, scale: Scale, scaler: VideoReformatter) -> Pixels:
    """The picture in RGB, scaled in the same step, turned as the file's display matrix says."""
    turns = round(picture.rotation / 90) % 4
    stored = transpose_scale(scale) if turns % 2 else scale
    width, height = scaled_size(picture.width, picture.height, stored)
    rgb = scaler.reformat(
        picture, width, height, format="rgb24", interpolation=_SCALING if stored else _FULL_SIZE, threads=1
    )
    pixels = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels
