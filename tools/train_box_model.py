"""Trains the embedded box model anew: python tools/train_box_model.py TABLES, with the folder of the Deep Chimpact tables."""

from __future__ import annotations

import sys
from pathlib import Path

from trapmeter.boxmodel.model import EMBEDDED
from trapmeter.boxmodel.samples import read_tables
from trapmeter.boxmodel.settings import deep_chimpact_recipe
from trapmeter.boxmodel.train import train


def main() -> None:
    """Writes the bundle into the package."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    train(read_tables(Path(sys.argv[1])), EMBEDDED, deep_chimpact_recipe(), print)


if __name__ == "__main__":
    main()
