"""Retrains the embedded box model.

    python tools/train_box_model.py TABLES [TABLES ...]

TABLES are the folders of the Deep Chimpact tables and of those that tools/simtrap_tables.py makes.
"""

from __future__ import annotations

import sys

from trapmeter.boxmodel.model import EMBEDDED
from trapmeter.boxmodel.settings import embedded_recipe
from trapmeter.boxmodel.training import train_box_model
from trapmeter.boxmodel.training_data import read_tables


def main() -> None:
    """Writes the bundle into the package."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    train_box_model(read_tables(sys.argv[1:]), EMBEDDED, embedded_recipe(), print)


if __name__ == "__main__":
    main()
