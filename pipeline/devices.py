"""Where work runs, and that it runs the same each time."""

from __future__ import annotations

import os

import torch

from pipeline.params import Precision
from pipeline.progress import say

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def repeat_exactly() -> None:
    """Have torch choose operations that give the same bytes each time, for the whole process.

    Without it the gradient of an index adds up in whatever order two threads come to it. On an
    accelerator an operation that has no such variant warns; on the CPU it is an error.
    """
    # `use_deterministic_algorithms` tells torch's compiler, too: to import that takes a second, and
    # nothing here compiles.
    torch.set_deterministic_debug_mode("error" if best_device().type == "cpu" else "warn")
    # Filling fresh memory would make reading it by mistake repeatable; nothing here reads it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def best_device() -> torch.device:
    """The machine's accelerator if it has one, else the CPU.

    Apple's GPU is left alone: nothing here was tried on it, and models this small gain nothing.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None or accelerator.type == "mps":
        return torch.device("cpu")
    return accelerator


def own_device() -> torch.device:
    """This process's accelerator, where torchrun started one for each; else `best_device`."""
    device = best_device()
    if device.type == "cpu":
        return device
    return torch.device(
        device.type, int(os.environ.get("LOCAL_RANK", "0")) % torch.accelerator.device_count()
    )


def warn_of_emulation(precision: Precision) -> None:
    """Say so if bfloat16 is asked of a processor that, as it may be used here, has none."""
    emulated = best_device().type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
    if precision == "bf16" and emulated:
        say(
            "precision bf16: AVX2 has no instructions for it, so it is many times slower than "
            "fp32; a processor with AVX-512 needs `instruction_set: native` besides"
        )
