"""Tables of other programs and of our own: one module per foreign format, converted at the border into records.

Every reader raises InputError that names the file, the line (the header is line 1), the column, what was expected,
what came, and what to do. Nothing here opens a video or photo.
"""
