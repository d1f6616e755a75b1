"""A training beside another one, which is as good as alone on a core or two of its own.

DVC runs one stage after the other, and models this small keep two threads less than twice as busy
as one. So while the decoder's stage is at work, a process trains the prior ahead of its turn. That
process leaves checkpoints alone, and ends with the stage beside which it began; the prior's own
stage goes on from there, to the bytes that it would have made from the start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

from pipeline.progress import say
from stages.resuming import AHEAD


@contextlib.contextmanager
def trained_ahead(stage: str) -> Iterator[None]:
    """Train `stage` while the body runs, as far as it comes; what it has to say its stage says."""
    say(f"{stage} is trained meanwhile, as far as it comes")
    with subprocess.Popen(
        [sys.executable, "-m", "stages", stage],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, AHEAD: "1"},
    ):  # fmt: skip
        yield


def end_with_parent() -> None:
    """End this process as soon as the one that started it is done with it, or killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    # Nobody writes, so this ends when nobody could. Not by way of `sys.stdin`, whose lock a thread
    # that waits would hold when Python ends by itself.
    os.read(0, 1)
    os._exit(0)
