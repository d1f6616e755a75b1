"""How codes are drawn: the section `generate` of params.yaml; read without torch."""

from __future__ import annotations

from pydantic import Field

from pipeline.params import Precision, Section


class SamplingSettings(Section):
    """How codes are drawn; the choices that `generate` of params.yaml and `Painter.paint` share."""

    temperature: float = Field(gt=0)
    top_k: int = Field(ge=0)  # only the k likeliest codes; 0: all
    top_p: float = Field(gt=0, le=1)  # only the likeliest codes that together reach p
    guidance_scale: float = Field(ge=0)  # 1: the text as learned; more: the text exaggerated
    candidates: int = Field(ge=1)  # drawn for each picture; BLIP's matching score picks one
    batch_size: int = Field(ge=1)  # candidates drawn at a time
    precision: Precision  # of the prior's weights; bf16 is faster for wide ones


class GenerateSettings(SamplingSettings):
    """The section `generate` of params.yaml."""

    prompts: tuple[str, ...]
    test_prompts: int = Field(ge=2)  # captions of test pictures, which evaluate judges
    samples_per_prompt: int = Field(ge=1)
