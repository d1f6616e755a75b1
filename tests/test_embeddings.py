"""Folders of embeddings: what goes in comes out, by name, in the same bytes, out of any shards."""

from __future__ import annotations

import shutil
from pathlib import Path

import blips
import embedded
import pytest
import torch

from pipeline.data.condition import TextCondition
from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.mapped import Chosen, MappedRows
from pipeline.data.row_index import Distinct, RowIndex
from pipeline.errors import UserError
from pipeline.extraction import embed_pictures, embed_texts
from pipeline.models.blip import Blip

NAMES = ["ö\n.jpg", "a.png"]
VECTORS = torch.tensor([[0.6, 0.8], [1.0, 0.0]])
CONDITION = TextCondition(
    pooled=torch.eye(3),
    tokens=torch.arange(24).view(3, 4, 2) * torch.tensor([4, 2, 1])[:, None, None].ge(
        torch.arange(1, 5)[None, :, None]
    ).float(),
    mask=torch.tensor([[True] * 4, [True, True, False, False], [True, False, False, False]]),
)  # fmt: skip
TEXTS = ["塩", 'A "red" ship\u2028', "Äpfel"]


@pytest.mark.parametrize("of_each", [1, 2, 3])
def test_what_was_written_is_read_whatever_the_shards(tmp_path: Path, of_each: int):
    embedded.write_pictures(tmp_path / "images", NAMES, VECTORS, of_each=of_each)
    embedded.write_texts(tmp_path / "texts", TEXTS, CONDITION, of_each=of_each)
    images, texts = (
        ImageEmbeddings.open(tmp_path / "images"),
        TextEmbeddings.open(tmp_path / "texts"),
    )
    assert torch.equal(images.vectors[images.rows(NAMES[::-1])], VECTORS.flip(0))
    assert (len(texts.condition), texts.condition.text_dim, texts.condition.token_dim) == (3, 3, 2)
    rows = texts.rows([TEXTS[2], TEXTS[0], TEXTS[2]])
    found, expected = texts.condition[rows], CONDITION[torch.tensor([2, 0, 2])]
    for name in ("pooled", "tokens", "mask"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == getattr(expected, name).dtype


def test_the_same_embeddings_are_the_same_bytes(tmp_path: Path):
    for name in ("first", "second"):
        embedded.write_texts(tmp_path / name, TEXTS, CONDITION, of_each=2)
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files == [
        "00000.safetensors", "00001.safetensors", "index.safetensors", "manifest.json",
    ]  # fmt: skip
    for name in files:
        first, second = (tmp_path / folder / name for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_a_text_or_picture_without_an_embedding_is_named(tmp_path: Path):
    embedded.write_pictures(tmp_path / "images", NAMES, VECTORS)
    embedded.write_texts(tmp_path / "texts", TEXTS, CONDITION)
    images, texts = (
        ImageEmbeddings.open(tmp_path / "images"),
        TextEmbeddings.open(tmp_path / "texts"),
    )
    assert texts.rows([]).dtype == torch.int64
    with pytest.raises(UserError, match=r"no embedding of the text 'pears'; run"):
        texts.rows([TEXTS[1], "pears", "plums"])
    with pytest.raises(UserError, match="of the picture 'b.png'"):
        images.rows(["b.png"])


def test_missing_or_damaged_embeddings_are_named_in_one_line(tmp_path: Path):
    with pytest.raises(UserError, match="none: no embeddings; extract_embeddings makes them"):
        TextEmbeddings.open(tmp_path / "none")
    embedded.write_texts(tmp_path / "texts", TEXTS, CONDITION, of_each=2)
    files = {"00001.safetensors": "00001", "index.safetensors": "index", "manifest.json": ""}
    for number, (name, said) in enumerate(files.items()):
        broken = tmp_path / f"broken {number}"
        shutil.copytree(tmp_path / "texts", broken)
        content = bytearray((broken / name).read_bytes())
        content[-9] ^= 1
        (broken / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"^[^\n]*{said}[^\n]*damaged[^\n]*$"):
            TextEmbeddings.open(broken)
    (tmp_path / "broken 0" / "00001.safetensors").unlink()
    with pytest.raises(UserError, match="00001.safetensors: missing"):
        TextEmbeddings.open(tmp_path / "broken 0")
    with pytest.raises(UserError, match="holds mask, pooled, tokens: expected vectors"):
        ImageEmbeddings.open(tmp_path / "texts")


def test_shards_and_an_index_of_other_lengths_are_refused(tmp_path: Path):
    embedded.write_pictures(tmp_path / "images", NAMES, VECTORS[:1])
    with pytest.raises(UserError, match="an index of 2 for 1 rows"):
        ImageEmbeddings.open(tmp_path / "images")


def test_distinct_texts_stand_in_the_order_in_which_they_first_come():
    words = ["b", "a", "b", "c", "a"]
    distinct = Distinct(len(words), words.__getitem__)
    assert list(distinct) == distinct[:] == ["b", "a", "c"]
    assert distinct[1:2] == ["a"]
    assert RowIndex.of(distinct).find(["c", "b", "c"]).tolist() == [2, 0, 2]


def test_texts_of_one_digest_do_not_go_unnoticed(monkeypatch: pytest.MonkeyPatch):
    collide = {"a": b"12345678 one    ", "b": b"12345678 another"}
    monkeypatch.setattr("pipeline.data.row_index._digest", collide.__getitem__)
    with pytest.raises(ValueError, match="same digest"):
        Distinct(2, "ab".__getitem__)
    assert len(Distinct(2, "aa".__getitem__)) == 1


def test_mapped_rows_act_like_the_tensor_that_they_replace():
    whole = torch.arange(30).view(10, 3)
    mapped = MappedRows(whole.split([4, 0, 1, 5]))
    assert mapped.shape == whole.shape
    for rows in (torch.tensor([9, 0, 4, 4, 3]), torch.tensor([], dtype=torch.int64), slice(2, 7)):
        assert torch.equal(mapped[rows], whole[rows])
    for rows in (torch.tensor([10]), torch.tensor([-1])):
        with pytest.raises(IndexError):
            mapped[rows]
    some = torch.tensor([7, 2, 2])
    chosen = Chosen(mapped, some)
    assert (len(chosen), chosen.shape) == (3, (3, 3))
    assert torch.equal(chosen[torch.tensor([2, 0])], whole[some][[2, 0]])
    assert torch.equal(chosen[1:], whole[some][1:])


def test_a_shard_holds_what_blip_says_of_its_pictures_and_texts_in_their_order(tmp_path: Path):
    pairs = blips.write_pairs_and_pictures(tmp_path / "files", of_each=1)[:4]
    pixels = blips.pixels_of(tmp_path / "files")
    names, captions = [p.image for p in pairs], [*(p.caption for p in pairs), "red"]
    blip = Blip(blips.build())
    for folder in (tmp_path / "images", tmp_path / "texts"):
        folder.mkdir()
    embed_pictures(blip, names[:3], tmp_path / "images" / "00000.safetensors", pixels=pixels)
    embed_pictures(blip, names[3:], tmp_path / "images" / "00001.safetensors", pixels=pixels)
    embed_texts(blip, captions, tmp_path / "texts" / "00000.safetensors")
    embedded.embeddings.finish(tmp_path / "images", Distinct(4, names.__getitem__))
    embedded.embeddings.finish(tmp_path / "texts", Distinct(5, captions.__getitem__))

    images, texts = (
        ImageEmbeddings.open(tmp_path / "images"),
        TextEmbeddings.open(tmp_path / "texts"),
    )
    one_by_one = [blip.embed_images(pixels[pixels.rows([name])]) for name in names]
    expected = torch.cat([torch.from_numpy(vector) for vector in one_by_one])
    torch.testing.assert_close(images.vectors[:], expected, atol=1e-6, rtol=0)
    found = texts.condition[texts.rows(captions)]
    for row, caption in enumerate(captions):
        alone = blip.embed_texts([caption])
        width = alone.tokens.shape[1]
        torch.testing.assert_close(found.pooled[row], alone.pooled[0], atol=1e-6, rtol=0)
        torch.testing.assert_close(found.tokens[row, :width], alone.tokens[0], atol=2e-3, rtol=0)
        assert found.mask[row].sum() == width
        assert not found.tokens[row, width:].any()
