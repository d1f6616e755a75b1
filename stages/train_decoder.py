"""train_decoder: pictures and the VQ-VAE → a flow decoder that paints what codes leave open."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.errors import UserError
from pipeline.files import write_tsv
from pipeline.models.flow_decoder import FlowDecoder, save_flows
from pipeline.models.vqvae import VQVAE
from pipeline.params import SEED, load_section
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.decoder import DecoderTask
from pipeline.training.decoder_settings import DecoderSettings
from pipeline.training.loop import Curve, build_accelerator, fit
from stages import layout
from stages.resuming import kept_run


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

    def trained(
        own: DecoderSettings, label: str, saved: Checkpoints, write_curve: Callable[[Curve], None]
    ) -> FlowDecoder:
        torch.manual_seed(seed)
        try:
            model = own.build(vqvae)
        except ValueError as error:
            raise UserError(f"{layout.PARAMS}: {label}: {error}") from None
        fit(
            DecoderTask(model, vqvae, train, val, own),
            own,
            accelerator=accelerator,
            checkpoints=saved,
            seed=seed,
            label=label,
            write_curve=write_curve,
            by_muon=model.hidden_weights(),
        )
        return model

    with kept_run("train_decoder") as folder:
        guide = None
        if settings.of_guide is not None:
            of_guide = Checkpoints(folder / "guide")
            guide = trained(settings.of_guide, "decoder.guide", of_guide, lambda curve: None)
        write_curve = partial(write_tsv, layout.CURVES / "decoder.tsv")
        flow = trained(settings, "decoder", Checkpoints(folder), write_curve)
        if accelerator.is_main_process:
            save_flows(flow, guide, layout.DECODER)
