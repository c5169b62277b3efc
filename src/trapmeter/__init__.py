"""Distances of animals from camera-trap videos and photos."""

__version__ = "0.1.0"
