"""The scratch folder: what a run may find again, and what neither git nor DVC sees."""

from __future__ import annotations

import os
from pathlib import Path


def scratch_root() -> Path:
    """The scratch folder of this project, shared with the experiments that DVC runs in copies."""
    if moved := os.environ.get("CODEBRUSH_SCRATCH"):
        return Path(moved)
    here = Path.cwd()
    for parent in here.parents:  # `dvc exp run --temp` works in .dvc/tmp/exps/standalone/tmpXXXX
        if parent.name == "exps" and parent.parts[-3:-1] == (".dvc", "tmp"):
            return parent.parents[2] / ".scratch"
    return here / ".scratch"
