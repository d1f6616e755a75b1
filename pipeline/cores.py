"""How many cores a process may use; known without torch."""

from __future__ import annotations

import os


def cores_here() -> int:
    """Those that the system leaves to this process, shared with the others of its launcher."""
    free = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        free = len(os.sched_getaffinity(0))
    return max(1, free // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))
