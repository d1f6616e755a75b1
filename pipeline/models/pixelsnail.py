"""PixelSNAIL, the prior over a grid of codes given a text (https://arxiv.org/abs/1712.09763).

Gated residual blocks of causal convolutions, then attention over all earlier codes, n_block times.
The code grid is shifted once, at the input: the first convolution reads the codes above and to the
left, and from there on every layer reads its own position too. (The well-known port leaves the
current position out in every layer, so that a block of two 5×5 convolutions can't see the two
nearest columns; https://github.com/rosinality/vq-vae-2-pytorch/issues/31.)

An even `kernel_size` reads rows above and columns to the left: 2 is the paper's block. An odd one
reads centred columns in the rows above: 5 is the port's. Differences to both: positions are learned
embeddings of row and column rather than two coordinate channels, queries and keys are linear in the
features, plain weights that start blocks as the identity take weight normalisation's place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.data.condition import TextCondition
from pipeline.models.causal import AttentionBlock, GatedResBlock
from pipeline.models.causal_conv import CausalConv
from pipeline.models.pixelsnail_sizes import PLAIN, PixelSNAILConfig, PixelSNAILSizes
from pipeline.models.storage import load_model, save_model

UPPER_RES_BLOCKS = 2  # over the upper level's codes; they have a coarse grid of their own


@dataclass(frozen=True)
class Context:
    """A condition as the layers take it; None where the model has no use for it.

    Attributes:
        text: (B, channel), of the pooled texts.
        tokens: (B, T, token_dim) and `mask` (B, T).
        upper: (h, w, B, channel), of the upper level's codes.
    """

    text: Tensor | None
    tokens: Tensor | None
    mask: Tensor | None
    upper: Tensor | None


class PixelSNAIL(nn.Module):
    """p(code | the codes before it in raster order, text, the upper level's codes)."""

    def __init__(self, shape: tuple[int, int], n_class: int, *sizes: float, **named: Any) -> None:
        """Build it: `PixelSNAIL((16, 16), 256, channel=64, kernel_size=2, …)`.

        Args:
            shape: height and width of the grid.
            n_class: codes in the codebook.
            sizes: those of `PixelSNAILSizes`, in its order; any of them may come by name.
            named: the other fields of `PixelSNAILConfig`, which says what each is.

        Raises:
            ValueError: a size is missing, unknown or impossible, or two do not go together.
        """
        super().__init__()
        names = list(PixelSNAILSizes.model_fields)
        if len(sizes) > len(names):
            raise ValueError(f"PixelSNAIL: {len(sizes)} sizes in order, at most {len(names)}")
        in_order = dict(zip(names, sizes, strict=False))
        if twice := in_order.keys() & named.keys():
            raise ValueError(f"PixelSNAIL: given twice: {', '.join(sorted(twice))}")
        given = {**PLAIN, **in_order, **named}
        self.config = c = PixelSNAILConfig.of(shape=(shape[0], shape[1]), n_class=n_class, **given)
        h, w = self.shape

        self.embedding = nn.Embedding(c.n_class, c.channel)
        reach = c.kernel_size // 2
        self.conv_in = CausalConv(
            c.channel, c.channel, up=reach, left=reach, right=reach, current=False
        )
        self.row_position = nn.Parameter(torch.randn(h, 1, 1, c.channel))
        self.column_position = nn.Parameter(torch.randn(w, 1, c.channel))
        if c.text_dim:
            self.text = nn.Linear(c.text_dim, c.channel)
            self.null_text = nn.Parameter(torch.zeros(c.text_dim))
        if c.cross_attention:
            self.null_token = nn.Parameter(torch.zeros(c.token_dim))
        if c.upper_shape is not None:
            self.upper = UpperCodes(c.upper_n_class, c.channel, c.res_channel)

        self.groups = nn.ModuleList()
        self.merges = nn.ModuleList()  # one behind each group, if there is something to attend to
        for _ in range(c.n_block):
            self.groups.append(
                nn.ModuleList(
                    GatedResBlock(
                        c.channel,
                        c.res_channel,
                        kernel_size=c.kernel_size,
                        dropout=c.dropout,
                        text=c.text_dim > 0,
                        upper=c.upper_shape is not None,
                    )
                    for _ in range(c.n_res_block)
                )
            )
            if c.attention or c.cross_attention:
                self.merges.append(
                    AttentionBlock(
                        c.channel,
                        attention=c.attention,
                        token_dim=c.token_dim if c.cross_attention else 0,
                        dropout=c.dropout,
                    )
                )
        self.out = nn.Linear(c.channel, c.n_class)
        nn.init.zeros_(self.out.weight)  # it starts at the uniform distribution
        nn.init.zeros_(self.out.bias)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the grid."""
        return self.config.shape

    @property
    def n_class(self) -> int:
        """Codes in the codebook."""
        return self.config.n_class

    def forward(
        self,
        codes: Tensor,
        cond: TextCondition | None = None,
        *,
        upper: Tensor | None = None,
        drop: Tensor | None = None,
    ) -> Tensor:
        """Logits of each code given those before it.

        Args:
            codes: (B, h, w) int64 in [0, n_class).
            cond: the rows' texts; None: unconditional, the learned null.
            upper: (B, h', w') int64, the upper level's codes, where the model has one.
            drop: (B,) bool, rows whose text is replaced by the learned null.

        Returns:
            (B, n_class, h, w).

        Raises:
            ValueError: a shape that does not fit the model.
        """
        if tuple(codes.shape[1:]) != self.shape:
            raise ValueError(f"codes of shape {tuple(codes.shape)}, expected (B, *{self.shape})")
        context = self.context(len(codes), cond, upper=upper, drop=drop)
        raw = self.embedding(codes.permute(1, 2, 0))  # (h, w, B, C)
        background = self.background()
        x = self.conv_in(raw)
        for number, group in enumerate(self.groups):
            for block in group:  # type: ignore[attr-defined]
                x = block(x, context.text, context.upper)
            if self.merges:
                x = self.merges[number](x, raw, background, context.tokens, context.mask)
        return self.out(F.elu(x)).permute(2, 3, 0, 1)

    def nats(
        self, codes: Tensor, cond: TextCondition | None, *, upper: Tensor | None = None
    ) -> Tensor:
        """-log p of each grid, summed over its codes: (B,) float64; arguments as in `forward`."""
        logits = self(codes, cond, upper=upper)
        cost = F.cross_entropy(logits.float(), codes, reduction="none")  # (B, h, w)
        return cost.flatten(1).double().sum(dim=1)

    def background(self) -> Tensor:
        """Embeddings of the positions, (h, w, 1, C)."""
        return self.row_position + self.column_position

    def context(
        self,
        batch: int,
        cond: TextCondition | None,
        *,
        upper: Tensor | None,
        drop: Tensor | None = None,
    ) -> Context:
        """What the layers take of a condition; arguments as in `forward`, for `batch` grids."""
        c = self.config
        if cond is not None and not c.text_dim:
            raise ValueError("a condition for a prior without text (text_dim = 0)")
        for what, value in (("condition", cond), ("upper", upper), ("drop", drop)):
            if value is not None and len(value) != batch:
                raise ValueError(f"{what} has {len(value)} rows, the codes have {batch}")
        if drop is None:
            drop = torch.full((batch,), cond is None, device=self.out.weight.device)
        text, (tokens, mask) = None, (None, None)
        if c.text_dim:
            text = self._text(batch, cond, drop)
        if c.cross_attention:
            tokens, mask = self._tokens(batch, cond, drop)
        return Context(text, tokens, mask, self._upper(upper))

    def _text(self, batch: int, cond: TextCondition | None, drop: Tensor) -> Tensor:
        pooled = self.null_text.expand(batch, -1)
        if cond is not None:
            _check_width("pooled", cond.pooled, self.config.text_dim)
            # A normalised vector's numbers shrink with its width: bring them back to about 1.
            given = cond.pooled.to(pooled.dtype) * math.sqrt(self.config.text_dim)
            pooled = torch.where(drop[:, None], pooled, given)
        return F.elu(self.text(pooled))

    def _tokens(
        self, batch: int, cond: TextCondition | None, drop: Tensor
    ) -> tuple[Tensor, Tensor]:
        null = self.null_token.expand(batch, 1, -1)
        if cond is None:
            return null, torch.ones(batch, 1, dtype=torch.bool, device=null.device)
        _check_width("tokens", cond.tokens, self.config.token_dim)
        # The null is one token of its own; where the text is dropped it is the only one seen.
        tokens = torch.cat([null, cond.tokens.to(null.dtype)], dim=1)
        mask = torch.cat([drop[:, None], cond.mask & ~drop[:, None]], dim=1)
        return tokens, mask

    def _upper(self, upper: Tensor | None) -> Tensor | None:
        if (upper is None) != (self.config.upper_shape is None):
            raise ValueError("upper codes are needed by, and only by, a prior with an upper level")
        if upper is None:
            return None
        if tuple(upper.shape[1:]) != self.config.upper_shape:
            raise ValueError(
                f"upper codes of shape {tuple(upper.shape)}, "
                f"expected (B, *{self.config.upper_shape})"
            )
        return self.upper(upper, self.shape)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model(self, self.config, folder)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> PixelSNAIL:
        """Load what `save_pretrained` wrote.

        Raises:
            UserError: a file is missing, damaged or of another model.
        """

        return load_model(Path(folder), cls)


class UpperCodes(nn.Module):
    """The upper level's codes (B, h', w') → features (h, w, B, C) for every cell below them."""

    def __init__(self, n_class: int, channel: int, res_channel: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_class, channel)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ELU(),
                nn.Conv2d(channel, res_channel, 3, padding=1),
                nn.ELU(),
                nn.Conv2d(res_channel, channel, 3, padding=1),
            )
            for _ in range(UPPER_RES_BLOCKS)
        )

    def forward(self, codes: Tensor, shape: tuple[int, int]) -> Tensor:
        x = self.embedding(codes).permute(0, 3, 1, 2)  # (B, C, h', w')
        for block in self.blocks:
            x = x + block(x)
        return F.elu(F.interpolate(x, size=shape, mode="nearest")).permute(2, 3, 0, 1).contiguous()


def _check_width(what: str, value: Tensor, width: int) -> None:
    if value.shape[-1] != width:
        raise ValueError(f"the condition's {what} is {value.shape[-1]} wide, expected {width}")
