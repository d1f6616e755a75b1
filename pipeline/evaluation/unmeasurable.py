"""The exception of a measure that this data cannot give."""


class Unmeasurable(Exception):
    """Why a measure is left out (one line, for the log and the report), never a zero or a NaN."""
