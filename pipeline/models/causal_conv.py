"""A convolution that sees only what comes before each position, as products of matrices.

Features are (h, w, B, C), rows of the grid first: the part of a convolution that reads a row above
is then a matrix product of one contiguous block with another, and no tap that is always zero and
no row of padding takes part.
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
        x, above, beside, bias = (t.to(dtype) for t in (x, self.above, self.beside, self.bias))
        h, w, b, _ = x.shape
        # Two columns gain nothing from filtering, and bfloat16 has no digits to lose.
        if 2 < self.left + self.right + 1 <= MOST_TAPS and dtype.itemsize >= 4 and h > 1:
            columns = _Columns.apply(x, self.left, 0).flatten(0, 2)  # (hwB, taps·C)
            own = torch.addmm(bias, columns[:, : len(beside)], beside).view(h, w, b, -1)
            return torch.cat([own[:1], self._filtered(own[1:], x[:-1], above)])
        columns = _Columns.apply(x, self.left, self.right)
        return _RowProducts.apply(columns, above[:, None], beside[None], bias).view(h, w, b, -1)

    def _filtered(self, own: Tensor, x: Tensor, above: Tensor) -> Tensor:
        """Add the rows above: for five taps in a row two products instead of five.

        Minimal filtering (Toom and Cook's, for networks: https://arxiv.org/abs/1509.09308) along
        the rows: at each of its points a product over the channels and the rows. It mixes a row's
        cells and parts them again, so it is for finished rows, which may be seen as wholes.

        Args:
            own: what each row but the first has already, (h - 1, w, B, O).
            x: the rows but the last, (h - 1, w, B, C).
        """
        (h, w, b, c), o = x.shape, own.shape[3]
        spread, kernel, gather = _filters(w, self.left, self.right, x.dtype, x.device)
        points, taps = kernel.shape
        tiles = torch.matmul(spread, x.flatten(2)).view(h, points, -1, c)  # (h, F, tiles·B, C)
        tiles = tiles.transpose(0, 1).contiguous()
        weights = torch.matmul(kernel, above.view(-1, taps, c * o)).view(-1, points, c, o)
        products = _RowProducts.apply(tiles, weights[1:], weights[0], None)
        products = products.transpose(0, 1).reshape(h, -1, b * o)  # (h, F·tiles, B·O)
        sums = torch.baddbmm(own.flatten(2), gather.expand(h, -1, -1), products)
        return sums.view(h, w, b, o)


def _autocast_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


@cache
@torch.inference_mode(False)  # what inference made could not be used in training later
def _filters(
    width: int, left: int, right: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimal filtering's matrices: a row's cells → tiles, taps → points, tiles → the row's sums.

    Returns:
        (F·tiles, width), (F, taps) and (width, F·tiles), for F = TILE + taps - 1 points.
    """
    taps, tiles = left + right + 1, -(-width // TILE)
    points = TILE + taps - 1
    # The product of polynomials with TILE and with `taps` coefficients, by their values at the
    # points; its transpose is the correlation.
    kernel, out_of = _values(taps, points), _values(TILE, points).t()
    into = torch.linalg.inv(_values(points, points)).t()
    spread = torch.zeros(points, tiles, left + tiles * TILE + points, dtype=torch.float64)
    gather = torch.zeros(tiles, TILE, points, tiles, dtype=torch.float64)
    for tile in range(tiles):
        spread[:, tile, tile * TILE : tile * TILE + points] = into
        gather[tile, :, :, tile] = out_of
    spread = spread[:, :, left : left + width].reshape(points * tiles, width)  # beyond it: zeros
    gather = gather.view(tiles * TILE, points * tiles)[:width]
    return tuple(t.to(device, dtype).contiguous() for t in (spread, kernel, gather))  # type: ignore[return-value]


def _values(coefficients: int, points: int) -> Tensor:
    """Polynomials' values at the points, (points, coefficients); at infinity the last of them."""
    finite = torch.tensor(POINTS[: points - 1], dtype=torch.float64)
    at_infinity = torch.zeros(1, coefficients, dtype=torch.float64)
    at_infinity[0, -1] = 1
    return torch.cat([torch.vander(finite, coefficients, increasing=True), at_infinity])


class _RowProducts(torch.autograd.Function):
    """Each row times `beside`, and the rows above times `above`, summed in place.

    x (F, h, n, K), above (up, F, K, O), beside (F, ≤ K, O), which reads the first of the K, and
    bias (O) or None → (F, h, n, O). Autograd's own slices would copy it all for every row.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, above: Tensor, beside: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, above, beside)
        ctx.biased = bias is not None
        _, h, n, _ = x.shape
        flat = x.flatten(1, 2)
        own = flat[:, :, : beside.shape[1]]
        out = torch.bmm(own, beside) if bias is None else torch.baddbmm(bias, own, beside)
        for up, weight in _rows_above(above, h):
            out[:, up * n :].baddbmm_(flat[:, : -up * n], weight)
        return out.unflatten(1, (h, n))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, above, beside = ctx.saved_tensors
        _, h, n, _ = x.shape
        flat, grad = x.flatten(1, 2), grad.contiguous().flatten(1, 2)
        grad_above, grad_flat = torch.zeros_like(above), torch.empty_like(flat)
        for up, weight in _rows_above(above, h):
            below, seen = grad[:, up * n :], flat[:, : -up * n]
            torch.bmm(seen.mT, below, out=grad_above[up - 1])
            if up == 1:  # the first writes, the others add
                torch.bmm(below, weight.mT, out=grad_flat[:, :-n])
            else:
                grad_flat[:, : -up * n].baddbmm_(below, weight.mT)
        grad_flat[:, -n if h > 1 and len(above) else 0 :] = 0  # no row below reads the last one
        grad_flat[:, :, : beside.shape[1]].baddbmm_(grad, beside.mT)
        grad_beside = torch.bmm(flat[:, :, : beside.shape[1]].mT, grad)
        grad_bias = grad.sum((0, 1)) if ctx.biased else None
        return grad_flat.unflatten(1, (h, n)), grad_above, grad_beside, grad_bias


def _rows_above(above: Tensor, height: int) -> list[tuple[int, Tensor]]:
    return [(up, above[up - 1]) for up in range(1, min(len(above), height - 1) + 1)]


class _Columns(torch.autograd.Function):
    """Each position's neighbours in its row side by side: (h, w, B, C) → (1, h, wB, taps·C)."""

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
        return columns.view(1, h, w * b, -1)

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
