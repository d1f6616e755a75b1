"""The models of a prior's levels in one folder: the fine level's, and the coarse one's below it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pipeline.files import replacing

TOP = "top"  # the folder of the coarse level's model, inside the fine one's


class Saved(Protocol):
    """A model that writes itself into a folder."""

    def save_pretrained(self, folder: Path) -> None: ...


def save_levels(levels: Sequence[Saved], folder: Path) -> None:
    """Write one or two models, the top (coarse) one first; `folder` appears when it is whole."""
    with replacing(folder) as aside:
        levels[-1].save_pretrained(aside)
        if len(levels) == 2:
            levels[0].save_pretrained(aside / TOP)


def level_folders(folder: Path) -> list[Path]:
    """The folders of a prior's models, the top one first."""
    return [folder / TOP, folder] if (folder / TOP).exists() else [folder]
