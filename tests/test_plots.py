"""Pictures of results: right places, same bytes, small files."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation.plots import comparison_grid, image_grid, scatter, write_png


def pictures(count: int, side: int = 16, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_a_grid_holds_every_picture_pixel_for_pixel() -> None:
    images = pictures(5)
    page = np.asarray(image_grid(images, None, columns=2, scale=3))
    assert page.shape == (10 + 3 * (48 + 10), 10 + 2 * (48 + 10), 3)
    for i, image in enumerate(images):
        y, x = 10 + i // 2 * 58, 10 + i % 2 * 58
        assert np.array_equal(page[y : y + 48 : 3, x : x + 48 : 3], image)
        assert np.array_equal(page[y + 2 : y + 48 : 3, x + 2 : x + 48 : 3], image)


def test_long_captions_are_wrapped_and_cut_inside_their_column() -> None:
    images = np.zeros((2, 32, 32, 3), np.uint8)
    long = "incomprehensibilities of a ship " * 20
    page = np.asarray(image_grid(images, [long, ""], columns=2, scale=3))
    under = page[10 + 96 :]
    assert (under[:, 10 : 10 + 96] < 200).any()
    assert (under[:, 10 + 96 + 4 :] == 255).all()  # the other picture has no caption
    assert (page[:, :8] == 255).all()
    short = image_grid(images, ["a ship", ""], columns=2, scale=3)
    assert short.height == page.shape[0] - 2 * 16


def test_letters_of_many_languages_are_drawn() -> None:
    images = np.zeros((1, 64, 64, 3), np.uint8)
    for caption in ("Fluß", "œuf", "Κήπος", "закат"):
        assert (np.asarray(image_grid(images, [caption], columns=1, scale=2))[140:] < 128).any()


def test_rows_that_belong_together_stand_one_above_the_other_in_blocks() -> None:
    first, second = pictures(5), pictures(5, seed=1)
    rows = {"original": first, "painted\nagain": second}
    page = np.asarray(comparison_grid(rows, [f"{i}" for i in range(5)], columns=3, scale=2))
    ink = (page != 255).any(axis=2)
    title_end = next(x for x in range(page.shape[1]) if np.array_equal(page[10, x], first[0, 0, 0]))
    block = page.shape[0] // 2
    for i in range(5):
        x, y = title_end + i % 3 * 42, 10 + i // 3 * block
        assert np.array_equal(page[y : y + 32 : 2, x : x + 32 : 2], first[i])
        y += 32 + 5
        assert np.array_equal(page[y : y + 32 : 2, x : x + 32 : 2], second[i])
        assert ink[y + 32 + 3 : y + 32 + 18, x : x + 32].any()


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="2 pictures, 1 captions"):
        image_grid(pictures(2), ["one"], columns=2, scale=1)
    with pytest.raises(ValueError, match="pictures"):
        image_grid(pictures(0), None, columns=2, scale=1)
    with pytest.raises(ValueError, match="float64"):
        image_grid(pictures(1) / 255.0, None, columns=2, scale=1)
    with pytest.raises(ValueError, match="same shape"):
        comparison_grid({"a": pictures(1), "b": pictures(2)}, columns=2, scale=1)


def draw_all(folder: Path) -> dict[str, bytes]:
    points = np.random.default_rng(0).normal(size=(60, 2))
    labels = [f"label {i % 20}" if i % 3 else "" for i in range(60)]
    scatter(folder / "scatter.png", points, labels, title="Latents", axes=("x", "y"))
    write_png(folder / "grid.png", image_grid(pictures(4), list("abcd"), columns=2, scale=2))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_data_gives_the_same_bytes_whatever_the_settings(tmp_path: Path) -> None:
    first = draw_all(tmp_path / "first")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert draw_all(tmp_path / "second") == first
    assert sorted(first) == ["grid.png", "scatter.png"]
    for name in first:
        with Image.open(tmp_path / "first" / name) as image:
            assert image.info.keys() <= {"transparency", "dpi"}
            assert image.mode == "P"


def test_a_scatter_without_labels_or_points_is_drawn(tmp_path: Path) -> None:
    scatter(tmp_path / "a.png", np.ones((3, 2)), ["", "", ""], title="t", axes=("x", "y"))
    scatter(tmp_path / "b.png", np.empty((0, 2)), [], title="t", axes=("x", "y"))
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError, match="1 labels"):
        scatter(tmp_path / "d.png", np.ones((3, 2)), ["a"], title="t", axes=("x", "y"))


def test_a_grid_of_64_pictures_is_small_and_close_to_true_colours(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    patches = generator.integers(30, 226, (64, 8, 8, 3), dtype=np.uint8)
    soft = [Image.fromarray(p).resize((64, 64), Image.Resampling.BICUBIC) for p in patches]
    grain = generator.normal(0, 4, (64, 64, 64, 1))
    images = np.clip(np.stack(soft) + grain, 0, 255).astype(np.uint8)
    page = image_grid(images, ["a ship in a storm"] * 64, columns=8, scale=2)
    write_png(tmp_path / "grid.png", page)
    assert (tmp_path / "grid.png").stat().st_size < 300_000
    with Image.open(tmp_path / "grid.png") as written:
        error = np.asarray(written.convert("RGB")).astype(float) - np.asarray(page)
    assert np.sqrt(np.square(error).mean()) < 16  # of 255, for more colours than any painting has
