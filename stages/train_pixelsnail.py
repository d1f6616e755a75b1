"""train_pixelsnail: codes and texts → a prior over codes given a text, one for each level."""

from __future__ import annotations

import torch

from pipeline.codes import CodeStore
from pipeline.codes.encode import store_rows
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.files import write_tsv
from pipeline.models.prior import Prior
from pipeline.models.vqvae import VQVAE
from pipeline.params import SEED, load_section
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import build_accelerator, fit
from pipeline.training.pixelsnail import PixelSNAILSettings, PixelSNAILTask, coded_levels
from stages import layout
from stages.resuming import checkpoints


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "pixelsnail", PixelSNAILSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    pairs = captioned(read_pairs(layout.PAIRS))
    texts = TextEmbeddings.load(layout.TEXT_EMBEDDINGS)
    level_shapes = VQVAE.from_pretrained(layout.VQVAE).level_shapes
    with CodeStore.open(layout.CODES) as store:
        n_embed = store.n_embed
        codes = torch.from_numpy(store.batch(range(len(store))).astype("int32"))
    shown = store_rows(pairs, records=len(codes))
    levels = coded_levels(
        codes,
        level_shapes=level_shapes,
        texts=texts.rows([pair.caption for pair in pairs])[shown],
        condition=texts.condition(),
    )
    split = [pairs[row].split for row in shown.tolist()]
    train, val = (
        torch.tensor([i for i, name in enumerate(split) if name == wanted], dtype=torch.int64)
        for wanted in ("train", "val")
    )

    accelerator = build_accelerator(settings.precision)
    with checkpoints("train_pixelsnail") as saved:
        priors, curve = [], []
        for number, level in enumerate(levels):
            torch.manual_seed(seed + number)
            upper_shape = None if number == 0 else level_shapes[number - 1]
            prior = settings.build(level_shapes[number], n_embed, level.condition, upper_shape)
            rows = fit(
                PixelSNAILTask(prior, level[train], level[val], settings),
                settings,
                accelerator=accelerator,
                checkpoints=Checkpoints(saved.folder / str(number)),
                seed=seed + number,
                label="PixelSNAIL" if len(levels) == 1 else f"PixelSNAIL, level {number + 1}",
            )
            curve += [{"level": number + 1, **row} for row in rows]
            priors.append(prior)
        if accelerator.is_main_process:
            Prior(priors).save_pretrained(layout.PIXELSNAIL)
            write_tsv(layout.CURVES / "pixelsnail.tsv", curve)
