"""How long trapmeter takes to start: python benchmarks/startup.py [--rounds 21].

Each round starts every command once, beside an interpreter that does nothing, so that whatever else the machine does
falls on all alike. Prints medians as a Markdown table: wall and processor time, and what comes on top of the interpreter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from statistics import median

NOTHING = "python -c pass"
COMMANDS = {
    NOTHING: ["-c", "pass"],
    "import trapmeter": ["-c", "import trapmeter"],
    "trapmeter --version": ["-m", "trapmeter.cli", "--version"],
    "trapmeter --help": ["-m", "trapmeter.cli", "--help"],
    "trapmeter predict --help": ["-m", "trapmeter.cli", "predict", "--help"],
}


def once(arguments: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one start."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    if status:
        sys.exit(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return wall_s, used.ru_utime + used.ru_stime


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Start-up times.")
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for arguments in COMMANDS.values():
        once(arguments)  # compiled files and the disk's cache
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            measured[name].append(once(arguments))
    print(
        f"{rounds} rounds, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n"
    )
    print("| command | wall s | processor s | processor s more than nothing | times nothing |")
    print("| --- | --- | --- | --- | --- |")
    nothing_s = median(cpu_s for _, cpu_s in measured[NOTHING])
    for name, times in measured.items():
        wall_s, cpu_s = (median(column) for column in zip(*times, strict=True))
        print(f"| `{name}` | {wall_s:.3f} | {cpu_s:.3f} | {cpu_s - nothing_s:.3f} | {cpu_s / nothing_s:.1f} |")


if __name__ == "__main__":
    main()
