"""What cannot be drawn is named, and its table is there all the same: DVC expects it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.evaluation.drawings import draw_latents


def test_latents_too_few_to_draw_leave_a_table_without_rows(tmp_path: Path) -> None:
    tables, pictures = tmp_path / "tables", tmp_path / "pictures"
    tables.mkdir()
    pictures.mkdir()
    latents = np.random.default_rng(0).normal(size=(4, 6))
    left_out = draw_latents(
        latents,
        ["a", "b", "a", ""],
        ["1.png", "2.png", "3.png", "4.png"],
        tables=tables,
        pictures=pictures,
        seed=0,
    )
    assert left_out == {"latents.tsne": "t-SNE takes at least five pictures"}
    assert (tables / "tsne.tsv").read_text() == "x\ty\tlabel\timage\n"
    assert len((tables / "pca.tsv").read_text().splitlines()) == 5
    assert sorted(p.name for p in pictures.iterdir()) == ["latents_pca.png", "latents_tsne.png"]
