"""Drawing codes from a masked diffusion: a group of cells at a time, each given all before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.models.masked_diffusion import Context, MaskedDiffusion
from pipeline.sampling.logits import OPEN, guide, gumbel, picker
from pipeline.sampling.orders import groups, halton_order
from pipeline.sampling.recorded import Recorded
from pipeline.sampling_settings import DrawSettings

NOISE = torch.float64  # float32 cuts Gumbel's tail and so draws colder (arXiv 2409.02908)
CONFIDENCE_NOISE = 4.5  # of the order by confidence, falling to 0 (MaskGIT, arXiv 2202.04200)


class MaskedSampler:
    """Draws one batch of grids after the other from a model, whose weights must not change.

    `settings.steps` groups of cells are drawn, in Halton's order or the surest first; then
    `settings.remask_steps` of them once more, those that knew least, given all others.
    """

    def __init__(self, model: MaskedDiffusion, settings: DrawSettings) -> None:
        """Take the settings.

        Raises:
            ValueError: a setting that does not fit the model.
        """
        self.model, self.settings = model, settings
        self.pick = picker(
            model.n_class,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
        )
        self.passes: _Passes | None = None

    @torch.inference_mode()
    def draw(
        self,
        cond: TextCondition | None,
        generators: Sequence[torch.Generator],
        *,
        upper: Tensor | None = None,
        given: Tensor | None = None,
    ) -> Tensor:
        """Draw a grid for each generator.

        Args:
            cond: the texts, a row for each grid; None: unconditional.
            generators: one for each grid: a grid depends on nothing else of its batch.
            upper: (B, h', w') int64, codes of the level above, where the model has one.
            given: (B, h, w) int64, codes that stay as they are, and -1 at those to be drawn, which
                are the same in all grids; None: all are drawn.

        Returns:
            (B, h, w) int64 in [0, n_class), on the model's device.
        """
        batch, (h, w) = len(generators), self.model.shape
        device = self.model.bias.device
        codes = torch.full((batch, h * w), self.model.mask_id, device=device)
        open_cells = torch.ones(h * w, dtype=torch.bool)
        if given is not None:
            flat = given.flatten(1).to(device)
            open_cells = open_of(given)
            codes = torch.where(flat == OPEN, codes, flat)
        if not open_cells.any():
            return codes.reshape(batch, h, w)
        logits = self._network(cond, upper, batch)
        if self.model.config.uniform_share:
            codes = self._denoise(codes, open_cells.to(device), logits, generators)
        else:
            self._fill(codes, open_cells, logits, generators)
        return codes.reshape(batch, h, w)

    def _fill(
        self,
        codes: Tensor,
        open_cells: Tensor,
        logits: Callable[[Tensor, float], Tensor],
        generators: Sequence[torch.Generator],
    ) -> None:
        """Draw the masked codes (B, N) in place, a group at a time."""
        settings, known = self.settings, float(1 - open_cells.float().mean())
        order = halton_order(self.model.shape)
        order = order[open_cells[order]]
        drawn: list[Tensor] = []  # the cells of each step, (B, k)
        for step, cells in enumerate(groups(order, settings.steps)):
            found = logits(codes, known)
            if settings.order == "halton":
                chosen = cells.to(codes.device).expand(len(codes), -1)
                picked = self._pick(_rows(found, chosen), generators)
            else:
                left = 1 - (step + 1) / settings.steps
                chosen, picked = self._surest(codes, found, len(cells), left, generators)
            codes.scatter_(1, chosen, picked)
            drawn.append(chosen)
            known += len(cells) / codes.shape[1]
        for chosen in drawn[: settings.remask_steps]:
            codes.scatter_(1, chosen, self.model.mask_id)
            found = logits(codes, 1.0)
            codes.scatter_(1, chosen, self._pick(_rows(found, chosen), generators))

    def _surest(
        self,
        codes: Tensor,
        logits: Tensor,
        count: int,
        left: float,
        generators: Sequence[torch.Generator],
    ) -> tuple[Tensor, Tensor]:
        """The cells (B, count) whose draws are likeliest, and those draws."""
        picked = self._pick(logits, generators)
        sure = logits.to(NOISE).log_softmax(-1).gather(-1, picked[..., None])[..., 0]
        sure = sure + CONFIDENCE_NOISE * left * _noise(sure[:, None], generators)[:, 0]
        sure = sure.masked_fill(codes != self.model.mask_id, -torch.inf)
        chosen = sure.topk(count, dim=1).indices
        return chosen, picked.gather(1, chosen)

    def _denoise(
        self,
        codes: Tensor,
        open_cells: Tensor,
        logits: Callable[[Tensor, float], Tensor],
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Go back from noise along VQ-Diffusion's chain, in which a visible code may change."""
        steps, given = self.settings.steps, codes
        n_class, uniform = self.model.n_class, self.model.config.uniform_share
        start = torch.full((*codes.shape, n_class), uniform / n_class, dtype=NOISE)
        codes = self._categorical(start, 1 - uniform, generators).to(codes.device)
        for step in range(steps, 0, -1):
            codes = torch.where(open_cells, codes, given)
            found = logits(codes, 1 - step / steps)
            clean = self._pick(found, generators)
            shares, masked = posterior(
                codes, clean, n_class, uniform, now=step / steps, then=(step - 1) / steps
            )
            codes = self._categorical(shares, masked, generators).to(codes.device)
        return torch.where(open_cells, codes, given)

    def _categorical(
        self, shares: Tensor, masked: float | Tensor, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """A draw (B, N) of codes by `shares` (B, N, K), or MASK by `masked`, of any common sum."""
        masked = torch.as_tensor(masked, dtype=NOISE, device=shares.device)
        every = torch.cat([shares, masked.expand(shares.shape[:2])[..., None]], dim=-1)
        return (every.log() + _noise(every, generators)).argmax(dim=-1)

    def _pick(self, logits: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """A draw (B, k) for each row of logits (B, k, K), by each grid's own noise."""
        batch, cells, _ = logits.shape
        noise = _noise(logits, generators)
        return self.pick(logits.flatten(0, 1), noise.flatten(0, 1)).reshape(batch, cells)

    def _network(
        self, cond: TextCondition | None, upper: Tensor | None, batch: int
    ) -> Callable[[Tensor, float], Tensor]:
        """The guided logits (B, N, K) of codes (B, N), given which share of them is known."""
        model, settings = self.model, self.settings
        weight = model.bias
        twice = None
        if cond is not None:
            cond = cond.to(weight.device, weight.dtype)
        alone = model.context(batch, cond, upper=upper)
        if cond is not None and settings.guidance_scale != 1:
            rows = torch.arange(batch).repeat(2)  # each grid with its text, then without
            twice = model.context(
                2 * batch,
                cond[rows],
                upper=None if upper is None else upper[rows],
                drop=torch.arange(2 * batch, device=weight.device) >= batch,
            )

        every = self._pass(alone if twice is None else twice)

        def logits(codes: Tensor, known: float) -> Tensor:
            scale = guidance_at(known, settings.guidance_scale, settings.guidance_ramp)
            if twice is None:
                return every(codes)
            if scale == 1:
                return _logits(model, alone, codes)
            return guide(every(codes.repeat(2, 1)), scale)

        return logits

    def _pass(self, context: Context) -> Callable[[Tensor], Tensor]:
        """The network given a context: codes (B, N) → logits (B, N, K)."""
        if self.passes is None or not self.passes.take(context):
            self.passes = None  # its buffers go before the new ones come
            self.passes = _Passes(self.model, context)
        return self.passes


class _Passes:
    """The network's passes over batches of one size, in buffers that stay."""

    def __init__(self, model: MaskedDiffusion, context: Context) -> None:
        rows, (h, w), device = len(context.last), model.shape, context.last.device
        self.model, self.context = model, context
        self.codes = torch.empty(rows, h * w, dtype=torch.int64, device=device)
        self.logits = torch.empty(rows, h * w, model.n_class, device=device)
        self.recorded = Recorded(self.logits)

    def take(self, context: Context) -> bool:
        """Go on with another context, unless it is of another size."""
        own, new = (
            {name: value for name, value in vars(one).items() if value is not None}
            for one in (self.context, context)
        )
        if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in new.items()}:
            return False
        for name, value in own.items():
            value.copy_(new[name])
        return True

    def __call__(self, codes: Tensor) -> Tensor:
        """Logits, which stay until the next pass."""
        self.recorded.run([self._once], partial(self.codes.copy_, codes))
        return self.logits

    def _once(self) -> None:
        self.logits.copy_(_logits(self.model, self.context, self.codes))


def _logits(model: MaskedDiffusion, context: Context, codes: Tensor) -> Tensor:
    grids = codes.reshape(len(codes), *model.shape)
    return model.logits(grids, context).flatten(1, 2).float()


def open_of(given: Tensor) -> Tensor:
    """Which cells (N,) of given codes (B, h, w) are to be drawn.

    Raises:
        ValueError: others in one grid than in another.
    """
    cells = given.flatten(1) == OPEN
    if (cells != cells[:1]).any():
        raise ValueError("given: the codes to be drawn must be the same in all grids of a batch")
    return cells[0].cpu()


def guidance_at(known: float, scale: float, ramp: float) -> float:
    """Guidance when a share `known` of the codes is: it grows from 1, no guidance, to `scale`.

    Early guidance narrows what is drawn, late guidance sharpens it (arXiv 2507.08965).

    Args:
        ramp: the share at which it is full; 0: at once.
    """
    return scale if known >= ramp else 1 + (scale - 1) * known / ramp


def posterior(
    codes: Tensor, clean: Tensor, n_class: int, uniform: float, *, now: float, then: float
) -> tuple[Tensor, Tensor]:
    """q(x_then | x_now, x_0) of VQ-Diffusion's chain, up to a factor for each cell.

    At time t a code is itself by 1 - t, MASK by (1 - uniform) t, and else any code.

    Args:
        codes: (B, N) in [0, n_class], at time `now`; n_class is MASK.
        clean: (B, N) in [0, n_class), at time 0.
        now, then: times in [0, 1], `then` before `now`.

    Returns:
        (B, N, n_class) float64 for each code, and (B, N) for MASK.
    """
    hidden = 1 - uniform
    stays = (1 - now) / (1 - then)
    hides = 1 - (1 - now * hidden) / (1 - then * hidden)
    moves = max(0.0, 1 - stays - hides)  # to any code, itself included
    before = torch.full((*codes.shape, n_class), then * uniform / n_class, dtype=NOISE)
    before = before.to(codes.device)
    certain = torch.full_like(clean[..., None], 1 - then, dtype=NOISE)
    before = before.scatter_add(-1, clean[..., None], certain)
    masked = codes == n_class
    seen = torch.full_like(before, moves / n_class)
    visible = codes.masked_fill(masked, 0)[..., None]
    seen = seen.scatter_add(-1, visible, torch.full_like(certain, stays))
    seen = torch.where(masked[..., None], torch.full_like(seen, hides), seen)
    return before * seen, torch.where(masked, then * hidden, 0.0).to(NOISE)


def _noise(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Gumbel noise (B, k, n) for numbers (B, k, n), each grid's from its own generator."""
    _, cells, width = like.shape
    drawn = [gumbel(cells, 1, width, each, NOISE)[:, 0] for each in generators]
    return torch.stack(drawn).to(like.device)


def _rows(logits: Tensor, cells: Tensor) -> Tensor:
    """The rows (B, k, K) of logits (B, N, K) at the cells (B, k)."""
    return logits.gather(1, cells[..., None].expand(-1, -1, logits.shape[-1]))
