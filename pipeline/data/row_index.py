"""In which row a text stands among millions: found by its digest, for the texts need no memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

WIDE = np.dtype("S16")  # 128 bits: no two texts share them
NARROW = np.dtype("<i8")  # their first 64 bits, which an index tells texts apart by
AT_A_TIME = 4096  # texts that are looked up


def digest(key: str) -> int:
    """64 bits that tell a text from others, in [-2**63, 2**63)."""
    return int.from_bytes(_digest(key)[: NARROW.itemsize], "little", signed=True)


class Distinct(Sequence[str]):
    """The distinct texts of a list, in the order in which they first come; none is kept.

    Args:
        count: how long the list is.
        text: of a place in the list, what stands there; asked again whenever a text is.

    Attributes:
        digests: (N,) int64, one of each text.

    Raises:
        ValueError: two texts have the same digest.
    """

    def __init__(self, count: int, text: Callable[[int], str]) -> None:
        wide = np.fromiter((_digest(text(place)) for place in range(count)), WIDE, count)
        self._places, self._text = np.sort(np.unique(wide, return_index=True)[1]), text
        self.digests = _narrow(wide[self._places])
        if len(np.unique(self.digests)) < len(self):
            raise ValueError(f"two of {len(self)} texts have the same digest of 64 bits")

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self._text(int(place)) for place in self._places[row]]
        return self._text(int(self._places[row]))


@dataclass(frozen=True)
class RowIndex:
    """Rows by digest.

    Attributes:
        digests: (N,) int64, ascending.
        rows: (N,) int64, the row of each.
    """

    digests: Tensor
    rows: Tensor

    @classmethod
    def of(cls, distinct: Distinct) -> RowIndex:
        """A row for each distinct text, in their order."""
        digests, rows = torch.from_numpy(distinct.digests).sort()
        return cls(digests, rows)

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, keys: Iterable[str]) -> Tensor:
        """The rows of these texts, int64 (of `keys`,); they are read once.

        Raises:
            KeyError: one is not there; it names the first.
        """
        remaining, found = iter(keys), [torch.zeros(0, dtype=torch.int64)]
        while some := list(islice(remaining, AT_A_TIME)):
            wide = np.fromiter((_digest(key) for key in some), WIDE, len(some))
            wanted = torch.from_numpy(_narrow(wide))
            places = torch.searchsorted(self.digests, wanted)
            places[places == len(self)] = 0
            known = self.digests[places] == wanted if len(self) else torch.zeros(len(some)).bool()
            if not known.all():
                raise KeyError(some[int(known.int().argmin())])
            found.append(self.rows[places])
        return torch.cat(found)

    def save(self, path: Path) -> None:
        """Write it to one file."""
        save_file({"digests": self.digests, "rows": self.rows}, path)

    @classmethod
    def open(cls, path: Path) -> RowIndex:
        """Map what `save` wrote."""
        with safe_open(path, framework="pt") as file:
            return cls(file.get_tensor("digests"), file.get_tensor("rows"))


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=WIDE.itemsize).digest()


def _narrow(wide: np.ndarray) -> np.ndarray:
    return np.frombuffer(wide.tobytes(), NARROW).reshape(-1, 2)[:, 0].astype(np.int64)
