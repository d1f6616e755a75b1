"""PixelSNAIL as a prior: codes one after the other, each level in raster order."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.devices import DTYPES, warn_of_emulation
from pipeline.errors import UserError
from pipeline.models.pixelsnail import PixelSNAIL
from pipeline.priors.levels import LevelDraw, LevelPrior
from pipeline.sampling.autoregressive import Sampler
from pipeline.sampling.logits import OPEN
from pipeline.sampling_settings import DrawSettings


class PixelSNAILPrior(LevelPrior[PixelSNAIL]):
    """p(codes | text), each code given those before it."""

    model = PixelSNAIL

    def drawing(self, settings: DrawSettings) -> LevelDraw:
        """A sampler for each level, on copies of the weights in the precision asked for."""
        warn_of_emulation(settings.precision)
        dtype = DTYPES[settings.precision]
        samplers = [
            Sampler(
                copy.deepcopy(level).to(dtype),
                temperature=settings.temperature,
                top_k=settings.top_k,
                top_p=settings.top_p,
                guidance_scale=settings.guidance_scale,
            )
            for level in self.levels
        ]
        return LevelDraw([_InOrder(s) for s in samplers], [level.shape for level in self.levels])

    @torch.inference_mode()
    def nats(self, codes: Tensor, condition: TextCondition | None, *, steps: int | None) -> Tensor:
        """-log p of each packed grid (B, h, w), over all levels' codes together; (B,) float64.

        Its codes come one by one, however many `steps` are asked for.
        """
        costs = [
            level.nats(grid, condition, upper=upper) for level, grid, upper in self.by_level(codes)
        ]
        return torch.stack(costs).sum(dim=0).cpu()

    def bound(self, codes: Tensor, condition: TextCondition | None, *, seed: int) -> None:
        """There is none: it is trained by its nats."""


@dataclass(frozen=True)
class _InOrder:
    """Draws a level, and refuses what its order does not allow."""

    sampler: Sampler

    def __call__(
        self,
        cond: TextCondition | None,
        generators: Sequence[torch.Generator],
        *,
        upper: Tensor | None,
        given: Tensor | None,
    ) -> Tensor:
        if given is not None:
            _check_order(given)
        return self.sampler.draw(cond, upper=upper, generator=generators, given=given)


def _check_order(given: Tensor) -> None:
    """Refuse given codes (B, h, w) that a drawn one would have to know, but comes before."""
    drawn = (given.flatten(1) == OPEN).cummax(dim=1).values
    if (drawn & (given.flatten(1) != OPEN)).any():
        raise UserError(
            "PixelSNAIL draws a picture's codes row by row and cannot see those that lie below: it "
            "paints only a picture's end anew, from a place in a row on; a diffusion prior paints "
            "any part (dvc exp run -S prior=diffusion)"
        )
