"""What trains in a second process while a stage is at work that leaves a core to it.

DVC runs one stage after the other, and models this small keep two threads less than twice as busy
as one. So the judge and then the prior are trained beside the decoder. The second process leaves no
outs, and ends with the stage beside which it began; each one's own stage goes on from what is
there, to the bytes that it would have made from the start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

from pipeline.progress import say
from stages.__main__ import PREPARED
from stages.layout import AHEAD

ENDED_EARLY = 75  # exit status of a stage that ended with the one beside it


@contextlib.contextmanager
def trained_ahead(stages: Sequence[str]) -> Iterator[None]:
    """Train `stages`, one after the other, while the body runs, as far as they get.

    One that is made already is passed over. What they say is dropped: their own stages say it.
    """
    environment = {**os.environ, AHEAD: "1", "CODEBRUSH_PROCESSES": "1"}
    del environment[PREPARED]  # so that a launcher gives each its own threads
    names = ", then ".join(stages)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.beside", *stages], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        say(f"{names}: to be trained in turn, not beside this: {error.strerror}")
        yield
        return
    say(f"beside this trains what is not made already: {names}")
    with process:
        yield


def end_with_parent() -> None:
    """End this process as soon as the one that started it is done with it, or killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    # Nobody writes, so this ends when nobody could. Not by way of `sys.stdin`, whose lock a thread
    # that waits would hold when Python ends by itself.
    os.read(0, 1)
    os._exit(ENDED_EARLY)


def main(stages: Sequence[str]) -> None:
    """Start one stage after the other; they, not this, notice that whom they are beside is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stage in stages:
        if subprocess.call([sys.executable, "-m", "stages", stage]) == ENDED_EARLY:
            return


if __name__ == "__main__":
    main(sys.argv[1:])
