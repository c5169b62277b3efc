"""All of `trapmeter predict`: CPU time per minute of 1080p video, stages and memory, and a comparison with zamba's method.

Clips are made from the demo's: enlarged to 1920 x 1080, 30 pictures per second with sensor noise, H.264 at 8 Mbit/s, half of
them with a keyframe every second and half with one every 250 pictures. Surveys of any size consist of hard links to them.

Growth: predict runs on 10, 100 and 1,000 videos, with the embedded box model and with the demo's network. CPU time is that of
all its processes; memory is that of all of them together (PSS, which counts shared pages once), the maximum of several
samples per second. "Per further minute" is the additional CPU time of a row compared with the row before, per additional
minute: equal values mean linear time. Shares are of the seconds in run.json.

Against: a re-implementation of the zamba pipeline. FFmpeg pipes one picture per second of the entire video in full size into
memory, the same detector runs on all of them, and a TorchScript network of tf_efficientnetv2_l in float32 predicts 64 windows
at a time, one for each animal, and their mirror images. The leaner variant runs once per second without mirror images. All
run on one thread, and CPU time is without loading (measured on a clip of one second and subtracted). With --zamba, zamba
itself runs on the same clips: see `zamba_depth.py`.

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
"""Clips of the demo, and the largest number of pictures between keyframes. The detector finds animals in eight, three, none
and five of their eight seconds, which is half of all."""

FILTER = "scale=1920:1080,fps=30,noise=alls=6:allf=t,format=yuv420p"
BATCH = 64
STAGES, FURTHER = ("decode", "detect", "networks"), "further windows"


@dataclass(frozen=True)
class Cost:
    """The cost of a run: user and system time of all processes, wall time, their joint peak memory, and seconds by stage."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    seconds: dict[str, float]


def make_clips(folder: Path, seconds: int) -> list[Path]:
    """Encodes the clips, unless the folder has them already."""
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
    """Makes a folder of n videos."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(n):
        os.link(clips[number % len(clips)], folder / f"{number:05}.mp4")
    return folder


def held_mb(pid: int) -> float:
    """The current memory of a process and its descendants."""
    total, waiting = 0, [pid]
    while waiting:
        current = waiting.pop()
        try:
            rollup = Path(f"/proc/{current}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            for task in Path(f"/proc/{current}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, StopIteration):  # the process has just ended
            continue
    return total / 1024


def run(command: list[str | Path]) -> Cost:
    """Runs a command; a failure ends the benchmark."""
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
    """Runs `trapmeter predict` without earlier results."""
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
    stages = json.loads((out / "run.json").read_text())["seconds"]
    seconds = {stage: stages[f"{stage}_all_workers"] for stage in STAGES}
    seconds["rest"] = sum(stages[name] for name in ("find", "load models", "measure", "write"))
    return Cost(cost.cpu_s, cost.wall_s, cost.peak_mb, seconds)


def growth(folder: Path, counts: list[int], seconds: int, jobs: int) -> None:
    """Prints the table of growth."""
    clips = make_clips(folder, seconds)
    print(f"\nvideos of {seconds} s, {jobs} workers\n")
    print("| measured by | videos | minutes | CPU s per minute | per further minute | wall s | peak MB | shares |")
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
    """Such as `decode 20%, detect 75%, ...`."""
    total = sum(seconds.values())
    return ", ".join(f"{stage} {value / total:.0%}" for stage, value in seconds.items())


def whole_video(clips: list[Path], torchscript: Path, batch: int) -> dict[str, Any]:
    """Runs zamba's method; returns the CPU seconds of its stages, and how many seconds had animals.

    "networks" is one window for each second with animals; "further windows" are those of further animals, and mirror images.
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

    def run_network(inputs: list[Any]) -> None:
        with torch.inference_mode():
            for first in range(0, len(inputs), batch):
                network(torch.from_numpy(np.stack(inputs[first : first + batch])).float() / 255.0)

    run_network(windows)
    lap("networks")
    run_network(further + [window[..., ::-1] for window in windows + further])
    lap(FURTHER)
    return {"seconds": spent, "n_seconds": n_seconds, "n_animals": len(windows)}


def make_network(file: Path, bundle: Path) -> None:
    """Makes a TorchScript file of the 2nd-place system's network, and its bundle; it predicts 6 m for every window.

    With a random last layer it would predict such large numbers that two runtimes differ.
    """
    import timm
    import torch

    from trapmeter.models.input_spec import SECOND_PLACE_INPUT
    from trapmeter.training.torchscript import ConversionJob, convert

    spec = SECOND_PLACE_INPUT
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnetv2_l.in21k", pretrained=False, in_chans=spec.n_channels, num_classes=1)
    with torch.no_grad():
        # Batch-norm statistics of one batch; otherwise values shrink to denormal numbers, which are slow.
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
    """CPU seconds per minute, and peak memory in MB, of zamba in another interpreter."""
    weights, result = folder / "zamba", folder / "zamba.json"
    weights.mkdir(exist_ok=True)
    linked = weights / "zamba_depth_30aaa90525.pt"
    if not linked.exists():
        os.link(network, linked)
    cost = run([python, Path(__file__).with_name("zamba_depth.py"), weights, result, *clips])
    itself = json.loads(result.read_text())
    return 60 * itself["cpu_s"] / itself["n_seconds"], cost.peak_mb


def against(folder: Path, seconds: int, n_clips: int, batch: int, zamba: Path | None) -> None:
    """Prints the table of all methods."""
    clips = make_clips(folder, seconds)[:n_clips]
    network, bundle = folder / "network.pt", folder / "bundle"
    if not (bundle / "bundle.json").exists():
        make_network(network, bundle)
    result = folder / "whole.json"
    itself: list[str | Path] = [sys.executable, __file__, "--whole", network, result, "--batch", str(batch)]
    peak_mb = run([*itself, *clips]).peak_mb
    whole = json.loads(result.read_text())
    minutes = whole["n_seconds"] / 60
    lean = {stage: whole["seconds"][stage] for stage in STAGES}
    whole_cpu, lean_cpu = sum(whole["seconds"].values()) / minutes, sum(lean.values()) / minutes
    print(
        f"\n{len(clips)} videos of {seconds} s, animals found in {whole['n_animals']} of {whole['n_seconds']} seconds; "
        "CPU s per minute on one thread\n"
    )
    print("| method | CPU s per minute | factor | factor to the leaner variant | peak MB | shares |")
    print("| --- | --- | --- | --- | --- | --- |")

    def show(name: str, cpu: float, peak_mb: float, spent: dict[str, float] | None) -> None:
        by_stage = "not known" if spent is None else shares(spent)
        print(
            f"| {name} | {cpu:.1f} | {whole_cpu / cpu:.1f} | {lean_cpu / cpu:.1f} | {peak_mb:.0f} | {by_stage} |",
            flush=True,
        )

    if zamba:
        show("zamba itself", *zamba_itself(zamba, folder, network, clips), None)
    show("entire video, TorchScript L", whole_cpu, peak_mb, whole["seconds"])
    show("... once per second, without mirror images", lean_cpu, peak_mb, lean)
    instant = make_survey(folder / "instant", make_clips(folder, 1), 1)
    survey = make_survey(folder / "survey", clips, len(clips))
    ways: dict[str, tuple[str | Path, ...]] = {
        "trapmeter, the same network, with mirror images": ("--model", bundle, "--flip"),
        "trapmeter, the same network": ("--model", bundle),
        "trapmeter, box model (default)": (),
        "trapmeter, box model, the same detector": ("--detector", "float32"),
        "trapmeter, the demo's network": ("--model", NETWORK),
    }
    for name, arguments in ways.items():
        loading = predict(instant, folder / "out", 1, *arguments)
        cost = predict(survey, folder / "out", 1, *arguments)
        cpu = (cost.cpu_s - loading.cpu_s) / (minutes - 1 / 60)
        work = {stage: cost.seconds[stage] - loading.seconds[stage] for stage in STAGES}
        show(name, cpu, cost.peak_mb, work)
        if not arguments:
            box_model_cpu = cpu
    # Unlike the other method's, the box model's cost doesn't depend on how many seconds have animals.
    fixed = (lean["decode"] + lean["detect"]) / minutes
    window_s = (whole_cpu - fixed) * minutes / whole["n_animals"]
    least = (5 * box_model_cpu - fixed) / (60 * window_s)
    print(
        f"\nThe box model takes a fifth with animals in {least:.0%} of all seconds, and {box_model_cpu / fixed:.2f} of the "
        "other method without any."
    )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seconds", type=int, default=4, help="length of the videos for growth")
    parser.add_argument("--against-seconds", type=int, default=15, help="length of the videos for the comparison")
    parser.add_argument("--against-clips", type=int, default=4, help="number of those, at most 4")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=BATCH, help="windows per batch in zamba's method")
    parser.add_argument("--folder", type=Path, help="folder for clips and network (default: temporary)")
    parser.add_argument(
        "--zamba", type=Path, metavar="PYTHON", help="interpreter of an environment that has zamba[video]"
    )
    parser.add_argument("--part", choices=("growth", "against"))
    parser.add_argument("--whole", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("clips", type=Path, nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.whole:
        torchscript, result = arguments.whole
        result.write_text(json.dumps(whole_video(arguments.clips, torchscript, arguments.batch)))
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
