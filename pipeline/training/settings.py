"""What every training stage's section of params.yaml holds; read without torch."""

from __future__ import annotations

from pydantic import Field

from pipeline.params import Precision, Section


class TrainingSettings(Section):
    """What every training stage's section of params.yaml holds."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)  # over all processes together
    lr: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    grad_clip: float = Field(gt=0)  # largest norm of all gradients together
    ema_decay: float = Field(ge=0, lt=1)  # of the weights that validation and later stages see
    validate_every: int = Field(ge=1)  # steps
    patience: int = Field(ge=0)  # validations without a better one before stopping; 0: never
    checkpoint_every: int = Field(ge=1)  # steps
    precision: Precision
