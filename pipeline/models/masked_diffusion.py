"""Masked diffusion, a prior over a grid of codes given a text: a transformer that fills in masks.

Absorbing discrete diffusion (D3PM, https://arxiv.org/abs/2107.03006): noise turns codes into MASK,
and the network tells p(code | the codes that are visible, text) of every masked one. It needs no
time, for the number of masks says it (https://arxiv.org/abs/2409.02908). With `uniform_share`,
noise also turns codes into other codes, as in VQ-Diffusion (https://arxiv.org/abs/2111.14822);
then no visible code is certain either, and the network tells p(clean code) of all of them.

The text comes in twice: pooled, it scales and shifts what each layer sees (adaLN-zero of DiT,
https://arxiv.org/abs/2212.09748, one for all layers as in https://arxiv.org/abs/2310.00426); its
tokens are further keys of every attention. The shift of the view that the codes are of comes in as
the pooled text does: shifted views teach, and do not leak into what is drawn at 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from pipeline.data.condition import TextCondition
from pipeline.models.dropout import dropout
from pipeline.models.masked_diffusion_sizes import MaskedDiffusionConfig
from pipeline.models.storage import load_model, save_model

MLP_RATIO = 8 / 3  # of SwiGLU's hidden width: as many weights as 4 without the gate
SHIFT_SCALE = 1 / 4  # of a view's shift in pixels, so that the network sees about 1


@dataclass(frozen=True)
class Context:
    """A condition as the layers take it: once for a grid, however often that is filled.

    Attributes:
        modulation: (B, 6 · hidden_size), what each layer scales, shifts and gates by, to which it
            adds its own; `last` (B, 2 · hidden_size), by which their result is scaled and shifted.
        tokens: (B, T, hidden_size), with `mask` (B, T); None: a prior without text.
        upper: (B, places, hidden_size), of the upper level's codes; None: there is none.
    """

    modulation: Tensor
    last: Tensor
    tokens: Tensor | None
    mask: Tensor | None
    upper: Tensor | None


class MaskedDiffusion(nn.Module):
    """p(code | visible codes, text, the upper level's codes), of all places at once."""

    def __init__(self, **sizes: Any) -> None:
        """Build it of the fields of `MaskedDiffusionConfig`, by name.

        Raises:
            ValueError: a size is missing, unknown or impossible, or two do not go together.
        """
        super().__init__()
        self.config = c = MaskedDiffusionConfig.of(**sizes)
        width, (rows, columns) = c.hidden_size, (side // c.patch for side in c.shape)
        self.embedding = nn.Embedding(c.n_class + 1, width)  # the last is MASK's
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.patch_in = nn.Linear(c.patch**2 * width, width) if c.patch > 1 else nn.Identity()
        self.row_position = nn.Parameter(0.02 * torch.randn(rows, 1, width))
        self.column_position = nn.Parameter(0.02 * torch.randn(columns, width))
        self.register_token = nn.Parameter(0.02 * torch.randn(width))
        self.shift = nn.Linear(2, width, bias=False)
        nn.init.zeros_(self.shift.weight)
        if c.text_dim:
            self.text = nn.Linear(c.text_dim, width)
            self.null_text = nn.Parameter(torch.zeros(c.text_dim))
            self.tokens = nn.Linear(c.token_dim, width)
            self.null_token = nn.Parameter(torch.zeros(c.token_dim))
        if c.upper_shape is not None:
            self.upper = nn.Embedding(c.upper_n_class, width)
        self.blocks = nn.ModuleList(Block(width, c.heads, c.dropout) for _ in range(c.layers))
        self.modulation = nn.Linear(width, 8 * width)  # of all layers, and of their result
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.patch_out = nn.Linear(width, c.patch**2 * width)
        # Its weights are the embedding's: codes that are alike there are likely together here.
        self.bias = nn.Parameter(torch.zeros(c.n_class))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the grid."""
        return self.config.shape

    @property
    def n_class(self) -> int:
        """Codes in the codebook."""
        return self.config.n_class

    @property
    def mask_id(self) -> int:
        """What stands for a hidden code; it is outside of the codebook."""
        return self.config.n_class

    def forward(
        self,
        codes: Tensor,
        cond: TextCondition | None = None,
        *,
        upper: Tensor | None = None,
        drop: Tensor | None = None,
        shifts: Tensor | None = None,
    ) -> Tensor:
        """Logits of each code given those that are visible.

        Args:
            codes: (B, h, w) int64 in [0, n_class], where n_class (`mask_id`) is a hidden code.
            cond: the rows' texts; None: unconditional, the learned null.
            upper: (B, h', w') int64, the upper level's codes, where the model has one.
            drop: (B,) bool, rows whose text is replaced by the learned null.
            shifts: (B, 2), of the views in pixels, down and to the right; None: 0.

        Returns:
            (B, h, w, n_class).

        Raises:
            ValueError: a shape that does not fit the model.
        """
        context = self.context(len(codes), cond, upper=upper, drop=drop, shifts=shifts)
        return self.logits(codes, context)

    def logits(self, codes: Tensor, context: Context) -> Tensor:
        """As `forward`, of a context that was made before."""
        if tuple(codes.shape[1:]) != self.shape:
            raise ValueError(f"codes of shape {tuple(codes.shape)}, expected (B, *{self.shape})")
        patch = self.config.patch
        x = rearrange(self.embedding(codes), "b (h p) (w q) c -> b h w (p q c)", p=patch, q=patch)
        x = self.patch_in(x) + self.row_position + self.column_position
        x = x.flatten(1, 2)  # (B, places, C)
        if context.upper is not None:
            x = x + context.upper
        register = self.register_token.expand(len(x), 1, -1)
        x = torch.cat([x, register], dim=1)
        for block in self.blocks:
            x = block(x, context)
        scale, shift = context.last[:, None].chunk(2, dim=-1)
        x = _norm(x[:, :-1]) * (1 + scale) + shift
        x = rearrange(
            self.patch_out(x),
            "b (h w) (p q c) -> b (h p) (w q) c",
            h=self.shape[0] // patch,
            p=patch,
            q=patch,
        )
        return F.linear(x, self.embedding.weight[: self.n_class], self.bias)

    def context(
        self,
        batch: int,
        cond: TextCondition | None,
        *,
        upper: Tensor | None = None,
        drop: Tensor | None = None,
        shifts: Tensor | None = None,
    ) -> Context:
        """What the layers take of a condition; arguments as in `forward`, for `batch` grids."""
        c = self.config
        if cond is not None and not c.text_dim:
            raise ValueError("a condition for a prior without text (text_dim = 0)")
        for what, value in (("condition", cond), ("upper", upper), ("drop", drop)):
            if value is not None and len(value) != batch:
                raise ValueError(f"{what} has {len(value)} rows, the codes have {batch}")
        device = self.bias.device
        if drop is None:
            drop = torch.full((batch,), cond is None, device=device)
        if shifts is None:
            shifts = torch.zeros(batch, 2, device=device)
        modulation = self.shift(SHIFT_SCALE * shifts.to(self.bias.dtype))
        tokens = mask = None
        if c.text_dim:
            pooled = self.null_text.expand(batch, -1)
            token_states, mask = self.null_token.expand(batch, 1, -1), drop[:, None]
            if cond is not None:
                # A normalised vector's numbers shrink with its width: bring them back to about 1.
                given = cond.pooled.to(pooled.dtype) * math.sqrt(c.text_dim)
                pooled = torch.where(drop[:, None], pooled, given)
                # The null is one token of its own; where the text is dropped the only one seen.
                token_states = torch.cat([token_states, cond.tokens.to(pooled.dtype)], dim=1)
                mask = torch.cat([mask, cond.mask & ~drop[:, None]], dim=1)
            modulation = modulation + self.text(pooled)
            tokens = self.tokens(token_states)
        width = c.hidden_size
        layers, last = self.modulation(F.silu(modulation)).split([6 * width, 2 * width], dim=1)
        return Context(layers, last, tokens, mask, self._upper(upper))

    def _upper(self, upper: Tensor | None) -> Tensor | None:
        c = self.config
        if (upper is None) != (c.upper_shape is None):
            raise ValueError("upper codes are needed by, and only by, a prior with an upper level")
        if upper is None or c.upper_shape is None:
            return None
        if tuple(upper.shape[1:]) != c.upper_shape:
            raise ValueError(
                f"upper codes of shape {tuple(upper.shape)}, expected (B, *{c.upper_shape})"
            )
        return self._spread(self.upper(upper))

    def _spread(self, upper: Tensor) -> Tensor:
        """Features (B, h', w', C) of the upper level → (B, places, C) of the places below them."""
        features = F.interpolate(upper.movedim(-1, 1), size=self.shape, mode="nearest")
        if self.config.patch > 1:  # a place as large as several upper codes sees their mean
            features = F.avg_pool2d(features, self.config.patch)
        return features.flatten(2).transpose(1, 2)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model(self, self.config, folder)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> MaskedDiffusion:
        """Load what `save_pretrained` wrote.

        Raises:
            UserError: a file is missing, damaged or of another model.
        """
        return load_model(Path(folder), cls)


class Block(nn.Module):
    """Attention over all places and the text's tokens, then SwiGLU, each modulated and gated.

    Queries and keys are normalised (https://arxiv.org/abs/2302.05442). The gates start at 0: at
    first a block is the identity.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.modulation = nn.Parameter(torch.zeros(6 * width))
        self.qkv = nn.Linear(width, 3 * width)
        self.token_key_value = nn.Linear(width, 2 * width)
        self.attended = nn.Linear(width, width)
        self.sharpness = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(width / heads)))
        hidden = 8 * math.ceil(MLP_RATIO * width / 8)
        self.mlp_in = nn.Linear(width, 2 * hidden)
        self.mlp_out = nn.Linear(hidden, width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, places + 1, C) → the same."""
        parts = (context.modulation + self.modulation)[:, None].chunk(6, dim=-1)
        scale, shift, gate, mlp_scale, mlp_shift, mlp_gate = parts
        x = x + gate * self._attend(_norm(x) * (1 + scale) + shift, context)
        value, gated = self.mlp_in(_norm(x) * (1 + mlp_scale) + mlp_shift).chunk(2, dim=-1)
        hidden = dropout(value * F.silu(gated), self.dropout, training=self.training)
        return x + mlp_gate * self.mlp_out(hidden)

    def _attend(self, x: Tensor, context: Context) -> Tensor:
        query, key, value = rearrange(self.qkv(x), "b n (s h d) -> s b h n d", s=3, h=self.heads)
        mask = None
        if context.tokens is not None and context.mask is not None:
            told = self.token_key_value(context.tokens)
            token_key, token_value = rearrange(told, "b t (s h d) -> s b h t d", s=2, h=self.heads)
            key, value = torch.cat([key, token_key], dim=2), torch.cat([value, token_value], dim=2)
            mask = F.pad(context.mask, (x.shape[1], 0), value=True)[:, None, None]
        query, key = _norm(query) * self.sharpness, _norm(key)
        # The factor is in the normalised queries already.
        found = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=1 / query.shape[-1]
        )
        return self.attended(rearrange(found, "b h n d -> b n (h d)"))


def _norm(x: Tensor) -> Tensor:
    """Root mean square normalisation (https://arxiv.org/abs/1910.07467), without weights."""
    return F.rms_norm(x, x.shape[-1:])
