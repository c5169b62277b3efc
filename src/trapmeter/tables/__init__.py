"""Tables of other programs and of trapmeter, each format converted into records in one module.

Every reader raises InputError that names the file, the line (the header is line 1) and the column, and says what was
expected, what was found, and what to do. Nothing here opens a video or photo.
"""
