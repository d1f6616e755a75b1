"""train_vqvae: pictures and text embeddings → a VQ-VAE that turns both into one grid of codes."""

from __future__ import annotations

from functools import partial

import torch

from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.files import write_tsv
from pipeline.params import SEED, load_section
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import build_accelerator, fit
from pipeline.training.vqvae import VQVAESettings, VQVAETask
from stages import layout
from stages.resuming import kept_run


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "vqvae", VQVAESettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    pairs = read_pairs(layout.PAIRS)
    texts = TextEmbeddings.open(layout.TEXT_EMBEDDINGS)
    pixels = Pixels.open(layout.VQVAE_PIXELS, settings.image_size)
    train, val = (
        CaptionedImages.load(captioned(pairs, split), texts, pixels) for split in ("train", "val")
    )

    accelerator = build_accelerator(settings.precision)
    with kept_run("train_vqvae") as folder:
        torch.manual_seed(seed)
        model = settings.build(texts.condition.text_dim)
        task = VQVAETask(model, train, val, settings)
        fit(
            task,
            settings,
            accelerator=accelerator,
            checkpoints=Checkpoints(folder),
            seed=seed,
            label="VQ-VAE",
            write_curve=partial(write_tsv, layout.CURVES / "vqvae.tsv"),
            by_muon=model.hidden_weights(),
        )
        if accelerator.is_main_process:
            model.save_pretrained(layout.VQVAE)
