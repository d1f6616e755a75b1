"""A small VQ-VAE, and a flow decoder over its codes."""

from __future__ import annotations

from typing import Any

import torch

from pipeline.models.flow_decoder import FlowDecoder
from pipeline.models.vqvae import VQVAE

TEXT_DIM = 6


def build_vqvae(*, levels: int = 1, downsample: int = 4, image_size: int = 16) -> VQVAE:
    torch.manual_seed(0)
    model = VQVAE(
        image_size=image_size, downsample=downsample, levels=levels, n_embed=16, embed_dim=4,
        channel=16, n_res_block=1, res_channel=8, quantizer="ema", commitment_weight=0.25,
        text_dim=TEXT_DIM,
    )  # fmt: skip
    model.train()(pictures(8, image_size), torch.randn(8, TEXT_DIM))  # starts the codebook
    return model.eval()


def build_flow(vqvae: VQVAE, *, learned: bool = True, **changes: Any) -> FlowDecoder:
    """A flow decoder; `learned`: its last weights are not 0, as after some steps."""
    torch.manual_seed(1)
    flow = FlowDecoder.beside(
        vqvae, **{"patch": 2, "channels": (8, 16), "n_res_block": 1} | changes
    )
    if learned:
        torch.nn.init.normal_(flow.out.weight, std=0.05)
        flow.scale.fill_(0.2)
    return flow.eval()


def pictures(count: int, side: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, side, side) * 2 - 1
