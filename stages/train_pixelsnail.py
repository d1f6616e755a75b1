"""train_pixelsnail: codes and texts → a prior over codes given a text, a model for each level."""

from __future__ import annotations

from functools import partial

import torch

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.files import write_tsv
from pipeline.models.levels import save_levels
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.vqvae import VQVAE
from pipeline.params import SEED, load_section
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import Curve, build_accelerator, fit
from pipeline.training.pixelsnail import LevelCodes, PixelSNAILSettings, PixelSNAILTask
from stages import layout
from stages.resuming import checkpoints


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "pixelsnail", PixelSNAILSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    vqvae = VQVAE.from_pretrained(layout.VQVAE)
    shapes, n_embed = vqvae.level_shapes, vqvae.config.n_embed
    texts = TextEmbeddings.load(layout.TEXT_EMBEDDINGS)
    codes = CaptionedCodes.load(layout.CODES, captioned(read_pairs(layout.PAIRS)), texts)
    train, val = codes.of("train", views=True), codes.of("val")

    accelerator = build_accelerator(settings.precision)
    with checkpoints("train_pixelsnail") as saved:
        models: list[PixelSNAIL] = []
        curves: list[Curve] = [[] for _ in shapes]
        for level, shape in enumerate(shapes):
            torch.manual_seed(seed + level)
            upper_shape = shapes[level - 1] if level else None
            model = settings.build(shape, n_embed, texts.condition, upper_shape)
            fit(
                PixelSNAILTask(
                    model,
                    LevelCodes(train, shapes, level),
                    LevelCodes(val, shapes, level),
                    settings,
                ),
                settings,
                accelerator=accelerator,
                checkpoints=Checkpoints(saved.folder / str(level)),
                seed=seed + level,
                label="PixelSNAIL" if len(shapes) == 1 else f"PixelSNAIL, level {level + 1}",
                write_curve=partial(write_level_curve, curves, level),
            )
            models.append(model)
        if accelerator.is_main_process:
            save_levels(models, layout.PIXELSNAIL)


def write_level_curve(curves: list[Curve], level: int, curve: Curve) -> None:
    """Write the curves of all levels so far as one table."""
    curves[level] = curve
    rows = [{"level": n, **row} for n, rows in enumerate(curves, start=1) for row in rows]
    write_tsv(layout.CURVES / "pixelsnail.tsv", rows)
