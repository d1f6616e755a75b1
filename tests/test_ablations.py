"""Each row of the table of ablations is another run than the first."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import pytest
import yaml

from benchmarks.ablations import BUDGET, ROWS, Row
from pipeline.params import read_yaml

PARAMS = read_yaml(Path(__file__).parents[1] / "params.yaml")


def values(flags: tuple[str, ...]) -> dict[str, object]:
    """What flags set, by key; they name keys of params.yaml alone."""
    given = dict(flag.split("=", 1) for flag in flags)
    for key in given:
        reduce(lambda section, name: section[name], key.split("."), PARAMS)  # raises
    return {key: yaml.safe_load(value) for key, value in given.items()}


def in_base(key: str) -> object:
    return values(BUDGET).get(key, reduce(lambda part, name: part[name], key.split("."), PARAMS))


@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row.name)
def test_a_row_changes_something(row: Row) -> None:
    changes = values(row.flags)
    assert changes
    assert all(in_base(key) != value for key, value in changes.items())


def test_rows_are_told_apart() -> None:
    assert ROWS[0].flags == ()
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len({row.flags for row in ROWS}) == len(ROWS)
