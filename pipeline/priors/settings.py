"""How codes are drawn from a prior."""

from __future__ import annotations

from pydantic import Field

from pipeline.devices import Precision
from pipeline.params import Section


class DrawSettings(Section):
    """What a prior is told when it draws; a family reads what it has a use for."""

    temperature: float = Field(gt=0)
    top_k: int = Field(ge=0)  # only the k likeliest codes; 0: all
    top_p: float = Field(gt=0, le=1)  # only the likeliest codes that together reach p
    guidance_scale: float = Field(ge=0)  # classifier-free; 1: the text as learned; more: more so
    precision: Precision  # of the prior's weights; bf16 is faster for wide ones
