"""`trapmeter predict` as a whole: CPU time by minute of 1080p video, stages, memory; and against the whole-video way.

Clips are made from the demo's: enlarged to 1920 x 1080, 30 pictures a second with sensor noise, H.264 at 8 Mbit/s, half of
them with a keyframe each second and half with one in 250 pictures. A survey of any size is hard links to them.

Growth: predict runs over 10, 100 and 1,000 videos, with the embedded box model and with the demo's network. CPU time is that
of all its processes; memory is what all of them hold together (PSS, which counts shared pages once), the highest of several
looks a second. "By further minute" is the CPU time of what a row has more than the row before, by minute: the same in each
row means linear time. Shares are of the seconds that run.json tells.

Against: our own re-enactment of what the zamba pipeline does: FFmpeg pipes a picture a second of the whole video in full size
into memory, the same detector looks at all of them, and a TorchScript network of tf_efficientnetv2_l in float32 answers 64
windows at a time, one for each animal, as it is and mirrored. The leaner way beside it asks once a second and doesn't
mirror. All on one thread, and CPU time without loading (measured on a clip of one second, and taken off). With --zamba,
zamba itself runs over the same clips: see `zamba_depth.py`.

    python benchmarks/pipeline.py [--counts 10 100 1000] [--seconds 4] [--jobs 2] [--folder DIR] [--part growth|against]
                                  [--zamba PYTHON]

Needs Debian's ffmpeg, and torch and timm for the second part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmeter.demo.clips import CLIPS, NETWORK

SOURCES = (("bmnq4208.mp4", 30), ("wrpb7984.mp4", 250), ("pvqq2562.avi", 30), ("ftdb7831.avi", 250))
"""Clips of the demo and the most pictures from one keyframe to the next. As they are, the detector finds animals in eight,
three, none and five of their eight seconds: in half of all."""

FILTER = "scale=1920:1080,fps=30,noise=alls=6:allf=t,format=yuv420p"
BATCH = 64
STAGES, FURTHER = ("decode", "detect", "networks"), "further windows"


@dataclass(frozen=True)
class Cost:
    """cpu_s: user and system time of all processes; wall_s; peak_mb: all of them together; seconds: by stage."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    seconds: dict[str, float]


def make_clips(folder: Path, seconds: int) -> list[Path]:
    """Encodes the clips once; a folder that has them is used again."""
    paths = []
    for name, group in SOURCES:
        path = folder / f"{Path(name).stem}-{seconds}.mp4"
        if not path.exists():
            print(f"making {path.name} ...", file=sys.stderr)
            partial = path.with_name(f"part-{path.name}")
            source = ["-stream_loop", "-1", "-i", CLIPS / name, "-t", str(seconds), "-vf", FILTER, "-an"]
            encoder = ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-g", str(group)]
            subprocess.run(["ffmpeg", "-v", "error", "-y", *source, *encoder, partial], check=True)
            partial.rename(path)
        paths.append(path)
    return paths


def make_survey(folder: Path, clips: list[Path], n: int) -> Path:
    """A folder of n videos."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(n):
        os.link(clips[number % len(clips)], folder / f"{number:05}.mp4")
    return folder


def held_mb(pid: int) -> float:
    """What a process and its descendants hold now."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, StopIteration):  # it has just ended
            continue
    return total / 1024


def run(command: list[str | Path]) -> Cost:
    """Runs it to its end; anything but success ends the benchmark."""
    started, peak_mb = time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak_mb = max(peak_mb, held_mb(process.pid))
            time.sleep(0.2)
        process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            log.seek(0)
            sys.exit(f"{command} failed:\n{log.read()}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - started, peak_mb, {})


def predict(survey: Path, out: Path, jobs: int, *arguments: str | Path) -> Cost:
    """One run of the command from nothing."""
    shutil.rmtree(out, ignore_errors=True)
    cli: list[str | Path] = [
        sys.executable,
        "-m",
        "trapmeter.cli",
        "predict",
        survey,
        "--out",
        out,
        "--jobs",
        str(jobs),
    ]
    cost = run([*cli, *arguments])
    told = json.loads((out / "run.json").read_text())["seconds"]
    seconds = {stage: told[f"{stage}_all_workers"] for stage in STAGES}
    seconds["rest"] = sum(told[name] for name in ("find", "load models", "measure", "write"))
    return Cost(cost.cpu_s, cost.wall_s, cost.peak_mb, seconds)


def growth(folder: Path, counts: list[int], seconds: int, jobs: int) -> None:
    """Prints the table of growth."""
    clips = make_clips(folder, seconds)
    print(f"\nvideos of {seconds} s, {jobs} workers\n")
    print("| measured by | videos | minutes | CPU s by minute | by further minute | wall s | peak MB | shares |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name, arguments in (("box model", ()), ("demo's network", ("--model", NETWORK))):
        before: tuple[float, float] | None = None
        for n in counts:
            cost = predict(make_survey(folder / "survey", clips, n), folder / "out", jobs, *arguments)
            minutes = n * seconds / 60
            further = "" if before is None else f"{(cost.cpu_s - before[0]) / (minutes - before[1]):.1f}"
            print(
                f"| {name} | {n} | {minutes:.1f} | {cost.cpu_s / minutes:.1f} | {further} | {cost.wall_s:.0f} "
                f"| {cost.peak_mb:.0f} | {shares(cost.seconds)} |",
                flush=True,
            )
            before = cost.cpu_s, minutes


def shares(seconds: dict[str, float]) -> str:
    """As `decode 20 %, detect 75 %, ...`."""
    total = sum(seconds.values())
    return ", ".join(f"{stage} {value / total:.0%}" for stage, value in seconds.items())


def whole_video(clips: list[Path], torchscript: Path, batch: int) -> dict[str, Any]:
    """The steps of the whole-video way; CPU seconds of each, and how many seconds had animals.

    "networks" is of one window for each second with animals; "further windows" of those for further animals of a second, and
    of the mirror images.
    """
    import cv2
    import numpy as np
    import torch

    from trapmeter.detect.megadetector_lite import EMBEDDED, MegadetectorLite
    from trapmeter.detect.precision import DetectorPrecision

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    detector = MegadetectorLite.load(EMBEDDED[DetectorPrecision.FLOAT32])
    network = torch.jit.load(str(torchscript)).eval()
    size = 1920, 1080
    windows: list[Any] = []
    further: list[Any] = []
    spent, started = dict.fromkeys((*STAGES, FURTHER), 0.0), cpu_s()

    def lap(stage: str) -> None:
        nonlocal started
        now = cpu_s()
        spent[stage] += now - started
        started = now

    n_seconds = 0
    for clip in clips:
        decoding = ["ffmpeg", "-v", "error", "-threads", "1", "-i", clip, "-vf", "fps=1:round=up"]
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        pipe = subprocess.run([*decoding, *raw], capture_output=True, check=True).stdout
        pictures = np.frombuffer(pipe, np.uint8).reshape(-1, size[1], size[0], 3)
        n_seconds += len(pictures)
        lap("decode")
        found = detector.detect(list(pictures))
        lap("detect")
        small = np.stack([cv2.resize(picture, (480, 270)) for picture in pictures])
        black = np.zeros_like(small[:1])
        for second, boxes in enumerate(found):
            if boxes:
                shown = [second + offset for offset in (-1, -2, 0, 1, 2)]
                parts = [small[i : i + 1] if 0 <= i < len(small) else black for i in shown]
                windows.append(np.concatenate(parts).transpose(0, 3, 1, 2).reshape(15, 270, 480))
                further += windows[-1:] * (len(boxes) - 1)
        lap("decode")

    def ask(asked: list[Any]) -> None:
        with torch.inference_mode():
            for first in range(0, len(asked), batch):
                network(torch.from_numpy(np.stack(asked[first : first + batch])).float() / 255.0)

    ask(windows)
    lap("networks")
    ask(further + [window[..., ::-1] for window in windows + further])
    lap(FURTHER)
    return {"seconds": spent, "n_seconds": n_seconds, "n_animals": len(windows)}


def make_network(file: Path, bundle: Path) -> None:
    """A TorchScript file of the 2nd place's network, and its bundle. It works as any other but answers 6 m to everything.

    Random weights answer with numbers so large that two runtimes can't agree on them.
    """
    import timm
    import torch

    from trapmeter.models.input_spec import SECOND_PLACE_INPUT
    from trapmeter.training.torchscript import ConversionJob, convert

    spec = SECOND_PLACE_INPUT
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnetv2_l.in21k", pretrained=False, in_chans=spec.n_channels, num_classes=1)
    with torch.no_grad():
        # Statistics of one batch: else numbers shrink from layer to layer until they take a processor far longer.
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        network(torch.rand(2, spec.n_channels, *spec.size_hw))
        torch.nn.init.zeros_(network.get_classifier().weight)
        torch.nn.init.constant_(network.get_classifier().bias, 6.0)
    torch.jit.save(torch.jit.script(network.eval()), str(file))
    bundle.mkdir(exist_ok=True)
    convert(ConversionJob(file, bundle, "tf_efficientnetv2_l", spec, "random weights", {}))


def cpu_s() -> float:
    """CPU seconds of this process and its finished children so far."""
    return sum(os.times()[:4])


def zamba_itself(python: Path, folder: Path, network: Path, clips: list[Path]) -> tuple[float, float]:
    """CPU seconds by minute, and peak memory in MB, of zamba in another interpreter."""
    weights, told = folder / "zamba", folder / "zamba.json"
    weights.mkdir(exist_ok=True)
    shown = weights / "zamba_depth_30aaa90525.pt"
    if not shown.exists():
        os.link(network, shown)
    cost = run([python, Path(__file__).with_name("zamba_depth.py"), weights, told, *clips])
    itself = json.loads(told.read_text())
    return 60 * itself["cpu_s"] / itself["n_seconds"], cost.peak_mb


def against(folder: Path, seconds: int, n_clips: int, batch: int, zamba: Path | None) -> None:
    """Prints the table of all ways."""
    clips = make_clips(folder, seconds)[:n_clips]
    network, bundle = folder / "network.pt", folder / "bundle"
    if not (bundle / "bundle.json").exists():
        make_network(network, bundle)
    told = folder / "whole.json"
    itself: list[str | Path] = [sys.executable, __file__, "--whole", network, told, "--batch", str(batch)]
    peak_mb = run([*itself, *clips]).peak_mb
    theirs = json.loads(told.read_text())
    minutes = theirs["n_seconds"] / 60
    lean = {stage: theirs["seconds"][stage] for stage in STAGES}
    their_cpu, lean_cpu = sum(theirs["seconds"].values()) / minutes, sum(lean.values()) / minutes
    print(
        f"\n{len(clips)} videos of {seconds} s, animals found in {theirs['n_animals']} of {theirs['n_seconds']} seconds; "
        "CPU s by minute on one thread\n"
    )
    print("| way | CPU s by minute | times less | than the leaner way | peak MB | shares |")
    print("| --- | --- | --- | --- | --- | --- |")

    def show(name: str, cpu: float, peak_mb: float, spent: dict[str, float] | None) -> None:
        told = "not known" if spent is None else shares(spent)
        print(
            f"| {name} | {cpu:.1f} | {their_cpu / cpu:.1f} | {lean_cpu / cpu:.1f} | {peak_mb:.0f} | {told} |",
            flush=True,
        )

    if zamba:
        show("zamba itself", *zamba_itself(zamba, folder, network, clips), None)
    show("whole video, TorchScript L", their_cpu, peak_mb, theirs["seconds"])
    show("... once a second, not mirrored", lean_cpu, peak_mb, lean)
    instant = make_survey(folder / "instant", make_clips(folder, 1), 1)
    survey = make_survey(folder / "survey", clips, len(clips))
    ways: dict[str, tuple[str | Path, ...]] = {
        "ours, the same network, mirrored": ("--model", bundle, "--flip"),
        "ours, the same network": ("--model", bundle),
        "ours, box model (default)": (),
        "ours, box model, the same detector": ("--detector", "float32"),
        "ours, demo's network": ("--model", NETWORK),
    }
    for name, arguments in ways.items():
        loading = predict(instant, folder / "out", 1, *arguments)
        cost = predict(survey, folder / "out", 1, *arguments)
        cpu = (cost.cpu_s - loading.cpu_s) / (minutes - 1 / 60)
        work = {stage: cost.seconds[stage] - loading.seconds[stage] for stage in STAGES}
        show(name, cpu, cost.peak_mb, work)
        if not arguments:
            ours = cpu
    # The box model's cost doesn't depend on how many seconds have animals; the other way's does.
    fixed = (lean["decode"] + lean["detect"]) / minutes
    window_s = (their_cpu - fixed) * minutes / theirs["n_animals"]
    least = (5 * ours - fixed) / (60 * window_s)
    print(
        f"\nThe box model takes a fifth at animals in {least:.0%} of all seconds, and {ours / fixed:.2f} of the whole-video "
        "way without any."
    )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seconds", type=int, default=4, help="length of the videos that are counted")
    parser.add_argument("--against-seconds", type=int, default=15, help="length of those that both ways see")
    parser.add_argument("--against-clips", type=int, default=4, help="how many of those, at most 4")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=BATCH, help="windows at a time in the whole-video way")
    parser.add_argument(
        "--folder", type=Path, help="where clips and the network are kept (default: a temporary folder)"
    )
    parser.add_argument(
        "--zamba", type=Path, metavar="PYTHON", help="interpreter of an environment that has zamba[video]"
    )
    parser.add_argument("--part", choices=("growth", "against"))
    parser.add_argument("--whole", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("clips", type=Path, nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.whole:
        torchscript, told = arguments.whole
        told.write_text(json.dumps(whole_video(arguments.clips, torchscript, arguments.batch)))
        return
    if shutil.which("ffmpeg") is None:
        sys.exit("ffmpeg is not installed: apt-get install ffmpeg")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.part != "against":
            growth(folder, arguments.counts, arguments.seconds, arguments.jobs)
        if arguments.part != "growth":
            against(folder, arguments.against_seconds, arguments.against_clips, arguments.batch, arguments.zamba)


if __name__ == "__main__":
    main()
