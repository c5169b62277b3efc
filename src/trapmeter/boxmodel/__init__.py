"""Distance from boxes alone, without pixels: a second opinion beside the network, trained on real labels."""
