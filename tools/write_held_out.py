"""Writes the held-out predictions of the embedded box model that `trapmeter density --errors deep-chimpact` takes.

trapmeter boxmodel evaluate --tables deep-chimpact --out EVAL
python tools/write_held_out.py EVAL/oof.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from trapmeter.density.detection.held_out_errors import EMBEDDED_PAIRS, read_held_out

if __name__ == "__main__":
    pairs = read_held_out(Path(sys.argv[1]))
    np.savez_compressed(
        EMBEDDED_PAIRS,
        truth_cm=np.round(pairs.truth_m * 100).astype(np.uint16),
        answer_cm=np.round(pairs.predicted_m * 100).astype(np.uint16),
        site=pairs.site.astype(np.uint16),
    )
    print(f"{EMBEDDED_PAIRS}: {len(pairs.truth_m):,} pairs, {EMBEDDED_PAIRS.stat().st_size / 1000:.0f} kB")
