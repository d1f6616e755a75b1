"""The pictures that a person judges the metrics by: latents, reconstructions, painted prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from pipeline.data.mapped_images import Images
from pipeline.data.views import to_uint8
from pipeline.evaluation.blip_page import PICTURE
from pipeline.evaluation.blip_sight import right_captions
from pipeline.evaluation.coding import decoded, latent_vectors, redrawn
from pipeline.evaluation.copies import Nearest
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.plots import comparison_grid, image_grid, scatter, write_png
from pipeline.evaluation.projection import pca, tsne
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.files import write_tsv

COLUMNS = 8
CAPTIONED = 12  # real pictures under BLIP's captions
SEEDS = 3  # of the flow decoder, for the same codes


def draw(
    judged: Judged,
    nearest: Nearest | None,
    *,
    count: int,
    pictures: Path,
    tables: Path,
    seed: int,
) -> dict[str, str]:
    """Draw every picture of the report into `pictures`, and tables for `dvc plots` into `tables`.

    Args:
        nearest: the training picture nearest to each of the first draws; None: not drawn.
        count: how many pictures the first grid has; the others have half of it.

    Returns:
        What could not be drawn, and why.
    """
    draws, references, half = judged.draws, judged.references, count // 2
    draw_generated(draws.unranked[:count], judged.prompts[:count], pictures)
    if nearest is not None:
        draw_nearest(
            draws.unranked,
            judged.prompts,
            training=judged.train.images,
            real=references.real,
            nearest=nearest,
            count=half,
            pictures=pictures,
        )
    draw_reconstructions(judged, half, pictures, seed=seed)
    test = judged.test_codes
    return draw_latents(
        latent_vectors(judged.vqvae, test.codes[:]).numpy(),
        [pair.main_object for pair in test.pairs],
        [pair.image for pair in test.pairs],
        tables=tables,
        pictures=pictures,
        seed=seed,
    )


def draw_latents(
    latents: np.ndarray,
    labels: Sequence[str],
    names: Sequence[str],
    *,
    tables: Path,
    pictures: Path,
    seed: int,
) -> dict[str, str]:
    """Draw latents (N, D) in the plane, each as a table for `dvc plots` and as a picture.

    Args:
        labels, names: (N,) of each latent's picture; "" for no label.

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
            points, drawn, of = method(latents), labels, names
        except Unmeasurable as reason:
            left_out[f"latents.{name}"] = str(reason)
            points, drawn, of = np.empty((0, 2)), [], []
        rows = [
            {"x": x, "y": y, "label": label or "none", "image": name}
            for (x, y), label, name in zip(points.tolist(), drawn, of, strict=True)
        ]
        write_tsv(tables / f"{name}.tsv", rows, columns=("x", "y", "label", "image"))
        scatter(
            pictures / f"latents_{name}.png",
            points,
            drawn,
            title=f"Latents of the test pictures ({name})",
            axes=("first axis", "second axis"),
        )
    return left_out


def draw_captions(
    images: np.ndarray, titles: Sequence[str], captions: Sequence[str], pictures: Path
) -> None:
    """The first real pictures whose captions are wrong and the first whose are right, as many of
    each as there are, twelve together, under what BLIP says and, where it is wrong, their titles.
    """
    right = right_captions(titles, captions)
    wrong = np.flatnonzero(~right)[:CAPTIONED]
    chosen = [*wrong[: max(CAPTIONED // 2, CAPTIONED - int(right.sum()))]]
    chosen += [*np.flatnonzero(right)[: CAPTIONED - len(chosen)]]
    below = [
        f"✓ {captions[row]}" if right[row] else f"✗ {captions[row]} — {titles[row]}"
        for row in chosen
    ]
    grid = image_grid(images[chosen], below, columns=CAPTIONED // 2, scale=3)
    write_png(pictures / f"{PICTURE}.png", grid)


def draw_reconstructions(judged: Judged, count: int, pictures: Path, *, seed: int) -> None:
    """The first test pictures, above what each decoder paints from their codes."""
    codes, texts = judged.test_codes.codes[:count], judged.test.text_embeds[:count]
    rows = {
        "real": judged.test.images[:count].numpy(),
        "least error": to_uint8(decoded(judged.vqvae, codes, texts)).numpy(),
    }
    for number in range(SEEDS if judged.detail.decoder_steps else 0):
        drawn = redrawn(judged.decoder, codes, texts, judged.detail, seed=seed + number)
        rows[f"drawn, seed {seed + number}"] = to_uint8(drawn).numpy()
    write_png(pictures / "reconstructions.png", comparison_grid(rows, columns=COLUMNS, scale=2))


def draw_generated(images: np.ndarray, prompts: Sequence[str], pictures: Path) -> None:
    """Generated pictures (N, H, W, 3) uint8 under their prompts."""
    grid = image_grid(images, prompts, columns=COLUMNS, scale=2)
    write_png(pictures / "generated.png", grid)


def draw_nearest(
    images: np.ndarray,
    prompts: Sequence[str],
    *,
    training: Images,
    real: np.ndarray,
    nearest: Nearest,
    count: int,
    pictures: Path,
) -> None:
    """The least novel pictures, beside the training pictures nearest to them and real ones.

    Args:
        images: (N, H, W, 3) uint8, generated, of the N `prompts`.
        training: (M, H, W, 3) uint8, which the rows of `nearest` count.
        real: (N, H, W, 3) uint8, of the same prompts.
        count: how many are drawn.
    """
    closest = np.argsort(nearest.distances, kind="stable")[:count]
    rows = {
        "generated": images[closest],
        "nearest\nin training": training[torch.from_numpy(nearest.rows[closest])].numpy(),
        "real": real[closest],
    }
    beside = comparison_grid(rows, [prompts[i] for i in closest], columns=COLUMNS, scale=2)
    write_png(pictures / "nearest.png", beside)
