"""`python -m trapmeter.cli`."""

from trapmeter.cli import main

main()
