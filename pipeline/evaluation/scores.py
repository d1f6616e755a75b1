"""One metrics file in the making: nested figures, and what could not be measured, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.evaluation.unmeasurable import Unmeasurable

Measured = float | Mapping[str, Any]


class Scores:
    """Figures by dotted names.

    Attributes:
        values: nested dictionaries of floats, as `dvc metrics` reads them.
        left_out: the name of each measure that could not be computed, and why.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.left_out: dict[str, str] = {}

    def measure(self, name: str, compute: Callable[[], Measured]) -> None:
        """Put what `compute` returns under `name`; a measure that cannot be taken is noted."""
        try:
            found = compute()
        except Unmeasurable as reason:
            self.leave_out(name, str(reason))
            return
        *parents, last = name.split(".")
        place = self.values
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = found

    def measure_all(self, compute: Callable[[], Mapping[str, Measured]], *, name: str) -> None:
        """Put each figure that `compute` returns under its own name, all or none of them.

        Args:
            name: what to call them together if they cannot be taken.
        """
        try:
            found = compute()
        except Unmeasurable as reason:
            self.leave_out(name, str(reason))
            return
        self.values |= found

    def leave_out(self, name: str, reason: str) -> None:
        """Note a measure that this run cannot take."""
        self.left_out[name] = reason
