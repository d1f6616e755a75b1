"""Which codes of a grid are drawn together, and in which order, where any order will do."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor


def halton_order(shape: tuple[int, int]) -> Tensor:
    """The cells of a grid, each as far as can be from those before it: (h·w,) int64.

    They come as Halton's sequence of bases 2 and 3 first meets them: what is drawn in one step is
    spread over the grid and so depends little on one another (https://arxiv.org/abs/2503.17076).
    """
    height, width = shape
    order: dict[int, None] = {}
    number = 0
    while len(order) < height * width:
        number += 1
        row = int(_radical_inverse(number, 2) * height)
        column = int(_radical_inverse(number, 3) * width)
        order.setdefault(row * width + column)
    return torch.tensor(list(order))


def _radical_inverse(number: int, base: int) -> float:
    """The digits of `number` behind the point, the last first; in [0, 1)."""
    value, scale = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        scale /= base
        value += digit * scale
    return value


def group_sizes(cells: int, steps: int) -> list[int]:
    """How many cells each step draws: few at first, when little is known, and many at last.

    The share that is still hidden falls as 2/π · arccos does (https://arxiv.org/abs/2503.17076).

    Returns:
        At most `steps` sizes, each at least 1, of `cells` together.

    Raises:
        ValueError: there is no step.
    """
    if steps < 1:
        raise ValueError(f"steps = {steps}: expected at least 1")
    steps = min(steps, cells)
    known, sizes = 0, []
    for step in range(1, steps + 1):
        share = 1 - math.acos(step / steps) * 2 / math.pi
        # Each step draws something, and leaves something for each step after it.
        until = min(max(round(share * cells), known + 1), cells - (steps - step))
        sizes.append(until - known)
        known = until
    return sizes


def groups(order: Tensor, steps: int) -> Iterator[Tensor]:
    """The cells of each step, (k,) int64, in the order given."""
    yield from order.split(group_sizes(len(order), steps)) if len(order) else ()
