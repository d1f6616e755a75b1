"""How many cores a process may use, and work for all of them; known without torch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WAITING = 4  # calls, for each core


def cores_here() -> int:
    """Those that the system leaves to this process, shared with the others of its launcher."""
    free = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        free = len(os.sched_getaffinity(0))
    return max(1, free // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))


def on_all_cores(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map` by a thread for each core, which takes no more items than it has in hand.

    Args:
        function: spends its time where Python lets go of its lock, as decoders do.
    """
    cores = cores_here()
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(max_workers=cores) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == WAITING * cores:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for call in waiting:
                call.cancel()
