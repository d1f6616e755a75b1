"""Steps over buffers that stay: recorded as CUDA graphs where starting kernels takes the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pipeline.progress import say

Work = Callable[[], object]
RECORDED = ("cuda",)  # devices on which kernels are recorded; ROCm goes by this name too


class Recorded:
    """The same steps run over and over, to fill a buffer.

    On a CUDA device starting small kernels takes far longer than they run. So there the steps are
    recorded before the second run, which is then done both ways; if the recording filled the buffer
    with the same, which it must, it is replayed in every later run.

    Args:
        filled: the buffer whose values tell whether a recording did the same.
    """

    def __init__(self, filled: Tensor) -> None:
        self.filled = filled
        self.recording: list[Work] = []
        self.runs = 0

    def run(self, steps: Sequence[Work], begin: Work) -> None:
        """Fill the buffer.

        Args:
            steps: the same in every run; they read and write buffers that stay where they are, and
                never wait for the device.
            begin: brings the buffers to where the steps start; done anew for each run.
        """
        self.runs += 1
        if self.runs == 2 and self.filled.device.type in RECORDED:
            self._record(steps, begin)
        else:
            _run(self.recording or steps, begin)

    def _record(self, steps: Sequence[Work], begin: Work) -> None:
        recording: list[Work] = []
        reason = "theirs were other values"
        try:
            recording = record(steps)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:120]
        _run(steps, begin)
        wanted = self.filled.clone()
        self.filled.fill_(-1)
        _run(recording, begin)
        if torch.equal(self.filled, wanted):
            self.recording = recording
        else:
            say(f"sampling goes on without CUDA graphs: {reason}")
        self.filled.copy_(wanted)


def record(steps: Sequence[Work]) -> list[Work]:
    """Each step as a CUDA graph; they share their memory, so replay them in this order."""
    pool = torch.cuda.graph_pool_handle()
    replays: list[Work] = []
    with torch.cuda.stream(torch.cuda.current_stream()):  # a capture that fails leaves its own
        for step in steps:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                step()
            replays.append(graph.replay)
    return replays


def _run(work: Sequence[Work], begin: Work) -> None:
    begin()
    for each in work:
        each()
