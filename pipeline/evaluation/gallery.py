"""The pictures to be judged: each test prompt's generated ones, and the real one beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.data.pairs import Pair


@dataclass(frozen=True)
class Gallery:
    """Pictures of each test prompt, row by row.

    Attributes:
        prompts: (N,) texts.
        labels: (N,) what each prompt asks for; "" where that is unknown.
        images: each group's pictures, (N, H, W, 3) uint8: `generated` pictures, best of n;
            `unranked`, those that the matching score had no say in; `reconstructed` and `real` test
            pictures of the same prompts.
    """

    prompts: list[str]
    labels: list[str]
    images: Mapping[str, np.ndarray]

    @classmethod
    def load(
        cls, folder: Path, pairs: Sequence[Pair], *, real: np.ndarray, reconstructed: np.ndarray
    ) -> Gallery:
        """Read the pictures of test prompts that the folder's index lists.

        Args:
            pairs: of the test pictures.
            real: (len(pairs), H, W, 3) uint8, their pictures.
            reconstructed: the same, what the VQ-VAE makes of them.
        """
        index = pd.read_csv(folder / "index.csv", keep_default_na=False)
        index = index[index["test"]]
        first_of = {pair.caption: row for row, pair in reversed(list(enumerate(pairs)))}
        rows = [first_of[prompt] for prompt in index["prompt"]]
        return cls(
            prompts=list(index["prompt"]),
            labels=[pairs[row].main_object for row in rows],
            images={
                "generated": _read(folder, index["file"]),
                "unranked": _read(folder, index["unranked"]),
                "reconstructed": reconstructed[rows],
                "real": real[rows],
            },
        )


def _read(folder: Path, names: Sequence[str]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(folder / name)) for name in names])
