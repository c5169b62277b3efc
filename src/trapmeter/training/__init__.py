"""Training: everything that fits a network to labelled windows. Mostly needs torch."""
