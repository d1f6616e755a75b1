"""Near-duplicates: other sizes, colours, scans, crops are found; other pictures are left alone."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from image_server import encoded, paint
from PIL import Image, ImageEnhance, ImageOps

from pipeline.data.decoding import decode_image
from pipeline.download import windows
from pipeline.download.dedupe import Signatures, hash_of, near_duplicate_groups

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "pomological" / "images"
DISTANCE = 16


def groups_of(images: Sequence[Image.Image], folder: Path) -> list[int]:
    signatures = Signatures(max(len(images), 1), folder)
    for row, image in enumerate(images):
        signatures.hashes[row], signatures.thumbnails[row] = (
            hash_of(image),
            windows.thumbnail(image),
        )
    rows = np.arange(len(images))
    groups: list[int] = near_duplicate_groups(signatures, rows, DISTANCE).tolist()
    return groups


def crop(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    w, h = image.size
    return image.crop(
        (round(left * w), round(top * h), round((1 - right) * w), round((1 - bottom) * h))
    )


def scan(image: Image.Image) -> Image.Image:
    """Another scan: cropped a little, other contrast and colour, larger, compressed."""
    image = ImageEnhance.Contrast(crop(image, 0.01, 0.02, 0.015, 0.005)).enhance(1.15)
    image = ImageEnhance.Color(image).enhance(0.8).resize((300, 280), Image.Resampling.BICUBIC)
    return decode_image(encoded(image, quality=60), max_pixels=10**6)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "compressed": lambda i: decode_image(encoded(i, quality=20), max_pixels=10**6),
    "half the size": lambda i: i.resize((i.width // 2, i.height // 2), Image.Resampling.BICUBIC),
    "darker": lambda i: ImageEnhance.Brightness(i).enhance(0.75),
    "turned a little": lambda i: i.rotate(1, resample=Image.Resampling.BICUBIC),
    "framed": lambda i: ImageOps.expand(i, border=5, fill=(90, 70, 40)),
    "another scan": scan,
    "cropped by 5 %": lambda i: crop(i, 0.05, 0.05, 0.05, 0.05),
    "cropped by 10 %": lambda i: crop(i, 0.1, 0.1, 0.1, 0.1),
    "cropped at one corner": lambda i: crop(i, 0.1, 0.0, 0.0, 0.12),
}


@pytest.mark.parametrize("few", [windows.FEW, 1], ids=["by comparing all", "by sketches"])
@pytest.mark.parametrize("change", list(CHANGES))
def test_the_same_picture_is_found_again(
    change: str, few: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(windows, "FEW", few)
    originals = [paint(f"{n}", size=160) for n in range(30)]
    changed = [CHANGES[change](image) for image in originals]
    groups = groups_of([*originals, *changed], tmp_path)
    assert groups == [*range(30), *range(30)]


def test_different_real_paintings_that_look_alike_are_left_apart(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("needs ../shared/data/pomological")
    files = sorted(REAL.iterdir())[:500]
    images = [decode_image(file.read_bytes(), max_pixels=10**6) for file in files]
    groups = groups_of(images, tmp_path)
    sizes = np.bincount(groups)
    assert (sizes > 1).sum() <= 2
    assert sizes.max() <= 2


def test_plain_and_tiny_pictures_make_no_trouble(tmp_path: Path) -> None:
    images = [Image.new("RGB", size, "white") for size in ((1, 1), (1, 500), (64, 64))]
    groups = groups_of(images, tmp_path)
    assert groups == [0, 0, 0]
    assert groups_of(images[:1], tmp_path) == [0]
    assert groups_of([], tmp_path) == []


def test_what_pictures_are_compared_by_is_on_the_disk_and_leaves_no_file(tmp_path: Path) -> None:
    tracemalloc.start()
    signatures = Signatures(20_000, tmp_path)
    signatures.hashes[19_999], signatures.thumbnails[19_999] = hash_of(paint("a")), 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert signatures.thumbnails.nbytes > 80_000_000 > 4_000_000 > peak
    assert not list(tmp_path.iterdir())
