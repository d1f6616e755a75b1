"""The section `evaluate` of params.yaml; read without torch."""

from __future__ import annotations

from pydantic import Field

from pipeline.params import Section


class EvaluateSettings(Section):
    """The section `evaluate` of params.yaml."""

    match_threshold: float = Field(gt=0, lt=1)
    labels: int = Field(ge=2)
    pictures_per_label: int = Field(ge=1)
    shown: int = Field(ge=2)
