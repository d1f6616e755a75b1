"""Each row of the table of ablations is another run than the first."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import pytest
import yaml

from benchmarks.ablations import BUDGET, ROWS, Row
from pipeline.params import read_yaml

PARAMS = read_yaml(Path(__file__).parents[1] / "params.yaml")


def in_params(key: str) -> object:
    return reduce(lambda section, name: section[name], key.split("."), PARAMS)


def values(flags: tuple[str, ...]) -> dict[str, object]:
    """What flags set, by key."""
    given = (flag.split("=", 1) for flag in flags)
    return {key: yaml.safe_load(value) for key, value in given}


@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row.name)
def test_a_row_changes_something(row: Row) -> None:
    changes, budget = values(row.flags), values(BUDGET)
    assert changes
    for key, value in changes.items():
        before = in_params(key)  # raises where there is no such key
        assert budget.get(key, before) != value


def test_rows_are_told_apart() -> None:
    assert ROWS[0].flags == ()
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len({row.flags for row in ROWS}) == len(ROWS)
