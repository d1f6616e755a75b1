"""The section `dump_codes` of params.yaml; read without torch."""

from __future__ import annotations

from pydantic import Field

from pipeline.params import Section


class DumpSettings(Section):
    """The section `dump_codes` of params.yaml."""

    views: int = Field(ge=1)  # of each training picture; the first is the picture as it is
    max_shift: int = Field(ge=0)  # of the further views, in pixels
