"""CUDA graphs where there is no CUDA device: what is recorded is what torch was asked to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline.sampling import recorded
from pipeline.sampling.recorded import Work


class Tape(TorchDispatchMode):
    """As a CUDA graph does, it keeps the operations and their very tensors, and no Python."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        self.calls.append((operation, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for operation, args, kwargs, out in self.calls:
            again = operation(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def record_on_tape(steps: Sequence[Work]) -> list[Work]:
    tapes = [Tape() for _ in steps]
    for tape, step in zip(tapes, steps, strict=True):
        with tape:
            step()
    return [tape.replay for tape in tapes]


def record_on_tapes(
    monkeypatch: pytest.MonkeyPatch,
    record: Callable[[Sequence[Work]], list[Work]] = record_on_tape,
) -> None:
    """Let samplers on this processor record their steps by `record`, and replay them."""
    monkeypatch.setattr(recorded, "RECORDED", ("cpu",))
    monkeypatch.setattr(recorded, "record", record)
