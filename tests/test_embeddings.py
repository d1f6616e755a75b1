"""Files of embeddings: what goes in comes out, by name, in the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from blips import build, pixels_of, write_pairs_and_pictures

from pipeline.data.condition import TextCondition
from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.errors import UserError
from pipeline.extraction import extract_images, extract_texts
from pipeline.models.blip import Blip

IMAGES = ImageEmbeddings(("a.png", "ö\n.jpg"), torch.tensor([[0.6, 0.8], [1.0, 0.0]]))
CONDITION = TextCondition(
    pooled=torch.eye(3),
    tokens=torch.arange(24).view(3, 4, 2).float(),
    mask=torch.tensor([[True] * 4, [True, True, False, False], [True, False, False, False]]),
)
TEXTS = TextEmbeddings(('A "red" ship\u2028', "Äpfel", "塩"), CONDITION)


def test_what_was_saved_is_loaded(tmp_path: Path):
    IMAGES.save(tmp_path / "images.safetensors")
    TEXTS.save(tmp_path / "texts.safetensors")
    images = ImageEmbeddings.load(tmp_path / "images.safetensors")
    texts = TextEmbeddings.load(tmp_path / "texts.safetensors")
    assert images.names == IMAGES.names
    assert torch.equal(images.vectors, IMAGES.vectors)
    assert texts.texts == TEXTS.texts
    for name in ("pooled", "tokens", "mask"):
        assert torch.equal(getattr(texts.condition, name), getattr(CONDITION, name))
        assert getattr(texts.condition, name).dtype == getattr(CONDITION, name).dtype


def test_the_same_embeddings_are_the_same_bytes(tmp_path: Path):
    for name in ("first", "second"):
        TEXTS.save(tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_rows_are_found_by_name():
    assert TEXTS.rows(["塩", "Äpfel", "塩"]).tolist() == [2, 1, 2]
    assert TEXTS.rows([]).dtype == torch.int64
    with pytest.raises(UserError, match=r"no embedding of the text 'pears'; run"):
        TEXTS.rows(["pears"])
    with pytest.raises(UserError, match="of the picture 'b.png'"):
        IMAGES.rows(["b.png"])


def test_a_missing_or_damaged_file_is_named_in_one_line(tmp_path: Path):
    with pytest.raises(UserError, match="no such file"):
        TextEmbeddings.load(tmp_path / "none")
    TEXTS.save(tmp_path / "texts")
    whole = (tmp_path / "texts").read_bytes()
    for broken in (whole[:-3], b"", b"not at all", whole[:8]):
        (tmp_path / "broken").write_bytes(broken)
        with pytest.raises(UserError, match="broken: no embeddings") as caught:
            TextEmbeddings.load(tmp_path / "broken")
        assert "\n" not in str(caught.value)
    flipped = bytearray(whole)
    flipped[-9] ^= 1
    (tmp_path / "broken").write_bytes(flipped)
    with pytest.raises(UserError, match="broken: damaged"):
        TextEmbeddings.load(tmp_path / "broken")
    with pytest.raises(UserError, match="texts: holds .*: expected vectors"):
        ImageEmbeddings.load(tmp_path / "texts")


class Share:
    """One of several processes; what it gathers is caught instead."""

    device = torch.device("cpu")

    def __init__(self, index: int, count: int) -> None:
        self.process_index, self.num_processes = index, count
        self.gathered: list[torch.Tensor] = []

    def gather(self, own: torch.Tensor) -> torch.Tensor:
        self.gathered.append(own)
        return own


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_any_number_of_processes_gives_the_same_embeddings(tmp_path: Path, processes: int):
    pairs = write_pairs_and_pictures(tmp_path / "images", of_each=1)[:4]
    pixels = pixels_of(tmp_path / "images")
    names, captions = [p.image for p in pairs], [p.caption for p in pairs] + ["red"]
    blip = Blip(build())
    alone = Accelerator()
    images = extract_images(blip, [*names, names[0]], pixels=pixels, accelerator=alone)
    texts = extract_texts(blip, [*captions, captions[0]], accelerator=alone)
    assert images.names == tuple(sorted(names))
    assert texts.texts == tuple(sorted(captions))
    assert texts.condition.tokens.dtype == torch.float32  # what the prior reads

    shares = [Share(index, processes) for index in range(processes)]
    for share in shares:
        extract_images(blip, names, pixels=pixels, accelerator=share)  # type: ignore[arg-type]
        extract_texts(blip, captions, accelerator=share)  # type: ignore[arg-type]
    vectors, pooled, tokens, mask = (
        torch.cat(parts) for parts in zip(*(share.gathered for share in shares), strict=True)
    )
    torch.testing.assert_close(vectors[:4], images.vectors, atol=1e-6, rtol=0)
    torch.testing.assert_close(pooled[:5], texts.condition.pooled, atol=1e-6, rtol=0)
    torch.testing.assert_close(tokens[:5].float(), texts.condition.tokens, atol=2e-3, rtol=0)
    assert torch.equal(mask[:5], texts.condition.mask)
