"""A code record knows whose it is: a store is joined to pairs and texts by identity."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.codes import CodeStore
from pipeline.codes.captioned import CaptionedCodes
from pipeline.codes.encode import ViewBatches, encoded_views
from pipeline.codes.store import Record
from pipeline.data.captioned import CaptionedImages
from pipeline.data.condition import TextCondition
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import Pair
from pipeline.data.row_index import Distinct, RowIndex
from pipeline.data.views import to_uint8
from pipeline.errors import UserError


class Means:
    """Stands for a VQ-VAE: a picture's code is the brightness of its middle."""

    def parameters(self):
        return iter([torch.zeros(1)])

    def encode(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return to_uint8(images)[:, 3:4, 3:4, 0].long()


def pair(number: int, split: str) -> Pair:
    caption = f"ship {number}"
    return Pair(10 + number, f"{number}.png", split, caption, "", caption, "YES", ("ship",))


PAIRS = [pair(0, "train"), pair(1, "test"), pair(2, "train"), pair(3, "val")]
TEXTS = TextEmbeddings(
    RowIndex.of(Distinct(4, lambda n: f"ship {n}")),
    TextCondition(torch.eye(4), torch.eye(4)[:, None], torch.ones(4, 1).bool()),
)


def encoded(pictures: CaptionedImages, pairs: list[Pair]) -> Iterator[Record]:
    """All records of three views."""
    batches = ViewBatches(pairs, views=3)
    numbers = range(len(batches))
    return encoded_views(Means(), pictures, pairs, batches, numbers, max_shift=2, seed=1)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Codes of `PAIRS`, three views of the training ones; each picture is a ramp."""
    ramp = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    images = torch.from_numpy(np.broadcast_to(ramp, (4, 8, 8, 3)).copy())
    pictures = CaptionedImages(images, torch.zeros(4, 2))
    records = encoded(pictures, PAIRS)
    CodeStore.write(tmp_path / "codes.lmdb", records, shape=(1, 1), n_embed=256)
    return tmp_path / "codes.lmdb"


def test_the_store_holds_every_pair_once_as_it_is_and_training_pairs_again_shifted(store: Path):
    with CodeStore.open(store) as opened:
        assert opened.ids.tolist() == [10, 11, 12, 13, 10, 12, 10, 12]
        assert opened.views.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
        assert list(opened.filenames()) == [f"{n - 10}.png" for n in opened.ids]
        codes = [int(grid[0, 0]) for grid, _ in opened]
        shifts = opened.shifts.tolist()
    assert shifts[:4] == [[0, 0]] * 4
    assert codes == [27 - 8 * down - right for down, right in shifts]  # the ramp came from there
    assert set(codes[4:]) != {27}


def test_each_record_meets_its_own_caption_whatever_the_order_of_the_table(store: Path):
    there, back = (CaptionedCodes.load(store, table, TEXTS) for table in (PAIRS, PAIRS[::-1]))
    for loaded in (there, back):
        assert loaded.condition_rows.tolist() == [0, 1, 2, 3, 0, 2, 0, 2]
        assert [p.id for p in loaded.pairs] == [10, 11, 12, 13, 10, 12, 10, 12]
    assert there.of("train").views.tolist() == [0, 0]
    assert [p.image for p in there.of("train", views=True).pairs] == ["0.png", "2.png"] * 3
    codes, condition = there.batch(torch.tensor([4, 1]), torch.device("cpu"))
    assert codes.dtype == torch.int64
    assert condition.pooled.argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([p for p in PAIRS if p.id != 12], "record 2 is of pair 12 and picture 2.png, but the"),
        ([*PAIRS, pair(4, "train")], "pair 14 has no codes; run dump_codes"),
        ([dataclasses.replace(p, id=23 - p.id + 0) for p in PAIRS], "has 3.png there"),
        ([dataclasses.replace(p, image="other.png") for p in PAIRS], "has other.png there"),
    ],
)
def test_another_table_of_pairs_is_one_line(store: Path, table: list[Pair], said: str):
    with pytest.raises(UserError, match=said):
        CaptionedCodes.load(store, table, TEXTS)


def test_a_store_of_pairs_none_of_which_is_for_training_has_one_view(tmp_path: Path):
    images = CaptionedImages(torch.zeros(1, 8, 8, 3, dtype=torch.uint8), torch.zeros(1, 2))
    found = list(encoded(images, [PAIRS[1]]))
    assert [(record.id, record.view) for record in found] == [(11, 0)]
