"""A plain PixelSNAIL, as the well-known scripts build it: what the benchmarks compare with.

Written from the definition (https://arxiv.org/abs/1712.09763) with the scripts' choices: one-hot
codes, k×k convolutions on padded features whose taps from the current position on are set to zero
at each pass, weight normalisation computed at each pass, an explicit attention matrix.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

HEADS = 8


class CausalConv(nn.Module):
    """k×k over the rows above and the row itself, its taps from the position on set to zero."""

    def __init__(self, in_channel: int, out_channel: int, kernel_size: int) -> None:
        super().__init__()
        half = kernel_size // 2
        self.pad, self.live = (half, half, kernel_size - 1, 0), half
        self.conv = weight_norm(nn.Conv2d(in_channel, out_channel, kernel_size))

    def forward(self, x: Tensor) -> Tensor:
        direction = self.conv.parametrizations.weight.original1  # type: ignore[union-attr]
        direction.data[:, :, -1, self.live :] = 0
        return self.conv(F.pad(x, self.pad))


class Gated(nn.Module):
    """A gated residual block, of causal convolutions or, with kernel size 1, of 1×1 ones."""

    def __init__(self, channel: int, hidden: int, kernel_size: int, aux: int = 0) -> None:
        super().__init__()
        if kernel_size == 1:
            self.enter: nn.Module = weight_norm(nn.Conv2d(channel, hidden, 1))
            self.leave: nn.Module = weight_norm(nn.Conv2d(hidden, 2 * channel, 1))
        else:
            self.enter = CausalConv(channel, hidden, kernel_size)
            self.leave = CausalConv(hidden, 2 * channel, kernel_size)
        self.aux = weight_norm(nn.Conv2d(aux, hidden, 1)) if aux else None

    def forward(self, x: Tensor, aux: Tensor | None = None) -> Tensor:
        hidden = self.enter(F.elu(x))
        if self.aux is not None and aux is not None:
            hidden = hidden + self.aux(F.elu(aux))
        return x + F.glu(self.leave(F.elu(hidden)), dim=1)


class Attention(nn.Module):
    """Attention over earlier positions by an explicit matrix."""

    def __init__(self, query: int, key: int, width: int) -> None:
        super().__init__()
        self.query = weight_norm(nn.Linear(query, width))
        self.key = weight_norm(nn.Linear(key, width))
        self.value = weight_norm(nn.Linear(key, width))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        n, (h, w) = HEADS, query.shape[2:]
        query, key = (rearrange(t, "b c h w -> b (h w) c") for t in (query, key))
        q, k, v = (
            rearrange(t, "b l (n d) -> b n l d", n=n)
            for t in (self.query(query), self.key(key), self.value(key))
        )
        scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
        seen = torch.ones(h * w, h * w, dtype=torch.bool, device=q.device).tril(-1)
        weights = scores.masked_fill(~seen, -1e4).softmax(dim=3) * seen.any(dim=1)[:, None]
        return rearrange(weights @ v, "b n (h w) d -> b (n d) h w", h=h)


class Block(nn.Module):
    """Residual blocks, then attention."""

    def __init__(self, channel: int, hidden: int, kernel_size: int, n_res_block: int) -> None:
        super().__init__()
        self.residual = nn.ModuleList(
            Gated(channel, hidden, kernel_size) for _ in range(n_res_block)
        )
        self.key = Gated(2 * channel + 2, channel, 1)
        self.query = Gated(channel + 2, channel, 1)
        self.attention = Attention(channel + 2, 2 * channel + 2, channel // 2)
        self.out = Gated(channel, channel, 1, aux=channel // 2)

    def forward(self, x: Tensor, background: Tensor) -> Tensor:
        out = x
        for block in self.residual:
            out = block(out)
        key = self.key(torch.cat([x, out, background], dim=1))
        query = self.query(torch.cat([out, background], dim=1))
        return self.out(out, self.attention(query, key))


class PlainPixelSNAIL(nn.Module):
    """Logits (B, n_class, h, w) of codes (B, h, w), for any number of rows."""

    def __init__(
        self,
        n_class: int,
        channel: int,
        kernel_size: int,
        n_block: int,
        n_res_block: int,
        res_channel: int,
    ) -> None:
        super().__init__()
        half = kernel_size // 2
        self.n_class, self.reach = n_class, half
        self.above = weight_norm(nn.Conv2d(n_class, channel, (half, kernel_size)))
        self.beside = weight_norm(nn.Conv2d(n_class, channel, (half + 1, half)))
        self.blocks = nn.ModuleList(
            Block(channel, res_channel, kernel_size, n_res_block) for _ in range(n_block)
        )
        self.out = weight_norm(nn.Conv2d(channel, n_class, 1))

    def forward(self, codes: Tensor) -> Tensor:
        h, w = codes.shape[1:]
        half = self.reach
        x = F.one_hot(codes, self.n_class).permute(0, 3, 1, 2).to(self.out.bias.dtype)
        above = self.above(F.pad(x, (half, half, half, 0)))[:, :, :h]
        beside = self.beside(F.pad(x, (half, 0, half, 0)))[:, :, :, :w]
        x = above + beside
        rows, columns = torch.linspace(-0.5, 0.5, h), torch.linspace(-0.5, 0.5, w)
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).to(x)
        background = grid.expand(len(x), -1, -1, -1)
        for block in self.blocks:
            x = block(x, background)
        return self.out(F.elu(x))
