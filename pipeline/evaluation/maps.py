"""What judging takes long for, in shares by all processes that are at the same evaluation.

Each of them runs the same program from top to bottom. Where it takes long, the work is cut into
jobs that do not depend on how many processes there are, and each job is a share: whoever comes to
it first does it, the others do another one meanwhile, then read it. So all know the same figures,
and who was killed goes on from the jobs that are done.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors.numpy import load_file, save_file

from pipeline.shares import Over, Shares, Task

Arrays = dict[str, np.ndarray]
T = TypeVar("T")


@dataclass(frozen=True)
class Maps:
    """Does jobs together with other processes, which must ask for the same ones in the same order.

    Attributes:
        folder: of the run's shares.
        is_over: whether the outs were made meanwhile, so that the folder may be gone.
    """

    folder: Path
    is_over: Callable[[], bool]
    _numbers: Iterator[int] = field(default_factory=itertools.count, init=False)

    def arrays(self, label: str, jobs: Mapping[str, Callable[[], Arrays]]) -> dict[str, Arrays]:
        """What each job gives, by its name, which a file may have.

        Args:
            label: of the progress lines.

        Raises:
            Over: the outs were made meanwhile.
        """
        return self._gather(label, jobs, save=_save_arrays, load=load_file)

    def lists(
        self, label: str, jobs: Mapping[str, Callable[[], list[Any]]]
    ) -> dict[str, list[Any]]:
        """The same for jobs that give lists of texts, numbers and further lists."""
        return self._gather(label, jobs, save=_save_list, load=_load_list)

    def rows(
        self, label: str, count: int, ask: Callable[[slice], Arrays], *, of_each: int
    ) -> Arrays:
        """Arrays (count, …) of what `ask` gives for some rows at a time, (`of_each`, …)."""
        found = self.arrays(label, _parts(count, ask, of_each=of_each))
        parts = list(found.values())
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def texts(
        self, label: str, count: int, ask: Callable[[slice], list[str]], *, of_each: int
    ) -> list[str]:
        """Texts (count,) that `ask` gives for some rows at a time."""
        found = self.lists(label, _parts(count, ask, of_each=of_each))
        return [text for part in found.values() for text in part]

    def _gather(
        self,
        label: str,
        jobs: Mapping[str, Callable[[], T]],
        *,
        save: Callable[[T, Path], object],
        load: Callable[[Path], T],
    ) -> dict[str, T]:
        number = next(self._numbers)
        tasks: dict[str, Task] = {
            f"{number:03d}-{name}": partial(_do, job, save) for name, job in jobs.items()
        }
        try:
            files = Shares(self.folder, tasks, label).gather(is_over=self.is_over)
            return {name: load(file) for name, file in zip(jobs, files, strict=True)}
        except FileNotFoundError:
            if self.is_over():
                raise Over from None
            raise


def _do(job: Callable[[], T], save: Callable[[T, Path], object], path: Path) -> None:
    save(job(), path)


def _parts(count: int, ask: Callable[[slice], T], *, of_each: int) -> dict[str, Callable[[], T]]:
    """A job for each part of so many rows, one at least."""
    return {
        f"{first:09d}": partial(ask, slice(first, min(first + of_each, count)))
        for first in range(0, max(1, count), of_each)
    }


def _save_arrays(arrays: Arrays, path: Path) -> None:
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, path)


def _save_list(values: list[Any], path: Path) -> None:
    path.write_text(json.dumps(values), encoding="utf-8", newline="\n")


def _load_list(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
