"""Pixels on the disk: decoded and resized once, read by the row, each file's damage named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from image_server import encoded, paint
from PIL import Image

from pipeline.data import picture_shards, pixels
from pipeline.data.images import content_name, square
from pipeline.data.mapped_images import MappedImages
from pipeline.data.picture_shards import shards_in, write_shards
from pipeline.data.pixels import Pixels
from pipeline.data.resizing import join_shards, resize_shard
from pipeline.errors import UserError

KINDS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}


def stored(folder: Path, image: Image.Image, kind: str) -> str:
    data = encoded(image, kind)
    name = f"{content_name(data)}.{KINDS[kind]}"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return name


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> tuple[Path, list[str]]:
    """A folder with two shards of pictures at two sizes, and their names in order."""
    root = tmp_path_factory.mktemp("pictures")
    kinds = list(KINDS)
    names = [stored(root / "files", paint(f"{n}"), kinds[n % 3]) for n in range(7)]
    cut = pytest.MonkeyPatch()
    cut.setattr(picture_shards, "shards", lambda keys: [range(4), range(4, 7)])
    write_shards(root / "images", ((name, root / "files" / name) for name in names))
    cut.undo()
    parts = [root / "parts" / shard.stem for shard in shards_in(root / "images")]
    for shard, part in zip(shards_in(root / "images"), parts, strict=True):
        resize_shard(shard, part, [16, 24])
    join_shards(parts, {root / "small": 16, root / "large": 24, root / "small_too": 16})
    return root, names


def copied(known, tmp_path: Path) -> Path:
    """A copy of the folder of small pictures, of files of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    for file in (known[0] / "small").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.mark.parametrize(("folder", "size"), [("small", 16), ("large", 24), ("small_too", 16)])
def test_pictures_come_back_as_squares_in_any_order(known, folder: str, size: int):
    root, names = known
    found = Pixels.open(root / folder, size)
    asked = [names[6], names[0], names[5], names[0], names[3]]
    wanted = [square(Image.open(root / "files" / name).convert("RGB"), size) for name in asked]
    assert len(found) == 7
    assert np.array_equal(found[found.rows(asked)], np.stack(wanted))
    assert found[found.rows([])].shape == (0, size, size, 3)


def test_some_of_them_are_indexed_as_a_tensor_is(known):
    root, names = known
    found = Pixels.open(root / "small", 16)
    some = MappedImages.of(found, names[1:6])
    memory = torch.from_numpy(found[found.rows(names[1:6])])
    assert len(some) == 5
    for rows in (torch.tensor([4, 0, 0]), torch.arange(5).split(2)[1], slice(None), slice(1, 3)):
        assert torch.equal(some[rows], memory[rows])
    assert some[torch.arange(0)].shape == (0, 16, 16, 3)


def test_the_same_shards_make_the_same_bytes(known, tmp_path: Path):
    root, _ = known
    for shard in shards_in(root / "images"):
        resize_shard(shard, tmp_path / shard.stem, [24, 16])
        again = {file.name: file.read_bytes() for file in (tmp_path / shard.stem).iterdir()}
        first = root / "parts" / shard.stem
        assert again == {file.name: file.read_bytes() for file in first.iterdir()}


def test_what_is_written_is_what_numpy_saves(known):
    root, names = known
    loaded = np.load(root / "small" / "00001.npy")
    found = Pixels.open(root / "small", 16)
    assert np.array_equal(loaded, found[found.rows(names[4:])])
    assert loaded.dtype == np.uint8


def test_shards_that_are_not_read_for_long_are_let_go_and_checked_but_once(
    known, monkeypatch: pytest.MonkeyPatch
):
    root, names = known
    looked_at: list[str] = []
    check = pixels.check_file
    monkeypatch.setattr(
        pixels, "check_file", lambda file, sum: looked_at.append(file.name) or check(file, sum)
    )
    monkeypatch.setattr(pixels, "MAPPED", 1)
    found = Pixels.open(root / "small", 16)
    assert looked_at == ["names.npy", "rows.npy"]
    for name in (names[0], names[6], names[1], names[5]):
        found[found.rows([name])]
        assert len(found._maps) == 1
    assert looked_at[2:] == ["00000.npy", "00001.npy"]


def test_a_picture_that_is_not_there_is_named(known):
    found = Pixels.open(known[0] / "small", 16)
    longer = known[1][2] + "x"
    for name in ("0.png", "zzzz.jpg", longer, ""):
        with pytest.raises(UserError, match=rf"small: no picture {name}; run resize_images"):
            found.rows([known[1][0], name])


@pytest.mark.parametrize("name", ["00001.npy", "names.npy", "rows.npy", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_to_any_file_is_named_before_a_picture_comes_of_it(
    known, tmp_path: Path, name: str, damage: str
):
    folder = copied(known, tmp_path)
    file, content = folder / name, bytearray((folder / name).read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 4
    file.write_bytes(content[: -9 if damage == "cut" else None])
    if damage == "remove":
        file.unlink()
    with pytest.raises(UserError, match=r"^[^\n]*small[^\n]*$"):
        found = Pixels.open(folder, 16)
        found[found.rows(known[1])]


def test_pictures_of_another_size_are_refused(known, tmp_path: Path):
    with pytest.raises(UserError, match="small: pictures of 16 pixels, expected 24"):
        Pixels.open(known[0] / "small", 24)
    with pytest.raises(UserError, match="no such folder; resize_images makes it"):
        Pixels.open(tmp_path / "none", 24)


def test_a_damaged_picture_leaves_nothing_that_looks_whole(known, tmp_path: Path):
    shard = shards_in(known[0] / "images")[0]
    broken = bytearray(shard.read_bytes())
    broken[700] ^= 1
    (tmp_path / "00000.tar").write_bytes(broken)
    with pytest.raises(UserError, match=r"00000\.tar: [0-9a-f]+\.png: damaged"):
        resize_shard(tmp_path / "00000.tar", tmp_path / "part", [16])
    assert [path.name for path in tmp_path.iterdir()] == ["00000.tar"]
