"""Writes the held-out answers of the embedded box model that `trapmeter density --errors deep-chimpact` takes.

trapmeter boxmodel evaluate --tables deep-chimpact --out EVAL
python tools/write_held_out.py EVAL/oof.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from trapmeter.density.held_out import EMBEDDED, read_held_out

if __name__ == "__main__":
    pairs = read_held_out(Path(sys.argv[1]))
    np.savez_compressed(
        EMBEDDED,
        truth_cm=np.round(pairs.truth_m * 100).astype(np.uint16),
        answer_cm=np.round(pairs.answer_m * 100).astype(np.uint16),
        site=pairs.site.astype(np.uint16),
    )
    print(f"{EMBEDDED}: {len(pairs.truth_m):,} pairs, {EMBEDDED.stat().st_size / 1000:.0f} kB")
