"""Distance from boxes and what is known about cameras and animals, without pixels."""
