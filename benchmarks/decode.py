"""Compares decoding with trapmeter to piping an entire video through FFmpeg into numpy.

Both read fifteen seconds (0, 4, ... 56) of one-minute clips that this script makes. The baseline does what the 2nd-place
system did: `ffmpeg -vf fps=1:round=up` writes all sixty pictures in full size into a pipe, numpy keeps them, and fifteen are
picked and resized. trapmeter reads only the fifteen, scaled to fit the detector. Each run has its own process. CPU seconds
are user + system time of the process and its children, without imports (a survey pays those once, not per video; about 0.2 s
on both sides). Memory is the peak of the largest process, so FFmpeg's own memory is not added to the baseline. Runs
alternate; the table has medians.

    python benchmarks/decode.py [--runs 5] [--folder DIR]

Needs Debian's ffmpeg to make the clips and for the baseline.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = [float(second) for second in range(0, 60, 4)]

# A moving picture with sensor noise: as hard to decode as real footage of the same bit rate.
SOURCE = "testsrc2=size={size}:rate=30:duration=60,noise=alls=6:allf=t,format=yuv420p"
CLIPS = {
    # name: (size, encoder arguments, file, least CPU ratio that is promised)
    "1080p H.264 mp4": (
        "1920x1080",
        ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-g", "30"],
        "h264.mp4",
        5,
    ),
    "1080p H.264, one keyframe in 250": (
        "1920x1080",
        ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M"],
        "h264-250.mp4",
        5,
    ),
    "720p MJPEG avi": ("1280x720", ["-c:v", "mjpeg", "-q:v", "6"], "mjpeg.avi", 15),
    "1080p HEVC mp4": (
        "1920x1080",
        ["-c:v", "libx265", "-preset", "ultrafast", "-b:v", "6M", "-x265-params", "keyint=30:log-level=none"],
        "hevc.mp4",
        10,
    ),
}


def run_trapmeter(path: Path) -> None:
    """Reads the seconds as predict does, and prints the CPU seconds."""
    from trapmeter.media.reader import FitWithin
    from trapmeter.media.video import open_video

    started = cpu_s()
    with open_video(path, FitWithin(640, 640)) as video:
        shapes = [frame.pixels.shape for frame in video.frames(SECONDS)]
    assert len(shapes) == len(SECONDS)
    print(cpu_s() - started)


def run_baseline(path: Path) -> None:
    """Pipes the entire video, keeps the seconds, and prints the CPU seconds."""
    import cv2
    import numpy as np

    started = cpu_s()
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
    size = subprocess.run([*probe, path], capture_output=True, check=True, text=True).stdout
    width, height = map(int, size.strip().strip(",").split(","))
    pipe = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-vf", "fps=1:round=up", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True,
        check=True,
    ).stdout
    pictures = np.frombuffer(pipe, np.uint8).reshape(-1, height, width, 3)
    shapes = [cv2.resize(pictures[int(second)], (480, 270)).shape for second in SECONDS]
    assert len(shapes) == len(SECONDS)
    print(cpu_s() - started)


METHODS = {"trapmeter": run_trapmeter, "baseline": run_baseline}


def cpu_s() -> float:
    """CPU seconds of this process and its finished children so far."""
    return sum(os.times()[:4])


def measure(method: str, path: Path) -> tuple[float, float]:
    """CPU seconds and peak megabytes of one run in its own process."""
    process = subprocess.Popen([sys.executable, __file__, "--one", method, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{method} failed on {path}")
    return float(output), usage.ru_maxrss / 1024


def make_clips(folder: Path) -> dict[str, Path]:
    """Encodes the clips that the folder does not have yet."""
    paths = {}
    for name, (size, encoder, file_name, _) in CLIPS.items():
        paths[name] = folder / file_name
        if not paths[name].exists():
            print(f"making {file_name} ...", file=sys.stderr)
            partial = folder / f"part-{file_name}"
            source = ["-f", "lavfi", "-i", SOURCE.format(size=size)]
            subprocess.run(["ffmpeg", "-v", "error", "-y", *source, *encoder, partial], check=True)
            partial.rename(paths[name])
    return paths


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the clips are kept (default: a temporary folder)")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        METHODS[arguments.one[0]](Path(arguments.one[1]))
        return
    if shutil.which("ffmpeg") is None:
        sys.exit("ffmpeg is not installed: apt-get install ffmpeg")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print("| clip | MB | CPU s | CPU s whole video | ratio | promised | MB memory | MB whole video | share |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, path in make_clips(folder).items():
            pairs = [(measure("trapmeter", path), measure("baseline", path)) for _ in range(arguments.runs)]
            cpu, mb = (statistics.median(pair[0][i] for pair in pairs) for i in (0, 1))
            base_cpu, base_mb = (statistics.median(pair[1][i] for pair in pairs) for i in (0, 1))
            ratio = statistics.median(pair[1][0] / pair[0][0] for pair in pairs)
            print(
                f"| {name} | {path.stat().st_size / 1e6:.0f} | {cpu:.2f} | {base_cpu:.2f} | {ratio:.1f} "
                f"| {CLIPS[name][3]} | {mb:.0f} | {base_mb:.0f} | {mb / base_mb:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
