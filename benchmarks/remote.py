"""Media in object storage: how much of a file is fetched for sparse seconds, in how many requests, and what it costs in CPU.

The one-minute clips of benchmarks/decode.py, read as a remote file is: in ranges of bytes, which here come from the disk and
are counted. Every picture is compared with that of a local run, to the bit. CPU seconds are of one process, whose decoder
runs twice: on the file itself, and on its ranges. --blocks shows what another size of blocks would fetch.

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

ASKED = {
    "--every 10": [float(t) for t in range(0, 60, 10)],
    "--every 4": [float(t) for t in range(0, 60, 4)],
    "--every 1": [float(t) for t in range(60)],
    "a labelled moment: 7 seconds": [26.0, 28.0, 29.0, 30.0, 31.0, 32.0, 34.0],
}
BLOCKS = [(16, 4), (64, 1), (64, 4), (64, 16), (256, 1), (256, 4), (1024, 1)]
"""Kilobytes of a block, and how many of them are fetched at once while the decoder looks around."""

fetched: list[int] = []


def read(address: RemotePath, start: int, end: int) -> bytes:
    """In place of a request."""
    with Path("/", address.inner).open("rb") as file:
        file.seek(start)
        content = file.read(end - start)
    fetched.append(len(content))
    return content


def look(path: AnyPath, times_s: list[float]) -> tuple[list[object], float]:
    """What is seen, and the CPU seconds that it took."""
    started = time.process_time()
    with open_video(path, FitWithin(640, 640)) as video:
        seen = [shown.pixels.tobytes() if isinstance(shown, Frame) else shown for shown in video.frames(times_s)]
    return seen, time.process_time() - started


def far(path: Path) -> RemotePath:
    """The file as a remote one."""
    return RemotePath("s3://bucket", str(path.absolute())[1:], FileState(path.stat().st_size, 1))


def main() -> None:
    """Prints a line for each clip and question."""
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
        for asked, times_s in ASKED.items():
            here, here_s = look(path, times_s)
            fetched.clear()
            there, there_s = look(far(path), times_s)
            assert there == here
            print(
                f"  {asked:<30}{sum(fetched) / size:7.1%} of the bytes in {len(fetched):3} requests; CPU {there_s:5.2f} s, "
                f"{here_s:5.2f} s on the file itself",
                flush=True,
            )
        for kilobytes, ahead in BLOCKS if arguments.blocks else ():
            partial_copy.BLOCK_BYTES, partial_copy.PREFETCH_BLOCKS = 1024 * kilobytes, ahead
            fetched.clear()
            look(far(path), ASKED["--every 10"])
            print(f"  {kilobytes:5} kB x {ahead:2}{sum(fetched) / size:9.1%} in {len(fetched):3} requests", flush=True)
        partial_copy.BLOCK_BYTES, partial_copy.PREFETCH_BLOCKS = 1024 * 64, 4


if __name__ == "__main__":
    main()
