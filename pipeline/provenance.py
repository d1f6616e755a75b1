"""What a result was computed with: facts that change floats although no input has changed."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

COMPUTING = (
    "accelerate", "dvc", "lmdb", "lpips", "nltk", "numpy", "pandas", "pillow", "rouge-score",
    "scikit-learn", "torch", "transformers", "vector-quantize-pytorch",
)  # fmt: skip


def provenance() -> dict[str, Any]:
    """The processor, the instruction set that torch chose on it, the threads, the versions."""
    import torch

    return {
        "machine": {
            "architecture": platform.machine(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "processor": _processor(),
            "system": platform.system(),
            "threads": torch.get_num_threads(),
        },
        "python": platform.python_version(),
        "versions": {name: version(name) for name in COMPUTING},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123 not a project file
            names = [line for line in stream if line.startswith("model name")]
    except OSError:
        return platform.processor()
    return names[0].partition(":")[2].strip() if names else platform.processor()
