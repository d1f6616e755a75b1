"""Where single-process work runs."""

from __future__ import annotations

import torch


def best_device() -> torch.device:
    """The machine's accelerator if it has one, else the CPU."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator if accelerator is not None else torch.device("cpu")
