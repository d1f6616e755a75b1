"""The section `judge` of params.yaml; read without torch."""

from __future__ import annotations

from pydantic import Field

from pipeline.params import SEED, Section


class JudgeSizes(Section):
    """What the section `judge` of params.yaml says of the network."""

    image_size: int = Field(ge=32, multiple_of=32)  # side of the pictures, in pixels
    channel: int = Field(ge=1)  # width of the first convolution; the last is four times as wide


class JudgeSettings(JudgeSizes):
    """The section `judge` of params.yaml."""

    seed: SEED  # its own, not the run's: all runs are judged by the same judge
    pictures: int = Field(ge=1)  # painted to learn from; the titles take turns
    held_out_pictures: int = Field(ge=1)  # painted to tell how fit it is
    max_shift: int = Field(ge=0, lt=32)  # augmentation, in pixels
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=4)
    lr: float = Field(gt=0)
