"""How threads wait for one another: briefly, for whoever uses the library.

torch's threads meet at a barrier after every operation. GNU's OpenMP lets them spin there for
300,000 turns before they sleep: where another process wants the cores too, each spins away the time
in which the other would have finished. A forward pass of the prior took 1.76 s instead of 0.08 on
two busy cores. Asleep at once, BLIP's training took a third longer on two idle cores.

The runtime reads from the environment how long to spin, once, when torch is loaded. The stages'
launcher sets it; for a script, `import pipeline` does. If torch was imported before, it is too late
for that. But the runtime also spins less by itself as long as it has more threads than there are
cores, and threads that sleep count: so one more team of them is made, which never wakes. The
threads that compute, and so the sums, stay the same.
"""

from __future__ import annotations

import os
import sys
import threading

SPIN_COUNT = {"GOMP_SPINCOUNT": "1000"}
_started = threading.Event()


def wait_briefly() -> None:
    """Have threads of this process spin briefly, unless the environment says how they wait."""
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        return
    if "torch" not in sys.modules:
        os.environ.update(SPIN_COUNT)
    elif not _started.is_set():
        threading.Thread(target=_sleep_as_a_team, name="sleeping team", daemon=True).start()
        _started.wait()


def _sleep_as_a_team() -> None:
    import torch

    try:
        torch.ones(1 << 20).add_(1)  # large enough to be shared by all threads of a team
    finally:
        _started.set()
    threading.Event().wait()
