"""How far to widen an interval so that it holds for what was not seen: conformal prediction.

The ends move by what held-out rows turned out to need (Vovk, Gammerman and Shafer 2005; Romano, Patterson and Candes 2019).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TAIL = 0.05
"""Share of truths that may lie beyond each end of a 90 % interval."""


def needed_offset(excess: NDArray[np.float64], tail: float = TAIL) -> float:
    """The smallest offset that leaves a share tail of rows beyond the end, with the correction for a small sample.

    excess: by how much each held-out truth lies beyond the end, negative inside. Without rows nothing is known: 0.
    """
    n = len(excess)
    if n == 0:
        return 0.0
    rank = min(int(np.ceil((1 - tail) * (n + 1))), n)
    return float(np.sort(excess)[rank - 1])
