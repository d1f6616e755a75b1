"""The figures of two runs: which moved beyond chance, which within it, which nobody can say of."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any

from apps.review.bounds import ceiling_of, floor_of, is_bound
from apps.review.settings import unique
from apps.review.trees import Tree
from apps.runs import figures_of
from pipeline.errors import UserError
from pipeline.evaluation.headlines import HEADLINES, Better, better
from pipeline.evaluation.spread import Difference, Spread, compare, flatten

METRICS, PROVENANCE, SPREAD = "metrics", "metrics/provenance.json", "docs/spread.json"


class Verdict(IntEnum):
    """What a difference says, in the order in which a reviewer wants to see it."""

    NOT_A_NUMBER = 0
    VANISHED = 1
    WORSE = 2
    BETTER = 3
    BEYOND = 4  # beyond chance, and neither way is better
    NEW = 5
    UNKNOWN = 6  # nobody measured its spread
    WITHIN = 7


@dataclass(frozen=True)
class Row:
    """One figure that differs.

    Attributes:
        floor, ceiling: of the run after (else before); None: it has none, or it was not measured.
        headline: is it one of the figures that a reviewer sees first?
    """

    difference: Difference
    better: Better
    floor: float | None
    ceiling: float | None
    headline: bool

    @property
    def verdict(self) -> Verdict:
        """What the difference says."""
        before, after = self.difference.before, self.difference.after
        if any(value is not None and not math.isfinite(value) for value in (before, after)):
            return Verdict.NOT_A_NUMBER  # no comparison with it is ever true
        if before is None or after is None:
            return Verdict.NEW if before is None else Verdict.VANISHED
        if self.difference.beyond_chance is None:
            return Verdict.UNKNOWN
        if not self.difference.beyond_chance:
            return Verdict.WITHIN
        if self.better == "neither":
            return Verdict.BEYOND
        return Verdict.BETTER if (after > before) == (self.better == "higher") else Verdict.WORSE


@dataclass(frozen=True)
class Figures:
    """What a run measured.

    Attributes:
        values: every figure by its full name, `part.measure`.
        headlines: those of metrics/*.json, in the order of importance.
        disputed: of which metrics/*.json say something else than the table of all figures.
    """

    values: Mapping[str, float]
    headlines: list[str]
    disputed: list[str]


def read_run(tree: Tree) -> Figures:
    """All that a run measured: metrics/figures.tsv, and what only metrics/*.json hold.

    Raises:
        UserError: a file is damaged.
    """
    table = figures_of(tree) or {}
    headlines: dict[str, float] = {}
    for path in tree.names(METRICS):
        if path.endswith(".json") and path != PROVENANCE:
            headlines |= _metrics(tree, path)
    known = [f"{part}.{name}" for part, names in HEADLINES.items() for name in names]
    first = [name for name in known if name in table or name in headlines]
    disputed = [name for name, value in headlines.items() if table.get(name, value) != value]
    others = [name for name in headlines if name not in known]
    return Figures({**headlines, **table}, [*first, *others], disputed)


def _metrics(tree: Tree, path: str) -> dict[str, float]:
    """The numbers of a metrics file by their full names."""
    content = read_json(tree, path)
    part = path.removeprefix(f"{METRICS}/").removesuffix(".json")
    try:
        pairs = list(flatten(content if isinstance(content, dict) else {}, before=f"{part}."))
    except (OverflowError, RecursionError):
        raise UserError(f"{tree.name}: {path} holds no metrics") from None
    return unique(pairs, where=f"{tree.name}: {path}")


def differing(before: Figures, after: Figures, spread: Spread | None) -> list[Row]:
    """The figures that differ: by what they say, then headlines first, in their order."""
    order = list(dict.fromkeys([*after.headlines, *before.headlines]))
    place = {name: number for number, name in enumerate(order)}
    rows = [
        _row(found, before, after, headline=found.name in place)
        for found in compare(before.values, after.values, spread)
        if found.before != found.after  # true of NaN, too
    ]
    last = len(place)
    return sorted(rows, key=lambda r: (r.verdict, place.get(r.difference.name, last)))


def _row(found: Difference, before: Figures, after: Figures, *, headline: bool) -> Row:
    part, _, measure = found.name.partition(".")
    figures = {**before.values, **after.values}
    return Row(
        found,
        better(measure) if part in HEADLINES and not is_bound(found.name) else "neither",
        floor_of(found.name, figures),
        ceiling_of(found.name, figures),
        headline,
    )


def read_spread(tree: Tree) -> Spread | None:
    """How far runs of the same settings lie apart, as a run knows it; None: nobody measured it.

    Raises:
        UserError: the file is damaged.
    """
    content = read_json(tree, SPREAD)
    if content is None:
        return None
    try:
        every = {str(name): float(sd) for name, sd in content["deviations"].items()}
        runs = int(content["runs"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{tree.name}: {SPREAD} holds no spread") from None
    # A margin that is no number would call every change a chance.
    usable = {name: sd for name, sd in every.items() if math.isfinite(sd) and sd >= 0}
    return Spread(usable, runs) if usable and runs > 1 else None


def read_json(tree: Tree, path: str) -> Any:
    """A JSON file of a run; None where it is not there.

    Raises:
        UserError: it is no JSON.
    """
    content = tree.read(path)
    if content is None:
        return None
    where = f"{tree.name}: {path}"
    try:
        return json.loads(content, object_pairs_hook=partial(unique, where=where))
    except (ValueError, RecursionError):
        raise UserError(f"{where} is no JSON") from None


def count(rows: Iterable[Row], *verdicts: Verdict) -> int:
    """How many of the rows say one of these."""
    return sum(row.verdict in verdicts for row in rows)
