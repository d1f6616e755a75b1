"""Two runs side by side: which of their figures differ by more than chance makes them differ.

A figure moves from training seed to training seed, and from draw to draw. Its spread over a few
such runs says how far two runs of the *same* settings lie apart, and only what is further apart
than that speaks for one of two settings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from pipeline.errors import UserError
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.files import write_json

LEVEL = 0.95


def flatten(metrics: Mapping[str, Any], *, before: str = "") -> Iterator[tuple[str, float]]:
    """Nested metrics as dotted names and numbers, in their order; what is no number is left out.

    Args:
        metrics: as read from a metrics file: dictionaries, numbers, and what else may be there.
        before: what each name begins with.
    """
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            yield from flatten(value, before=f"{before}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{key}", float(value)


@dataclass(frozen=True)
class Spread:
    """How far runs of the same settings lie apart.

    Attributes:
        deviations: the standard deviation of each figure over runs, by its dotted name.
        runs: how many runs they were taken from.
        commit: whose settings they had; empty where nobody wrote it down.
    """

    deviations: Mapping[str, float]
    runs: int
    commit: str = ""

    @classmethod
    def of(cls, runs: Sequence[Mapping[str, float]], *, commit: str = "") -> Spread:
        """Take the spread of each figure that all `runs` of a commit have, of flat metrics.

        Raises:
            Unmeasurable: there are fewer than two runs.
        """
        if len(runs) < 2:
            raise Unmeasurable("a spread takes at least two runs")
        shared = [name for name in runs[0] if all(name in run for run in runs)]
        deviations = {name: float(np.std([run[name] for run in runs], ddof=1)) for name in shared}
        return cls(deviations, len(runs), commit)

    def save(self, path: Path) -> None:
        """Write it to a JSON file."""
        content = {"commit": self.commit, "runs": self.runs, "deviations": dict(self.deviations)}
        write_json(path, content)

    @classmethod
    def load(cls, path: Path) -> Spread | None:
        """Read what `save` wrote; None where nothing was.

        Raises:
            UserError: the file holds something else.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            deviations = {str(name): float(sd) for name, sd in content["deviations"].items()}
            return cls(deviations, int(content["runs"]), str(content.get("commit", "")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path}: damaged; `python -m apps.spread` makes it again") from None

    def margin(self, name: str) -> float | None:
        """What two runs of the same settings differ by at most, 95 times in 100; None: unknown.

        A difference of two has the deviation sqrt(2) s, and s itself is a guess from few runs,
        which Student's t pays for: 6.1 s of three runs, 3.9 s of five, 2.8 s of endless ones. The
        plain 2 sqrt(2) s would cover 82 % with three runs. Of forty figures that are the same, two
        fall outside by chance.
        """
        if name not in self.deviations:
            return None
        quantile = float(t.ppf((1 + LEVEL) / 2, self.runs - 1))
        return quantile * math.sqrt(2) * self.deviations[name]


@dataclass(frozen=True)
class Difference:
    """One figure of two runs.

    Attributes:
        name: the figure's dotted name.
        before, after: its values; None where a run does not have it.
        margin: what chance makes two such runs differ by; None where that was never measured.
    """

    name: str
    before: float | None
    after: float | None
    margin: float | None

    @property
    def change(self) -> float | None:
        """after - before, where both are there."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def beyond_chance(self) -> bool | None:
        """Is the change larger than chance makes it; None: that cannot be said."""
        if self.change is None or self.margin is None:
            return None
        return abs(self.change) > self.margin


def compare(
    before: Mapping[str, float], after: Mapping[str, float], spread: Spread | None
) -> Iterator[Difference]:
    """Each figure of two runs, in the order of `after`, then those that only `before` has.

    Args:
        before, after: flat metrics of one run each.
        spread: over runs of the same settings; None: it was never measured.
    """
    for name in [*after, *(name for name in before if name not in after)]:
        margin = None if spread is None else spread.margin(name)
        yield Difference(name, before.get(name), after.get(name), margin)
