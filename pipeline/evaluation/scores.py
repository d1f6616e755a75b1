"""One metrics file in the making: figures by name, and what could not be measured, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.evaluation.unmeasurable import Unmeasurable

Figures = Iterable[tuple[str, float]]  # what a measure yields: a name, dots for nesting, a value


class Scores:
    """Figures by dotted names.

    Attributes:
        values: nested dictionaries of floats, as `dvc metrics` reads them.
        left_out: the name of each measure that could not be taken, and why.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.left_out: dict[str, str] = {}

    def take(self, name: str, figures: Figures, *, under: str | None = None) -> None:
        """Put a measure's figures in place, all or none of them.

        Args:
            name: of the measure, should it be `Unmeasurable`.
            figures: what it yields; a generator does its work here.
            under: what stands before the figures' names; None: `name`, "": nothing.
        """
        try:
            found = list(figures)
        except Unmeasurable as reason:
            self.leave_out(name, str(reason))
            return
        before = name if under is None else under
        for figure, value in found:
            *parents, last = ".".join(filter(None, (before, figure))).split(".")
            place = self.values
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value

    def leave_out(self, name: str, reason: str) -> None:
        """Note a measure that this run cannot take."""
        self.left_out[name] = reason


def prefixed(before: str, figures: Figures) -> Figures:
    """The figures with `before` and a dot in front of their names."""
    return ((f"{before}.{name}" if name else before, value) for name, value in figures)
