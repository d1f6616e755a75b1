"""PixelSNAIL's layers: convolutions and attention that see only the codes before each position.

Features are (h, w, B, C), rows of the grid first: the part of a convolution that reads the row
above is then a matrix product of one contiguous block with another, no tap that is always zero and
no row of padding takes part, and a 1×1 convolution is an `nn.Linear`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

HEAD_DIM = 16  # the key's width in the PixelSNAIL paper


class CausalConv(nn.Module):
    """A convolution over the `up` rows above and, of the row itself, what lies to the left.

    Args:
        up: rows above that it reads.
        left: columns to the left that it reads, in the row itself and in those above.
        right: columns to the right that it reads in the rows above.
        current: whether it reads the position itself: everywhere but at the network's input.
    """

    def __init__(
        self, in_channel: int, out_channel: int, *, up: int, left: int, right: int, current: bool
    ) -> None:
        super().__init__()
        self.up, self.left, self.right = up, left, right
        beside, across = left + current, left + right + 1
        # Stored as the matrix products read them; row u of `above` belongs to u + 1 rows up.
        self.above = nn.Parameter(torch.empty(up, across * in_channel, out_channel))
        self.beside = nn.Parameter(torch.empty(beside * in_channel, out_channel))
        self.bias = nn.Parameter(torch.zeros(out_channel))
        bound = math.sqrt(3 / ((up * across + beside) * in_channel))  # variance 1 / fan-in
        nn.init.uniform_(self.above, -bound, bound)
        nn.init.uniform_(self.beside, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        dtype = _autocast_dtype(x)
        weights = (w.to(dtype) for w in (self.above, self.beside, self.bias))
        return _CausalConvolution.apply(x.to(dtype), *weights, self.left, self.right)


class _CausalConvolution(torch.autograd.Function):
    """The product for each row above, summed in place; autograd's own slices would copy it all."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, above: Tensor, beside: Tensor, bias: Tensor, left: int, right: int
    ) -> Tensor:
        ctx.save_for_backward(x, above, beside)
        ctx.left, ctx.right = left, right
        h, w, b, _ = x.shape
        columns = _columns(x, left, right)  # (h, wB, taps·C)
        out = torch.addmm(bias, columns.flatten(0, 1)[:, : len(beside)], beside)  # (hwB, O)
        rows = out.view(h, w * b, -1)
        for up, weight in _rows_above(above, h):
            rows[up:].flatten(0, 1).addmm_(columns[:-up].flatten(0, 1), weight)
        return out.view(h, w, b, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, above, beside = ctx.saved_tensors
        h, w, b, _ = x.shape
        columns = _columns(x, ctx.left, ctx.right)
        grad = grad.contiguous().view(h, w * b, -1)
        flat, whole = grad.flatten(0, 1), columns.flatten(0, 1)
        grad_above = torch.zeros_like(above)
        for up, _ in _rows_above(above, h):
            below, seen = grad[up:].flatten(0, 1), columns[:-up].flatten(0, 1)
            torch.mm(seen.t(), below, out=grad_above[up - 1])
        grad_beside = whole[:, : len(beside)].t() @ flat
        grad_columns = torch.empty_like(columns)
        for up, weight in _rows_above(above, h):
            below, seen = grad[up:].flatten(0, 1), grad_columns[:-up].flatten(0, 1)
            if up == 1:  # the first writes, the others add
                torch.mm(below, weight.t(), out=seen)
            else:
                seen.addmm_(below, weight.t())
        grad_columns[-1 if h > 1 and len(above) else 0 :] = 0  # no row below reads the last one
        grad_columns.flatten(0, 1)[:, : len(beside)].addmm_(flat, beside.t())
        grad_x = _fold(grad_columns.view(h, w, b, -1, x.shape[3]), ctx.left)
        return grad_x, grad_above, grad_beside, flat.sum(0), None, None


def _autocast_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def _rows_above(above: Tensor, height: int) -> list[tuple[int, Tensor]]:
    return [(up, above[up - 1]) for up in range(1, min(len(above), height - 1) + 1)]


def _columns(x: Tensor, left: int, right: int) -> Tensor:
    """Each position's neighbours in its row side by side: (h, w, B, C) → (h, wB, taps·C)."""
    h, w, b, c = x.shape
    columns = x.new_empty(h, w, b, left + right + 1, c)
    for tap in range(left + right + 1):
        here, there = _overlap(tap - left, w)
        columns[:, here, :, tap] = x[:, there]
        columns[:, : here.start, :, tap] = 0
        columns[:, here.stop :, :, tap] = 0
    return columns.view(h, w * b, -1)


def _fold(columns: Tensor, left: int) -> Tensor:
    """The transpose of `_columns`: (h, w, B, taps, C) → (h, w, B, C), sums of what each gave."""
    x = columns[..., left, :].clone()
    for tap in range(columns.shape[3]):
        if tap != left:
            here, there = _overlap(tap - left, columns.shape[1])
            x[:, there] += columns[:, here, :, tap]
    return x


def _overlap(offset: int, width: int) -> tuple[slice, slice]:
    """The columns that have a neighbour `offset` to the right, and those neighbours."""
    first, last = max(0, -offset), min(width, width - offset)
    last = max(first, last)
    return slice(first, last), slice(first + offset, last + offset)


class GatedResBlock(nn.Module):
    """x + glu(conv(elu(conv(elu(x)))) + text + upper): a row's text and a cell's upper code in it.

    The second convolution starts at zero: the block starts as the identity, which does for depth
    what the weight normalisation of the paper does, and costs nothing.
    """

    def __init__(
        self,
        channel: int,
        res_channel: int,
        *,
        kernel_size: int,
        dropout: float,
        text: bool,
        upper: bool,
    ) -> None:
        super().__init__()
        taps = conv_taps(kernel_size)
        self.enter = CausalConv(channel, res_channel, **taps, current=True)
        self.leave = CausalConv(res_channel, 2 * channel, **taps, current=True)
        nn.init.zeros_(self.leave.above)
        nn.init.zeros_(self.leave.beside)
        self.text = nn.Linear(channel, 2 * channel, bias=False) if text else None
        self.upper = nn.Linear(channel, 2 * channel, bias=False) if upper else None
        self.dropout = dropout

    def forward(self, x: Tensor, text: Tensor | None, upper: Tensor | None) -> Tensor:
        hidden = F.elu(self.enter(F.elu(x)))  # (h, w, B, R)
        out = self.leave(F.dropout(hidden, self.dropout, self.training))  # (h, w, B, 2C)
        if self.text is not None:
            out = out + self.text(text)
        if self.upper is not None:
            out = out + self.upper(upper)
        return x + F.glu(out, dim=-1)


def conv_taps(kernel_size: int) -> dict[str, int]:
    """What a kernel's convolution reads beside the position itself, as `CausalConv` names it.

    Odd: as the well-known port, centred columns. Even: as the paper, nothing to the right.
    """
    right = kernel_size // 2 if kernel_size % 2 else 0
    return {"up": kernel_size - 1, "left": kernel_size - 1 - right, "right": right}


class AttentionBlock(nn.Module):
    """Merges into the features what earlier codes, and the text's tokens, have to say.

    As in the paper, a key knows its position's code itself beside its features, and a position sees
    only the keys strictly before it. So keys stand one place late, behind a learned first one, and
    the built-in causal mask is the right one.
    """

    def __init__(self, channel: int, *, attention: bool, token_dim: int, dropout: float) -> None:
        super().__init__()
        self.n_head = max(1, channel // (2 * HEAD_DIM))
        self.dropout = dropout
        self.attention, self.cross_attention = attention, token_dim > 0
        width = self.n_head * HEAD_DIM
        sources = attention + self.cross_attention
        self.query = nn.Linear(channel, sources * width)
        self.query_position = nn.Linear(channel, sources * width, bias=False)
        if attention:
            self.key_value = nn.Linear(2 * channel, 2 * width)
            self.key_value_position = nn.Linear(channel, 2 * width, bias=False)
            self.first_key_value = nn.Parameter(torch.zeros(2 * width))
        if self.cross_attention:
            self.token_key_value = nn.Linear(token_dim, 2 * width)
        self.enter = nn.Linear(channel + sources * width, channel)
        self.leave = nn.Linear(channel, 2 * channel)
        nn.init.zeros_(self.leave.weight)

    def forward(
        self, x: Tensor, raw: Tensor, background: Tensor, tokens: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        """Merge.

        Args:
            x: features (h, w, B, C), which depend on codes before their position.
            raw: embeddings of the codes themselves, (h, w, B, C).
            background: embeddings of the positions, (h, w, 1, C).
            tokens: the text's states (B, T, token_dim), with `mask` (B, T), True = a token.
        """
        h = x.shape[0]
        query = self.query(x) + self.query_position(background)
        query = rearrange(query, "h w b (s n d) -> s b n (h w) d", n=self.n_head, d=HEAD_DIM)
        queries = list(query)
        found = [F.elu(x)]
        if self.attention:
            key_value = self.key_value(torch.cat([x, raw], dim=-1))
            key_value = key_value + self.key_value_position(background)
            key_value = key_value.flatten(0, 1)  # (N, B, 2D)
            first = self.first_key_value.to(key_value.dtype).expand_as(key_value[:1])
            key_value = torch.cat([first, key_value[:-1]])
            key, value = rearrange(key_value, "l b (s n d) -> s b n l d", s=2, n=self.n_head)
            mixed = F.scaled_dot_product_attention(queries.pop(0), key, value, is_causal=True)
            found.append(rearrange(mixed, "b n (h w) d -> h w b (n d)", h=h))
        if self.cross_attention:
            assert tokens is not None
            assert mask is not None
            key, value = self.token_keys(tokens)
            mixed = F.scaled_dot_product_attention(
                queries.pop(0), key, value, attn_mask=mask[:, None, None]
            )
            found.append(rearrange(mixed, "b n (h w) d -> h w b (n d)", h=h))
        hidden = F.elu(self.enter(torch.cat(found, dim=-1)))
        return x + F.glu(self.leave(F.dropout(hidden, self.dropout, self.training)), dim=-1)

    def token_keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the text's tokens, (B, heads, T, d) each."""
        key, value = rearrange(
            self.token_key_value(tokens), "b t (s n d) -> s b n t d", s=2, n=self.n_head
        )
        return key, value
