"""Distance from boxes alone, no pixels: a second opinion beside the network, trained on real labels."""
