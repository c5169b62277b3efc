"""Reference photographs: people mark points, poles and persons in them, in a browser on their own machine."""
