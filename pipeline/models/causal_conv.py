"""A convolution that sees only what comes before each position, as products of matrices.

Features are (h, w, B, C), rows of the grid first: the part of a convolution that reads a row above
is then a matrix product of one contiguous block with another, and no tap that is always zero and
no row of padding takes part. Where rows are filtered, columns come first while it is done.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

TILE = 4  # outputs that minimal filtering makes at once
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)  # where it evaluates; the last one is infinity
MOST_TAPS = len(POINTS) + 2 - TILE  # more would need points that lose digits


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
        # Two columns gain nothing from filtering; a GPU is short of other things than arithmetic.
        filtered = 2 < self.left + self.right + 1 <= MOST_TAPS and x.shape[0] > 1
        if filtered and x.device.type == "cpu":
            with torch.autocast(x.device.type, enabled=False):
                return self._filtered(x.to(dtype))
        x, above, beside, bias = (t.to(dtype) for t in (x, self.above, self.beside, self.bias))
        return _RowProducts.apply(_Columns.apply(x, self.left, self.right), above, beside, bias)

    def _filtered(self, x: Tensor) -> Tensor:
        """The rows above by minimal (Winograd) filtering: two products, not five, for five taps.

        Minimal filtering (Toom and Cook's, for networks: https://arxiv.org/abs/1509.09308) along
        the rows: at each of its points a product over the channels and the rows. It mixes a row's
        cells and parts them again, and rounding leaves a trace of each in the others: so it is for
        finished rows, which may be seen as wholes, and the row itself is convolved as it stands.
        """
        (h, w, b, c), o = x.shape, len(self.bias)
        above, beside, bias = (t.to(x.dtype) for t in (self.above, self.beside, self.bias))
        x = x.transpose(0, 1).contiguous()  # (w, h, B, C): what lay to the left now lies above
        taken = beside.view(-1, c, o)
        own = _RowProducts.apply(
            x, taken[: self.left].flip(0), taken[self.left :].flatten(0, 1), bias
        )
        spread, kernel, gather = _filters(w, self.left, self.right, x.dtype)
        points, taps = kernel.shape
        tiles = torch.mm(spread, x.flatten(1)).view(points, -1, h, b, c)  # (F, tiles, h, B, C)
        weights = torch.mm(kernel, above.view(-1, taps, c * o).transpose(0, 1).flatten(1))
        sums = _PointProducts.apply(tiles, weights.view(points, -1, o))  # (F, tiles, h - 1, B, O)
        sums = torch.mm(gather, sums.flatten(0, 1).flatten(1)).view(w, h - 1, b, o)
        return torch.cat([own[:, :1], own[:, 1:] + sums], dim=1).transpose(0, 1)


def _autocast_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


@cache
@torch.inference_mode(False)  # what inference made could not be used in training later
def _filters(
    width: int, left: int, right: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimal filtering's matrices: a row's cells → tiles, taps → points, tiles → the row's sums.

    Returns:
        (F·tiles, width), (F, taps) and (width, F·tiles), for F = TILE + taps - 1 points. The first
        and the last are exact in bfloat16 too.
    """
    taps, tiles = left + right + 1, -(-width // TILE)
    points = TILE + taps - 1
    # The product of polynomials with TILE and with `taps` coefficients, by their values at the
    # points; its transpose is the correlation.
    kernel, out_of = _values(taps, points), _values(TILE, points).t()
    into = torch.linalg.inv(_values(points, points)).t()
    # Each row of `into` is a polynomial over a constant; the constant goes to the taps' matrix, for
    # what is left are short binary fractions.
    leading = torch.cat([into[:-1, -2], into[-1:, -1]]).unsqueeze(1)
    spread = torch.zeros(points, tiles, left + tiles * TILE + points, dtype=torch.float64)
    gather = torch.zeros(tiles, TILE, points, tiles, dtype=torch.float64)
    for tile in range(tiles):
        spread[:, tile, tile * TILE : tile * TILE + points] = into / leading
        gather[tile, :, :, tile] = out_of
    spread = spread[:, :, left : left + width].reshape(points * tiles, width)  # beyond it: zeros
    gather = gather.view(tiles * TILE, points * tiles)[:width]
    return tuple(t.to(dtype).contiguous() for t in (spread, kernel * leading, gather))  # type: ignore[return-value]


def _values(coefficients: int, points: int) -> Tensor:
    """Polynomials' values at the points, (points, coefficients); at infinity the last of them."""
    finite = torch.tensor(POINTS[: points - 1], dtype=torch.float64)
    at_infinity = torch.zeros(1, coefficients, dtype=torch.float64)
    at_infinity[0, -1] = 1
    return torch.cat([torch.vander(finite, coefficients, increasing=True), at_infinity])


class _PointProducts(torch.autograd.Function):
    """At each of filtering's points the rows above times its own weights, summed.

    x (F, T, h, B, C) and weights (F, up·C, O) → (F, T, h - 1, B, O): what each row but the first
    has of the rows above it, the nearest times the first C of the weights.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor) -> Tensor:
        points, t, h, b, c = x.shape
        seen = x.new_empty(points, t, h - 1, b, weights.shape[1] // c, c)
        for up, rows in enumerate(seen.unbind(4)):
            rows[:, :, :up] = 0
            rows[:, :, up:] = x[:, :, : max(0, h - 1 - up)]
        seen = seen.view(points, -1, weights.shape[1])
        ctx.save_for_backward(seen, weights)
        ctx.shape = x.shape
        return torch.bmm(seen, weights).view(points, t, h - 1, b, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        seen, weights = ctx.saved_tensors
        points, t, h, b, c = ctx.shape
        grad = grad.reshape(*seen.shape[:2], -1)
        grad_weights = torch.bmm(seen.mT, grad)
        grad_seen = torch.bmm(grad, weights.mT).view(points, t, h - 1, b, -1, c)
        grad_x = grad.new_empty(ctx.shape)
        grad_x[:, :, -1] = 0  # no row below reads the last one
        for up, rows in enumerate(grad_seen.unbind(4)[: h - 1]):
            if up == 0:  # the first writes, the others add
                grad_x[:, :, :-1] = rows
            else:
                grad_x[:, :, : -1 - up] += rows[:, :, up:]
        return grad_x, grad_weights


class _RowProducts(torch.autograd.Function):
    """Each row times `beside`, and the rows above times `above`, summed in place.

    x (h, w, B, K), above (up, K, O), beside (≤ K, O), which reads the first of the K, and bias (O)
    → (h, w, B, O). Autograd's own slices would copy it all for every row.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, above: Tensor, beside: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, above, beside)
        h, w, b, _ = x.shape
        flat = x.flatten(0, 2)
        out = torch.addmm(bias, flat[:, : len(beside)], beside)
        for up, weight in _rows_above(above, h):
            out[up * w * b :].addmm_(flat[: -up * w * b], weight)
        return out.view(h, w, b, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, above, beside = ctx.saved_tensors
        h, w, b, _ = x.shape
        n = w * b
        flat, grad = x.flatten(0, 2), grad.contiguous().flatten(0, 2)
        grad_above, grad_flat = torch.zeros_like(above), torch.empty_like(flat)
        for up, weight in _rows_above(above, h):
            below, seen = grad[up * n :], flat[: -up * n]
            torch.mm(seen.t(), below, out=grad_above[up - 1])
            if up == 1:  # the first writes, the others add
                torch.mm(below, weight.t(), out=grad_flat[:-n])
            else:
                grad_flat[: -up * n].addmm_(below, weight.t())
        grad_flat[-n if h > 1 and len(above) else 0 :] = 0  # no row below reads the last one
        grad_flat[:, : len(beside)].addmm_(grad, beside.t())
        grad_beside = torch.mm(flat[:, : len(beside)].t(), grad)
        return grad_flat.view_as(x), grad_above, grad_beside, grad.sum(0)


def _rows_above(above: Tensor, height: int) -> list[tuple[int, Tensor]]:
    return [(up, above[up - 1]) for up in range(1, min(len(above), height - 1) + 1)]


class _Columns(torch.autograd.Function):
    """Each position's neighbours in its row side by side: (h, w, B, C) → (h, w, B, taps·C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, left: int, right: int) -> Tensor:
        ctx.left, ctx.shape = left, x.shape
        h, w, b, c = x.shape
        columns = x.new_empty(h, w, b, left + right + 1, c)
        for tap in range(left + right + 1):
            here, there = _overlap(tap - left, w)
            columns[:, here, :, tap] = x[:, there]
            columns[:, : here.start, :, tap] = 0
            columns[:, here.stop :, :, tap] = 0
        return columns.flatten(3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, w, b, c = ctx.shape
        columns = grad.view(h, w, b, -1, c)
        x = columns[..., ctx.left, :].clone()
        for tap in range(columns.shape[3]):
            if tap != ctx.left:
                here, there = _overlap(tap - ctx.left, w)
                x[:, there] += columns[:, here, :, tap]
        return x, None, None


def _overlap(offset: int, width: int) -> tuple[slice, slice]:
    """The columns that have a neighbour `offset` to the right, and those neighbours."""
    first, last = max(0, -offset), min(width, width - offset)
    last = max(first, last)
    return slice(first, last), slice(first + offset, last + offset)
