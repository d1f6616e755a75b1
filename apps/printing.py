"""What is printed is UTF-8 wherever it goes: Windows would take a file for one of its code page."""

from __future__ import annotations

import io
import sys


def print_utf8() -> None:
    """See to it for this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
