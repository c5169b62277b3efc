"""The report of a run: one self-contained HTML file that an ecologist can read, print and pass on."""
