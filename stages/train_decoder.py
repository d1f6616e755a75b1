"""train_decoder: pictures and the VQ-VAE → a flow decoder that paints what codes leave open."""

from __future__ import annotations

from functools import partial

import torch

from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.errors import UserError
from pipeline.files import write_tsv
from pipeline.models.vqvae import VQVAE
from pipeline.params import SEED, load_section
from pipeline.training.decoder import DecoderSettings, DecoderTask
from pipeline.training.loop import build_accelerator, fit
from stages import layout
from stages.resuming import checkpoints


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "decoder", DecoderSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    pairs = read_pairs(layout.PAIRS)
    texts = TextEmbeddings.open(layout.TEXT_EMBEDDINGS)
    accelerator = build_accelerator(settings.precision)
    vqvae = VQVAE.from_pretrained(layout.VQVAE).to(accelerator.device)
    pixels = Pixels.open(layout.VQVAE_PIXELS, vqvae.config.image_size)
    train, val = (
        CaptionedImages.load(captioned(pairs, split), texts, pixels) for split in ("train", "val")
    )

    with checkpoints("train_decoder") as saved:
        torch.manual_seed(seed)
        try:
            model = settings.build(vqvae)
        except ValueError as error:
            raise UserError(f"{layout.PARAMS}: decoder: {error}") from None
        task = DecoderTask(model, vqvae, train, val, settings)
        fit(
            task,
            settings,
            accelerator=accelerator,
            checkpoints=saved,
            seed=seed,
            label="decoder",
            write_curve=partial(write_tsv, layout.CURVES / "decoder.tsv"),
            by_muon=model.hidden_weights(),
        )
        if accelerator.is_main_process:
            model.save_pretrained(layout.DECODER)
