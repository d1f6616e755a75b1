"""The table of ablations: each row is another run than the first, and shares what it can."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ablation_rows import BUDGET, ROWS, Row
from benchmarks.ablations import Settings, draw_curves, table
from pipeline.params import read_yaml

PARAMS = read_yaml(Path(__file__).parents[1] / "params.yaml")
BASE = Settings(PARAMS, ROWS[0], 0)


def parts(settings: Settings) -> dict[str, list[Any]]:
    """What each part of a row depends on, and how it draws."""
    return {
        "vqvae": settings.of_vqvae,
        "decoder": settings.of_decoder,
        "codes": settings.of_codes,
        "prior": settings.of_prior,
        "drawing": [settings["generate"]],
    }


def changed(row: Row) -> set[str]:
    """The parts of a row that are others than the first row's."""
    before = parts(BASE)
    return {part for part, now in parts(Settings(PARAMS, row, 0)).items() if now != before[part]}


@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row.name)
def test_a_row_changes_something_that_there_is(row: Row) -> None:
    for key in (*row.settings, *BUDGET):
        reduce(lambda section, name: section[name], key.split("."), PARAMS)
    assert changed(row)


def test_what_a_change_does_not_touch_is_shared() -> None:
    touched = {row.name: changed(row) for row in ROWS}
    assert touched["cold"] == {"drawing"}
    assert touched["narrow"] == {"decoder"}
    assert touched["pooled"] == touched["diffusion"] == {"prior"}
    assert touched["two-views"] == {"codes", "prior"}
    assert touched["fsq"] == touched["quarter"] == {"vqvae", "decoder", "codes", "prior"}


def test_another_seed_shares_nothing_that_was_trained() -> None:
    other = parts(Settings(PARAMS, ROWS[0], 1))
    assert all(other[part] != of for part, of in parts(BASE).items() if part != "drawing")


def test_rows_are_told_apart() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len({(row.part, row.change) for row in ROWS}) == len(ROWS)
    assert len({str(parts(Settings(PARAMS, row, 0))) for row in ROWS}) == len(ROWS)


def test_a_table_has_what_was_measured_and_its_spread() -> None:
    keys = ("psnr", "bits", "redrawn.kid", "kid", "precision", "recall", "coverage", "seconds")
    found = [
        {"row": row, "seed": seed, "all": right, **dict.fromkeys(keys, 1.0)}
        for row, seed, right in (
            ("base", 0, 0.5), ("base", 2, 0.7), ("cold", 0, 0.6), ("pooled", 0, 0.25),
            ("pooled", 2, 0.55), ("narrow", 1, 0.9),
        )
    ]  # fmt: skip
    lines = table(found, (("all right", "all", 3),)).splitlines()
    assert len(lines) == 5  # none of seed 1, which the others cannot be compared with
    assert lines[2].startswith("| nothing | as committed, with this budget | 2 | 1.00 ± 0.00 |")
    assert "| 0.600 ± 0.141 | +0.000 ± 0.000 |" in lines[2]
    assert "| 0.400 ± 0.212 | -0.200 ± 0.071 |" in lines[3]
    assert "| temperature | 0.8 | 1 | 1.00 |" in lines[4]
    assert "| 0.600 | +0.100 |" in lines[4]


def test_what_pictures_bring_is_drawn_of_what_there_is(tmp_path: Path) -> None:
    columns = (("all right", "all", 3),)
    first = {"row": "base", "all": 0.9, "kid": 1.0, "redrawn.kid": 0.8}
    second = {"row": "quarter", "all": 0.6, "kid": 2.0, "redrawn.kid": 0.9}
    for name, found in (("one", [first]), ("both", [first, second]), ("again", [second, first])):
        draw_curves(found, columns, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "both.png").read_bytes()
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "both.png").read_bytes()
