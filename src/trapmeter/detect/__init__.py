"""Finding animals in pictures and following them from second to second."""
