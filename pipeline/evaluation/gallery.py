"""The pictures to be judged, beside real pictures of the same prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.painting_files import INDEX


@dataclass(frozen=True)
class Draws:
    """What the prior drew for the prompts that a run is judged by, a row for each draw.

    Attributes:
        prompts: (N,) texts.
        images: (N, H, W, 3) uint8.
        candidates: (N,) int64: the how-manieth draw of its prompt.
        chosen: (N,) bool: is it the one that BLIP's captioner picked among its prompt's?
    """

    prompts: list[str]
    images: np.ndarray
    candidates: np.ndarray
    chosen: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> Draws:
        """Read the judged pictures of a folder that `generate` made."""
        index = pd.read_csv(folder / INDEX, keep_default_na=False, dtype={"prompt": str})
        index = index[index["judged"] & (index["sample"] == 0)]
        return cls(
            prompts=[str(prompt) for prompt in index["prompt"]],
            images=np.stack([np.asarray(Image.open(folder / name)) for name in index["file"]]),
            candidates=index["candidate"].to_numpy(),
            chosen=index["chosen"].to_numpy(dtype=bool),
        )

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def unranked(self) -> np.ndarray:
        """(P, H, W, 3), the first draw of each prompt, in whose choice nobody had a say."""
        return self.images[self.candidates == 0]

    @property
    def best(self) -> np.ndarray:
        """(P, H, W, 3), the draw of each prompt that BLIP's captioner picked."""
        return self.images[self.chosen]


@dataclass(frozen=True)
class References:
    """Two real pictures for each of P prompts, and what is painted from their codes.

    Attributes:
        prompts: (P,) distinct texts, in the order of the draws.
        labels: (P,) what each prompt asks for; "" where that is unknown.
        real: (P, H, W, 3) uint8, pictures that no model was trained on.
        other: (P, H, W, 3) uint8, another picture of the same prompt, or at least of its label.
        real_decoded, other_decoded: (P, H, W, 3) uint8, their reconstructions of least error.
        same_prompt: the share of `other` whose prompt is the very same.
        real_redrawn, other_redrawn: (P, H, W, 3) uint8, what the flow decoder draws from the same
            codes; None where it is not asked to paint.
    """

    prompts: Sequence[str]
    labels: Sequence[str]
    real: np.ndarray
    other: np.ndarray
    real_decoded: np.ndarray
    other_decoded: np.ndarray
    same_prompt: float
    real_redrawn: np.ndarray | None = None
    other_redrawn: np.ndarray | None = None

    @property
    def real_repainted(self) -> np.ndarray:
        """(P, H, W, 3), from the codes of `real` by the very decoder of the generated pictures."""
        return self.real_decoded if self.real_redrawn is None else self.real_redrawn
