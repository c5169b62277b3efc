"""Measures how much of a remote video is fetched for sparse seconds, in how many requests, and at what CPU cost.

The one-minute clips of benchmarks/decode.py are read in ranges of bytes, as remote files are; here the ranges come from the
disk and are counted. Every picture must equal that of a local run, to the bit. CPU seconds are those of one process that
decodes twice: from the file itself, and from its ranges. --blocks shows what other block sizes would fetch.

    python benchmarks/remote.py --folder DIR [--blocks]

Needs Debian's ffmpeg to make the clips.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from decode import CLIPS, make_clips
from trapmeter.media import partial_copy
from trapmeter.media.reader import FitWithin
from trapmeter.media.video import open_video
from trapmeter.records import Frame
from trapmeter.storage.address import AnyPath, FileState, RemotePath

REQUESTS = {
    "--every 10": [float(t) for t in range(0, 60, 10)],
    "--every 4": [float(t) for t in range(0, 60, 4)],
    "--every 1": [float(t) for t in range(60)],
    "a labelled second: 7 frames": [26.0, 28.0, 29.0, 30.0, 31.0, 32.0, 34.0],
}
BLOCKS = [(16, 4), (64, 1), (64, 4), (64, 16), (256, 1), (256, 4), (1024, 1)]
"""Kilobytes in a block, and how many blocks to fetch at once while the decoder explores the file."""

fetched: list[int] = []


def read(address: RemotePath, start: int, end: int) -> bytes:
    """Replaces a request to the server."""
    with Path("/", address.inner).open("rb") as file:
        file.seek(start)
        content = file.read(end - start)
    fetched.append(len(content))
    return content


def read_frames(path: AnyPath, times_s: list[float]) -> tuple[list[object], float]:
    """The frames, and the CPU seconds that they took."""
    started = time.process_time()
    with open_video(path, FitWithin(640, 640)) as video:
        frames = [frame.pixels.tobytes() if isinstance(frame, Frame) else frame for frame in video.frames(times_s)]
    return frames, time.process_time() - started


def remote_path(path: Path) -> RemotePath:
    """The remote address that stands for a local file."""
    return RemotePath("s3://bucket", str(path.absolute())[1:], FileState(path.stat().st_size, 1))


def main() -> None:
    """Prints a line for each clip and request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--blocks", action="store_true")
    arguments = parser.parse_args()
    make_clips(arguments.folder)
    partial_copy.read = read
    for name, (_, _, file, _) in CLIPS.items():
        path = arguments.folder / file
        size = path.stat().st_size
        print(f"{name}, {size / 1e6:.0f} MB")
        for request, times_s in REQUESTS.items():
            local, local_s = read_frames(path, times_s)
            fetched.clear()
            remote, remote_s = read_frames(remote_path(path), times_s)
            assert remote == local
            print(
                f"  {request:<30}{sum(fetched) / size:7.1%} of the bytes in {len(fetched):3} requests; "
                f"CPU {remote_s:5.2f} s, {local_s:5.2f} s from the file itself",
                flush=True,
            )
        for kilobytes, n_prefetched in BLOCKS if arguments.blocks else ():
            partial_copy.BLOCK_BYTES, partial_copy.PREFETCH_BLOCKS = 1024 * kilobytes, n_prefetched
            fetched.clear()
            read_frames(remote_path(path), REQUESTS["--every 10"])
            print(
                f"  {kilobytes:5} kB x {n_prefetched:2}{sum(fetched) / size:9.1%} in {len(fetched):3} requests",
                flush=True,
            )
        partial_copy.BLOCK_BYTES, partial_copy.PREFETCH_BLOCKS = 1024 * 64, 4


if __name__ == "__main__":
    main()
