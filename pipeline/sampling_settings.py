"""How codes are drawn and pictures painted: the section `generate`; read without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.params import Precision, Section


class DrawSettings(Section):
    """What a prior is told when it draws; a family reads what it has a use for."""

    temperature: float = Field(gt=0)
    top_k: int = Field(ge=0)  # only the k likeliest codes; 0: all
    top_p: float = Field(gt=0, le=1)  # only the likeliest codes that together reach p
    guidance_scale: float = Field(ge=0)  # classifier-free; 1: the text as learned; more: more so
    steps: int = Field(ge=1)  # of the diffusion prior, which draws some codes in each
    order: Literal["halton", "confidence"]  # in which the diffusion prior draws them
    remask_steps: int = Field(ge=0)  # of the diffusion prior: the first codes once more, at last
    guidance_ramp: float = Field(ge=0, le=1)  # of its codes until guidance is full
    precision: Precision  # of the prior's weights; bf16 is faster for wide ones


class DetailSettings(Section):
    """How a decoder paints what codes leave open."""

    decoder_steps: int = Field(ge=0)  # of the flow decoder; 0: the least-error decoder alone
    decoder_guidance: float = Field(ge=1)  # away from its guide; 1: as learned


class PaintSettings(DrawSettings, DetailSettings):
    """How pictures are painted; what `generate` of params.yaml and `Painter.paint` share."""

    candidates: int = Field(ge=1)  # drawn for each picture; BLIP's captioner picks one
    batch_size: int = Field(ge=1)  # candidates drawn at a time


class GenerateSettings(PaintSettings):
    """The section `generate` of params.yaml."""

    prompts: tuple[str, ...]
    judged_prompts: int = Field(ge=0)  # most of those that evaluate judges; 0: all
    samples_per_prompt: int = Field(ge=1)
    draw: int = Field(ge=0)  # another number draws other pictures from the same models
