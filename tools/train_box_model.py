"""Retrains the embedded box model.

    python tools/train_box_model.py TABLES

TABLES is the folder of the Deep Chimpact tables.
"""

from __future__ import annotations

import sys

from trapmeter.boxmodel.model import EMBEDDED
from trapmeter.boxmodel.settings import deep_chimpact_recipe
from trapmeter.boxmodel.training import train_box_model
from trapmeter.boxmodel.training_data import read_labelled_observations


def main() -> None:
    """Writes the bundle into the package."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    train_box_model(read_labelled_observations(sys.argv[1]), EMBEDDED, deep_chimpact_recipe(), print)


if __name__ == "__main__":
    main()
