"""What must be in the environment before torch is imported, for the bytes of the judged run."""

from __future__ import annotations

import os
import platform

from stages.__main__ import PINNED

QUIET = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def compute_as_judged(threads: int, instruction_set: str) -> None:
    """Have torch, which must not be loaded yet, sum as the judged run did."""
    os.environ |= environment_as_judged(threads, instruction_set)


def environment_as_judged(threads: int, instruction_set: str) -> dict[str, str]:
    """What a process must find in its environment to sum as the judged run did.

    Sums are cut into as many parts as there are threads, and into vectors as wide as the
    processor's; see `stages.__main__`.
    """
    pinned = instruction_set == "avx2" and platform.machine() in ("x86_64", "AMD64")
    return {**QUIET, "OMP_NUM_THREADS": str(threads), **(PINNED if pinned else {})}
