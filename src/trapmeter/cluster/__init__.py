"""Workers on the machines of a Ray cluster. Ray is imported here and nowhere else, and only when it is asked for."""
