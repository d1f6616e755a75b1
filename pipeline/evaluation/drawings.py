"""The pictures that a person judges the metrics by: latents, reconstructions, painted prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.evaluation.gallery import Gallery
from pipeline.evaluation.memorising import Nearest
from pipeline.evaluation.plots import comparison_grid, image_grid, scatter, write_png
from pipeline.evaluation.projection import pca, tsne
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.files import write_tsv

COLUMNS = 8


def draw_latents(
    latents: np.ndarray, labels: Sequence[str], *, tables: Path, pictures: Path, seed: int
) -> dict[str, str]:
    """Draw latents (N, D) in the plane, each as a table for `dvc plots` and as a picture.

    Returns:
        What could not be drawn, and why; its table has no rows, and its picture no points.
    """
    left_out: dict[str, str] = {}
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "pca": pca,
        "tsne": partial(tsne, seed=seed),
    }
    for name, method in methods.items():
        try:
            points, drawn = method(latents), labels
        except Unmeasurable as reason:
            left_out[f"latents.{name}"] = str(reason)
            points, drawn = np.empty((0, 2)), []
        rows = [
            {"x": x, "y": y, "label": label or "none"}
            for (x, y), label in zip(points.tolist(), drawn, strict=True)
        ]
        write_tsv(tables / f"{name}.tsv", rows, columns=("x", "y", "label"))
        scatter(
            pictures / f"latents_{name}.png",
            points,
            drawn,
            title=f"Latents of the test pictures ({name})",
            axes=("first axis", "second axis"),
        )
    return left_out


def draw_reconstructions(real: np.ndarray, reconstructed: np.ndarray, pictures: Path) -> None:
    """Pictures (N, H, W, 3) uint8 above what the VQ-VAE makes of them."""
    rows = {"real": real, "reconstructed": reconstructed}
    write_png(pictures / "reconstructions.png", comparison_grid(rows, columns=COLUMNS, scale=2))


def draw_generated(
    gallery: Gallery, training: np.ndarray, nearest: Nearest, pictures: Path, *, count: int
) -> None:
    """The first generated pictures under their prompts; the least novel beside what they are like.

    Args:
        count: how many pictures the first grid has; the second has half of it.
        training: (N, H, W, 3) uint8, which the rows of `nearest` count.
    """
    images, prompts = gallery.images["generated"], gallery.prompts
    grid = image_grid(images[:count], prompts[:count], columns=COLUMNS, scale=2)
    write_png(pictures / "generated.png", grid)
    closest = np.argsort(nearest.distances, kind="stable")[: count // 2]
    rows = {
        "generated": images[closest],
        "nearest\nin training": training[nearest.rows[closest]],
        "real": gallery.images["real"][closest],
    }
    beside = comparison_grid(rows, [prompts[i] for i in closest], columns=COLUMNS, scale=2)
    write_png(pictures / "nearest.png", beside)
