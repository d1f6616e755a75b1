"""How far long work has come: a bar on a terminal, plain lines with a time to go elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 10.0


def progress(
    items: Iterable[T], *, total: int, label: str, initial: int = 0, note: list[str] | None = None
) -> Iterator[T]:
    """Yield the items and report how many of `total` are done on stderr.

    Args:
        initial: items done by an earlier run that this one continues.
        note: a list whose last entry is shown at the end of each report, such as the current loss;
            the caller may append to it or replace its entry at any time.
    """
    if sys.stderr.isatty():
        yield from _bar(items, total=total, label=label, initial=initial, note=note)
    else:
        yield from _lines(items, total=total, label=label, initial=initial, note=note)


def _bar(
    items: Iterable[T], *, total: int, label: str, initial: int, note: list[str] | None
) -> Iterator[T]:
    from tqdm import tqdm

    with tqdm(total=total, initial=initial, desc=label, dynamic_ncols=True) as bar:
        for item in items:
            yield item
            bar.update()
            if note:
                bar.set_postfix_str(note[-1], refresh=False)


def _lines(
    items: Iterable[T], *, total: int, label: str, initial: int, note: list[str] | None
) -> Iterator[T]:
    start = last = time.monotonic()
    done = initial
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            last = now
            to_go = (now - start) / (done - initial) * (total - done)
            say(f"{label}: {done}/{total}, {to_go:.0f} s to go" + (f", {note[-1]}" if note else ""))
    took = time.monotonic() - start
    say(f"{label}: {done}/{total} in {took:.1f} s" + (f", {note[-1]}" if note else ""))


def say(line: str) -> None:
    """Print one line of the run's log (stderr, so that a stage's stdout stays free)."""
    print(line, file=sys.stderr, flush=True)
