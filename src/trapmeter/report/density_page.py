"""Writes the folder of a density estimation: results as JSON and CSV, the report, and what R needs to repeat it."""

from __future__ import annotations

from pathlib import Path

from trapmeter.density.results import write_csv, write_json
from trapmeter.density.run import DensityRun
from trapmeter.errors import RunError

REPORT = "density.html"


def write_folder(out: Path, run: DensityRun) -> Path:
    """Writes all files into a folder, which is made if need be, and returns the report's path.

    Raises:
        RunError: the folder can't be made, or a file can't be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{out} can't be used as a folder for results: {error.strerror or error}; name another"
        ) from error
    write_json(out / "density.json", run)
    write_csv(out / "density.csv", run)
    return out / REPORT
