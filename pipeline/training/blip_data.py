"""Pictures with their captions and labelled passages, ready for BLIP's losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import BertTokenizer

from pipeline.data.mapped_images import Images, MappedImages
from pipeline.data.pairs import Pair
from pipeline.data.pixels import Pixels
from pipeline.data.tokenizer import padded, token_ids
from pipeline.errors import UserError

MOST_REPEATS = 6.0  # of a picture in an epoch


@dataclass(frozen=True)
class Texts:
    """Token ids (N, T) int64 of N texts and their mask (N, T) bool, True = a token."""

    ids: Tensor
    present: Tensor

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: BertTokenizer) -> Texts:
        """Tokenise texts once and for all."""
        return cls(*padded(token_ids(tokenizer, texts), pad=tokenizer.pad_token_id))

    def __getitem__(self, rows: Tensor) -> Texts:
        present = self.present[rows]
        longest = int(present.sum(1).max()) if len(rows) else 1
        return Texts(self.ids[rows, :longest], present[:, :longest])

    def to(self, device: torch.device) -> Texts:
        """The same on another device."""
        return Texts(self.ids.to(device), self.present.to(device))


@dataclass(frozen=True)
class Choice:
    """For each picture, the texts of one sort that go with it; one of them is drawn at a time.

    Attributes:
        table: (pictures, most texts of one) int64, rows of the texts, filled from the left.
        counts: (pictures,) int64, how many of them count.
    """

    table: Tensor
    counts: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Choice:
        """From the text rows of each picture."""
        table, present = padded(rows, pad=0)
        return cls(table, present.sum(1))

    def draw(self, pictures: Tensor, *, among: Tensor | bool = True) -> tuple[Tensor, Tensor]:
        """One text of each of these pictures that has any, by torch's global generator.

        Args:
            pictures: (B,) int64.
            among: (B,) bool, which of them are asked at all.

        Returns:
            The places in `pictures` that have one, and its row; both int64 (n,).
        """
        counts = self.counts[pictures]
        chosen = (torch.rand(len(pictures)) * counts).long()
        has_text = ((counts > 0) & among).nonzero()[:, 0]
        return has_text, self.table[pictures[has_text], chosen[has_text]]


def repeated(labels: Tensor, *, below: float) -> Tensor:
    """Which picture each row of an epoch is of: those of rare things come several times.

    A thing of which a share f of the pictures is comes √(below / f) times, at least once and at
    most `MOST_REPEATS` (repeat-factor sampling, https://arxiv.org/abs/1908.03195, section 5.1).

    Args:
        labels: (N,) int64, what the pictures are of; -1: unknown, which comes once.
        below: the share below which a thing is rare; 0: none is.

    Returns:
        (M,) int64 rows of pictures, M >= N.
    """
    factors = torch.ones(len(labels), dtype=torch.float64)
    known = labels >= 0
    if known.any():
        shares = torch.bincount(labels[known]) / len(labels)
        factors[known] = (below / shares[labels[known]]).sqrt().clamp(1, MOST_REPEATS).double()
    generator = torch.Generator().manual_seed(0)
    rounded = factors + torch.rand(len(labels), generator=generator, dtype=torch.float64)
    return torch.arange(len(labels)).repeat_interleave(rounded.long())


@dataclass(frozen=True)
class Matches:
    """A split's pictures, their captions, and which passages match them and which do not.

    Attributes:
        images: (N, S, S, 3) uint8.
        captions: all distinct captions; `captions_of` says whose.
        passages: texts with a label, a row for each (picture, text) of the source.
        is_match: (passages,) bool, what the label says.
        labels: (N,) int64, one number for each thing that pictures are of; -1: unknown.
        known: sorted int64 keys `picture * len(captions) + caption` of all pairs that match.
    """

    images: Images
    captions: Texts
    captions_of: Choice
    passages: Texts
    passages_of: Choice
    is_match: Tensor
    labels: Tensor
    known: Tensor

    @classmethod
    def load(
        cls,
        pairs: Sequence[Pair],
        split: str,
        *,
        pixels: Pixels,
        tokenizer: BertTokenizer,
    ) -> Matches:
        """Find a split's pictures among `pixels` and tokenise their texts.

        Passages count only where some are labelled NO: if all of them match their pictures,
        there is nothing to tell apart, but that a long text always matches.

        Raises:
            UserError: no picture of the split has a caption.
        """
        pairs = [pair for pair in pairs if pair.split == split]
        if not any(pair.caption for pair in pairs):
            raise UserError(f"BLIP: no picture of the {split} split has a caption")
        has_mismatches = any(pair.match == "NO" for pair in pairs)
        labelled = [p for p in pairs if p.match and p.text] if has_mismatches else []
        names = sorted({p.image for p in [*labelled, *(p for p in pairs if p.caption)]})
        captions = sorted({p.caption for p in pairs if p.caption})
        picture = {name: row for row, name in enumerate(names)}
        caption = {text: row for row, text in enumerate(captions)}
        captions_of: list[set[int]] = [set() for _ in names]
        passages_of: list[list[int]] = [[] for _ in names]
        for pair in pairs:
            if pair.caption:
                captions_of[picture[pair.image]].add(caption[pair.caption])
        things: dict[str, int] = {}
        labels = [-1] * len(names)
        for pair in pairs:
            if pair.image in picture and pair.main_object:
                labels[picture[pair.image]] = things.setdefault(pair.main_object, len(things))
        for row, pair in enumerate(labelled):
            passages_of[picture[pair.image]].append(row)
        known = [
            p * len(captions) + row for p, rows in enumerate(captions_of) for row in sorted(rows)
        ]
        return cls(
            images=MappedImages.of(pixels, names),
            captions=Texts.of(captions, tokenizer),
            captions_of=Choice.of([sorted(rows) for rows in captions_of]),
            passages=Texts.of([p.text for p in labelled], tokenizer),
            passages_of=Choice.of(passages_of),
            is_match=torch.tensor([p.match == "YES" for p in labelled], dtype=torch.bool),
            labels=torch.tensor(labels),
            known=torch.tensor(known),
        )

    def __len__(self) -> int:
        return len(self.images)

    def matching(self, pictures: Tensor, captions: Tensor) -> Tensor:
        """Which of these captions describe which of these pictures: bool (pictures, captions)."""
        return self.is_known(pictures[:, None], captions)

    def is_known(self, pictures: Tensor, captions: Tensor) -> Tensor:
        """Whether each of these captions describes the picture at its side: bool."""
        keys = pictures * len(self.captions.ids) + captions
        return torch.isin(keys, self.known.to(keys.device))
