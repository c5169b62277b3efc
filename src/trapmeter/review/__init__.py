"""Looking through the results of `predict` by eye, on a page of this machine's own.

decisions.py   what a person decides, and the log that keeps it
results.py     the rows and media that are looked through
doubt.py       in which order
state.py       what the decisions make of the rows
session.py     one writer of the log, however many pages are open
listing.py     which rows are shown
media.py       pictures at a second, from workers that may die
guard.py       who may ask
pages.py, server.py, templates/, static/   the page
export.py      what comes out: distances, labels, animals to leave out
"""
