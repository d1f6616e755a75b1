"""Checkpoints of a run in progress: atomic, checksummed, the last two kept, nothing pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pipeline.files import replacing
from pipeline.progress import say
from pipeline.sealing import digest

KEPT = 2  # the newest may be torn by a failing disk; the one before is the way back


class Checkpoints:
    """The checkpoints of one run, in a folder that belongs to exactly its params, data and code.

    A file is named by its step and by the digest of its bytes, so that a damaged one is recognised.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, step: int, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        """Write one checkpoint; older ones than the last two are dropped.

        Args:
            tensors: everything that is a tensor, on any device.
            state: the rest, as JSON can hold it.
        """
        written = self.folder / "writing.safetensors"
        with replacing(written) as aside:
            plain = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}
            save_file(plain, aside, metadata={"state": json.dumps(state)})
        written.replace(self.folder / f"{step:09d}-{digest(written)}.safetensors")
        for old in self._newest_first()[KEPT:]:
            old.unlink()

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The newest checkpoint whose bytes are whole, or None to start from the beginning."""
        for path in self._newest_first():
            try:
                if digest(path) == path.stem.split("-")[1]:
                    with safe_open(path, framework="pt") as file:
                        # Copies: Windows removes no file that a tensor still maps.
                        tensors = {k: file.get_tensor(k).clone() for k in file.keys()}  # noqa: SIM118
                        return tensors, json.loads(file.metadata()["state"])
            except SafetensorError:
                pass  # damaged before its digest was taken
            except FileNotFoundError:
                continue  # another process of this run found it damaged first
            say(f"{path}: this checkpoint is damaged; going back to the one before")
            path.unlink(missing_ok=True)
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("*-*.safetensors"), reverse=True)
