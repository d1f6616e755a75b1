"""The prior trains in a second process while the decoder's stage is at work.

DVC runs one stage after the other, and models this small keep two threads less than twice as busy
as one. The second process leaves nothing but checkpoints, and ends with the stage beside which it
began; the prior's own stage goes on from there, to the bytes that it would have made from the
start.
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
from stages.__main__ import PREPARED
from stages.layout import AHEAD


@contextlib.contextmanager
def trained_ahead(stage: str) -> Iterator[None]:
    """Train `stage` while the body runs, as far as it gets, unless it is made already.

    What the process says is dropped: its own stage says it again.
    """
    environment = {**os.environ, AHEAD: "1", "CODEBRUSH_PROCESSES": "1"}
    del environment[PREPARED]  # so that a launcher gives it its own threads
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "stages", stage], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        say(f"{stage} waits for its turn: {error.strerror}")
        yield
        return
    say(f"{stage} trains beside this, unless it is made already")
    with process:
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
