"""Training: what teaches a network to read distances from windows of frames."""
