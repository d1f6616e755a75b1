"""Tensors too large for memory, row by row: in files that are mapped, read when asked for.

What is mapped is the system's to keep or drop; only rows asked for become memory of the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Rows(Protocol):
    """What has rows to ask for: a tensor (N, …), or what acts like one."""

    @property
    def shape(self) -> torch.Size:
        """(N, …)."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor | slice, /) -> Tensor:
        """Some rows as a new tensor, in the order asked for."""
        ...


class MappedRows:
    """One after another, the rows of tensors (n, …); usually each lies in a file of its own.

    Those of a narrower tensor are filled with zeros behind their end, up to the widest.

    Args:
        parts: of one type and number of axes, at least one; the second axes may differ in length.
    """

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self._parts = list(parts)
        lengths = torch.tensor([len(part) for part in parts])
        self._ends = lengths.cumsum(0)
        self._starts = self._ends - lengths
        inner = [tuple(part.shape[1:]) for part in parts]
        self._shape = torch.Size((int(lengths.sum()), *max(inner)))

    @property
    def shape(self) -> torch.Size:
        """(N, …)."""
        return self._shape

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, rows: Tensor | slice, /) -> Tensor:
        """Some rows as a new tensor.

        Raises:
            IndexError: there is no such row.
        """
        wanted = torch.arange(len(self))[rows] if isinstance(rows, slice) else rows
        if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < len(self):
            raise IndexError(f"rows {wanted.min()} to {wanted.max()} of {len(self)}")
        if len(self._parts) == 1:
            return self._parts[0][wanted]
        found = torch.zeros(len(wanted), *self.shape[1:], dtype=self._parts[0].dtype)
        holders = torch.searchsorted(self._ends, wanted, right=True)
        for holder in holders.unique().tolist():
            here, part = (holders == holder).nonzero()[:, 0], self._parts[holder]
            values = part[wanted[here] - self._starts[holder]]
            if values.shape[1:] == found.shape[1:]:
                found[here] = values
            else:
                found[here, : values.shape[1]] = values
        return found


@dataclass(frozen=True)
class Chosen:
    """Some rows of others, in an order of their own, none of them read yet.

    Attributes:
        source: what has the rows.
        rows: (N,) int64, which of them.
    """

    source: Rows
    rows: Tensor

    @property
    def shape(self) -> torch.Size:
        """(N, …)."""
        return torch.Size((len(self.rows), *self.source.shape[1:]))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Tensor | slice, /) -> Tensor:
        return self.source[self.rows[rows]]
