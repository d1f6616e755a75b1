"""Two runs side by side, for whoever reviews a pull request: read, compared, and shown.

Whatever comes from a run (names, values, paths, captions) is data: it is escaped where it is shown.
"""
