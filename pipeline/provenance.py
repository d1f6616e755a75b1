"""What a result was computed with: facts that change floats although no input has changed."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

COMPUTING = (
    "accelerate", "dvc", "imagehash", "lmdb", "lpips", "nltk", "numpy", "pandas", "pillow",
    "rouge-score", "scikit-learn", "scipy", "torch", "transformers", "vector-quantize-pytorch",
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
    """Name, family and model: rented machines of one name differ in how they add."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123 not a project file
            first = stream.read().partition("\n\n")[0]
    except OSError:
        return platform.processor()
    pairs = (line.partition(":") for line in first.splitlines())
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    name = facts.get("model name", platform.processor())
    return f"{name}, family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
