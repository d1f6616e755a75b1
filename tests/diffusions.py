"""Small masked diffusions whose every weight is at work, and texts for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from pipeline.data.condition import TextCondition
from pipeline.models.masked_diffusion import MaskedDiffusion
from pipeline.sampling_settings import DrawSettings

TEXT, TOKEN = 7, 9
SIZES = {
    "shape": (4, 6), "n_class": 11, "hidden_size": 16, "layers": 2, "heads": 2, "patch": 1,
    "dropout": 0.0, "uniform_share": 0.0, "text_dim": TEXT, "token_dim": TOKEN,
}  # fmt: skip
DRAWING = {
    "temperature": 1.0, "top_k": 0, "top_p": 1.0, "guidance_scale": 1.0, "precision": "fp32",
    "steps": 4, "order": "halton", "remask_steps": 0, "guidance_ramp": 0.0,
}  # fmt: skip


def build(**changes: Any) -> MaskedDiffusion:
    """A small model; weights that would start at 0 do not."""
    torch.manual_seed(0)
    model = MaskedDiffusion(**{**SIZES, **changes})
    for parameter in model.parameters():
        if parameter.abs().max() == 0:
            nn.init.normal_(parameter, std=0.3)
    nn.init.normal_(model.embedding.weight)
    return model.eval()


def texts(rows: int, seed: int = 1) -> TextCondition:
    generator = torch.Generator().manual_seed(seed)
    pooled = nn.functional.normalize(torch.randn(rows, TEXT, generator=generator), dim=1)
    mask = torch.arange(4) < torch.randint(1, 5, (rows, 1), generator=generator)
    return TextCondition(pooled, torch.randn(rows, 4, TOKEN, generator=generator), mask)


def drawing(**changes: Any) -> DrawSettings:
    return DrawSettings.of(**{**DRAWING, **changes})


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(n) for n in numbers]
