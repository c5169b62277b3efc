"""The frame store: the pictures that training and submission need, decoded once and kept ready to be read in windows."""
