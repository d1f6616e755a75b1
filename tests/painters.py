"""A very small painter in a folder, of real models with random weights."""

from __future__ import annotations

from pathlib import Path

import blips
import diffusions
import torch
from flows import build_flow

from pipeline.models.flow_decoder import save_flows
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.models.vqvae import VQVAE
from pipeline.painter_folder import ABOUT, PainterFolder
from pipeline.priors.diffusion import DiffusionPrior
from pipeline.priors.pixelsnail import PixelSNAILPrior
from pipeline.sampling_settings import PaintSettings

SETTINGS = {
    "temperature": 1.0, "top_k": 0, "top_p": 0.9, "guidance_scale": 1.5, "candidates": 3,
    "batch_size": 4, "decoder_steps": 2, "decoder_guidance": 2.0, "precision": "fp32",
    "steps": 3, "order": "halton", "remask_steps": 0, "guidance_ramp": 0.0,
}  # fmt: skip


def write_painter(folder: Path, *, family: str = "pixelsnail", **changes) -> Path:
    """Write the folder that `Painter.from_pretrained` loads, with a prior of `family`."""
    blip = blips.build()
    blip.save(folder / "blip")
    torch.manual_seed(0)
    text_dim = blips.SETTINGS["projection_dim"]
    vqvae = VQVAE(
        image_size=16, downsample=4, levels=1, n_embed=8, embed_dim=4, channel=8,
        n_res_block=1, res_channel=8, quantizer="ema", commitment_weight=1.0, text_dim=text_dim,
    )  # fmt: skip
    vqvae.train()(torch.rand(8, 3, 16, 16) * 2 - 1, torch.randn(8, text_dim))
    vqvae.save_pretrained(folder / "vqvae")
    texts = {"text_dim": text_dim, "token_dim": blips.SETTINGS["hidden_size"]}
    if family == "diffusion":
        masked = diffusions.build(shape=vqvae.level_shapes[0], n_class=8, **texts)
        DiffusionPrior([masked]).save_pretrained(folder / "prior")
    else:
        level = PixelSNAIL(vqvae.level_shapes[0], 8, 16, 2, 1, 1, 8, cross_attention=True, **texts)
        torch.nn.init.normal_(level.out.weight)
        PixelSNAILPrior([level.eval()]).save_pretrained(folder / "prior")
    save_flows(build_flow(vqvae.eval()), build_flow(vqvae, channels=(8,)), folder / "decoder")
    PainterFolder(
        parts={name: folder / name for name in ("blip", "prior", "vqvae", "decoder")},
        settings=PaintSettings(**{**SETTINGS, **changes}),
        threads=1,
        instruction_set="avx2",
    ).write(folder / ABOUT)
    return folder
