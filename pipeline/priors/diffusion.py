"""Masked diffusion as a prior: codes in groups, spread over each level or the surest first."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.devices import DTYPES, warn_of_emulation
from pipeline.models.masked_diffusion import MaskedDiffusion
from pipeline.models.masking import bound, hide
from pipeline.priors.levels import LevelDraw, LevelPrior
from pipeline.sampling.masked import MaskedSampler
from pipeline.sampling.orders import groups, halton_order
from pipeline.sampling_settings import DrawSettings

BOUND_DRAWS = 16  # of how many codes are hidden, for each grid's bound


class DiffusionPrior(LevelPrior[MaskedDiffusion]):
    """p(codes | text), each group of codes given those before it."""

    model = MaskedDiffusion

    def drawing(self, settings: DrawSettings) -> LevelDraw:
        """A sampler for each level, on copies of the weights in the precision asked for."""
        warn_of_emulation(settings.precision)
        dtype = DTYPES[settings.precision]
        samplers = [
            MaskedSampler(copy.deepcopy(level).to(dtype), settings) for level in self.levels
        ]
        return LevelDraw([s.draw for s in samplers], [level.shape for level in self.levels])

    @torch.inference_mode()
    def nats(self, codes: Tensor, condition: TextCondition | None, *, steps: int | None) -> Tensor:
        """-log p of each packed grid (B, h, w) as it is drawn in Halton's order: (B,) float64.

        With a fixed order of groups the model is an autoregression over groups, within which codes
        are drawn apart: this is no bound. Where a level is drawn in less than `steps`, all its
        codes come one by one; None: so they come on each. What is drawn the surest first, or by a
        model of `uniform_share`, comes otherwise: then it is the price by this order all the same.
        """
        total = torch.zeros(len(codes), dtype=torch.float64)
        for level, grid, upper in self.by_level(codes):
            context = level.context(len(grid), condition, upper=upper)
            truth = grid.flatten(1)
            seen = torch.full_like(truth, level.mask_id)
            order = halton_order(level.shape).to(truth.device)
            for cells in groups(order, len(order) if steps is None else steps):
                logits = level.logits(seen.reshape(grid.shape), context).flatten(1, 2)
                costs = F.cross_entropy(
                    logits[:, cells].float().movedim(-1, 1), truth[:, cells], reduction="none"
                )
                total += costs.double().sum(1).cpu()
                seen[:, cells] = truth[:, cells]
        return total

    @torch.inference_mode()
    def bound(self, codes: Tensor, condition: TextCondition | None, *, seed: int) -> Tensor:
        """The nats that each packed grid costs at most, in a random order: (B,) float64.

        The negative ELBO of absorbing diffusion, by stratified draws of how many codes are hidden.
        """
        generator = torch.Generator().manual_seed(seed)
        total = torch.zeros(len(codes), dtype=torch.float64)
        for level, grid, upper in self.by_level(codes):
            context = level.context(len(grid), condition, upper=upper)
            for draw in range(BOUND_DRAWS):
                times = (draw + torch.rand(len(grid), generator=generator)) / BOUND_DRAWS
                seen, hidden = hide(grid, times, level.mask_id, generator)
                total += bound(level.logits(seen, context), grid, hidden).cpu() / BOUND_DRAWS
        return total
