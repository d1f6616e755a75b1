"""Where work runs, and that it runs the same each time."""

from __future__ import annotations

import torch


def repeat_exactly() -> None:
    """Have torch choose operations that give the same bytes each time, for the whole process.

    Without it the gradient of an index adds up in whatever order two threads come to it. On an
    accelerator an operation that has no such variant warns; on the CPU it is an error.
    """
    torch.use_deterministic_algorithms(True, warn_only=torch.accelerator.is_available())
    # Filling fresh memory would make reading it by mistake repeatable; nothing here reads it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def best_device() -> torch.device:
    """The machine's accelerator if it has one, else the CPU."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator if accelerator is not None else torch.device("cpu")
