"""The section `evaluate` of params.yaml; read without torch."""

from __future__ import annotations

from pydantic import Field

from pipeline.params import Section


class EvaluateSettings(Section):
    """The section `evaluate` of params.yaml."""

    labels: int = Field(ge=2)  # the commonest ones, which pictures are asked for
    pictures_per_label: int = Field(ge=1)  # of training, for a label to be learned
    mixture_pictures: int = Field(ge=0)  # on which the text's gain is measured; 0: it is not
    grid_pictures: int = Field(ge=2)
