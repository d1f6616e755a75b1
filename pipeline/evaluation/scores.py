"""The figures of one part of the evaluation: by name, and what could not be measured, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.evaluation.unmeasurable import Unmeasurable

Figures = Iterable[tuple[str, float]]  # what a measure yields: a name, dots for nesting, a value
ENDS = ("_low", "_high")  # of the 95 % interval of the figure whose name comes before


@dataclass(frozen=True)
class Figure:
    """One figure, with its 95 % interval and the number of things it is of, where they are told."""

    name: str
    value: float
    low: float | None
    high: float | None
    n: int | None


class Scores:
    """Figures by dotted names.

    Attributes:
        values: every figure, ends of intervals and counts (`…n`) among them.
        left_out: the name of each measure that could not be taken, and why.
    """

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.left_out: dict[str, str] = {}

    def take(self, name: str, figures: Figures, *, under: str | None = None) -> None:
        """Take in a measure's figures, all or none of them.

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
        self.values |= {".".join(filter(None, (before, key))): value for key, value in found}

    def leave_out(self, name: str, reason: str) -> None:
        """Note a measure that this run cannot take."""
        self.left_out[name] = reason

    def figures(self) -> Iterator[Figure]:
        """Every figure with what belongs to it: its interval, and the nearest count above it."""
        for name, value in self.values.items():
            if name.endswith(ENDS) or name.rpartition(".")[2] == "n":
                continue
            low, high = (self.values.get(f"{name}{end}") for end in ENDS)
            parents = [name, *(name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)), ""]
            counts = (self.values.get(f"{parent}.n".lstrip(".")) for parent in parents)
            n = next((int(count) for count in counts if count is not None), None)
            yield Figure(name, value, low, high, n)

    def nested(self, names: Sequence[str]) -> dict[str, Any]:
        """Those of the figures `names` that were taken, nested at their dots, as DVC reads them."""
        nested: dict[str, Any] = {}
        for name in names:
            if name in self.values:
                *parents, last = name.split(".")
                place = nested
                for parent in parents:
                    place = place.setdefault(parent, {})
                place[last] = self.values[name]
        return nested


def of_group(group: str, figures: Figures) -> Figures:
    """The figures with a dot and `group` behind their names, before `_low` and `_high`."""
    for name, value in figures:
        end = next((end for end in ENDS if name.endswith(end)), "")
        yield f"{name.removesuffix(end)}.{group}{end}", value


def prefixed(before: str, figures: Figures) -> Figures:
    """The figures with `before` and a dot in front of their names."""
    return ((f"{before}.{name}" if name else before, value) for name, value in figures)
