"""Scenes as numbers: one column for each attribute, one number for each of its values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.sample.scene import CHOICES, KINDS, Scene, every_scene

ATTRIBUTES = ("kind", "colour", "count", "sort", "setting", "light")
VALUES: dict[str, tuple[str | int, ...]] = {
    name: tuple(dict.fromkeys(getattr(scene, name) for scene in every_scene()))
    for name in ATTRIBUTES
}
SIZES = tuple(len(VALUES[name]) for name in ATTRIBUTES)


def encode(scenes: Sequence[Scene]) -> np.ndarray:
    """The scenes' values: (N, 6) int64, the column a number in `VALUES[ATTRIBUTES[column]]`."""
    rows = [[VALUES[name].index(getattr(scene, name)) for name in ATTRIBUTES] for scene in scenes]
    return np.array(rows, dtype=np.int64).reshape(-1, len(ATTRIBUTES))


def _possible(kind: str, name: str) -> tuple[str | int, ...]:
    """The values among which an asked kind leaves a choice; a picture may be of any kind."""
    return KINDS if name == "kind" else getattr(CHOICES[kind], f"{name}s")


# (kinds, 6) int64: how many values there are to choose from. Where it is 1 nothing can be wrong,
# and the attribute does not count.
WAYS = np.array([[len(_possible(kind, name)) for name in ATTRIBUTES] for kind in KINDS])
# (kinds, sum of SIZES) bool: which of all values, side by side, the kind may have.
ALLOWED = np.array(
    [[value in _possible(kind, name) for name in ATTRIBUTES for value in VALUES[name]]
     for kind in KINDS]
)  # fmt: skip
