"""How a masked diffusion learns: cross-entropy of hidden codes given the visible ones and the text.

How many codes are hidden is spread evenly over each batch, and is met exactly: a batch has easy
grids and hard ones in fixed shares, so that its loss says how good the model is.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.masked_diffusion import MaskedDiffusion
from pipeline.models.masking import Noised, bound, hide
from pipeline.training.diffusion_settings import DiffusionSettings
from pipeline.training.level_codes import LevelCodes
from pipeline.training.strata import stratified

VALIDATION_BATCH = 128


def diffuse(codes: Tensor, mask_id: int, uniform_share: float) -> Noised:
    """VQ-Diffusion's noise: by time t in (0, 1), stratified, each code is hidden or replaced.

    Any visible code may be wrong, so the model is asked for all.
    """
    times = stratified(len(codes)).to(codes.device)[:, None, None]
    fate = torch.rand(codes.shape).to(codes.device)
    other = torch.randint(mask_id, codes.shape).to(codes.device)
    replaced = torch.where(fate < times, other, codes)
    hidden = fate < times * (1 - uniform_share)
    return Noised(replaced.masked_fill(hidden, mask_id), torch.ones_like(hidden))


class DiffusionTask:
    """What `fit` trains."""

    def __init__(
        self,
        model: MaskedDiffusion,
        train: LevelCodes,
        val: LevelCodes,
        settings: DiffusionSettings,
    ) -> None:
        self.model: nn.Module = model
        self.train, self.val, self.settings = train, val, settings
        self.n_class, self.mask_id = model.n_class, model.mask_id
        self.rows = len(train)

    def loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean nats per code asked for; some visible codes are wrong, some grids without text."""
        device = next(model.parameters()).device
        codes, condition, upper = self.train.batch(rows, device)
        drop = (torch.rand(len(rows)) < self.settings.condition_dropout).to(device)
        shifts = self.train.shifts(rows, device)
        seen, asked = self._noised(codes)
        logits = model(seen, condition, upper=upper, drop=drop, shifts=shifts)
        costs = F.cross_entropy(logits[asked].float(), codes[asked], reduction="none")
        if self.settings.loss_weight == "elbo":
            # A grid counts as much whether many of its codes are asked for or one.
            shares = asked.flatten(1).sum(1).reciprocal()[:, None, None].expand(codes.shape)[asked]
            loss = (costs * shares).sum() / len(rows)
        else:
            loss = costs.mean()
        return loss, {"bits": loss.detach() / math.log(2)}

    def _noised(self, codes: Tensor) -> Noised:
        if self.settings.uniform_share:
            return diffuse(codes, self.mask_id, self.settings.uniform_share)
        seen, hidden = hide(codes, stratified(len(codes)), self.mask_id)
        wrong = torch.rand(codes.shape).to(codes.device) < self.settings.token_corruption
        other = torch.randint(self.n_class, codes.shape).to(codes.device)
        return Noised(torch.where(wrong & ~hidden, other, seen), hidden)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Nats and bits per code that the validation pictures cost at most, given their texts."""
        diffusion = cast(MaskedDiffusion, model)
        device = next(model.parameters()).device
        total = 0.0
        for rows in torch.arange(len(self.val)).split(VALIDATION_BATCH):
            codes, condition, upper = self.val.batch(rows, device)
            seen, hidden = hide(codes, stratified(len(codes)), self.mask_id)
            logits = diffusion(seen, condition, upper=upper)
            total += float(bound(logits, codes, hidden).sum())
        loss = total / (len(self.val) * math.prod(diffusion.shape))
        return {"loss": loss, "bits": loss / math.log(2)}
