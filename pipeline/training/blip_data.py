"""Pictures with their captions and labelled passages, ready for BLIP's losses."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor
from transformers import BertTokenizer

from pipeline.data.mapped_images import Images, MappedImages
from pipeline.data.pairs import Pair, Picked, of_split
from pipeline.data.pixels import Pixels
from pipeline.data.tokenizer import token_ids
from pipeline.errors import UserError

AT_A_TIME = 4096  # texts that are tokenised
NONE = -1
OF_PAIR = np.dtype(
    {
        "names": ["picture", "caption", "thing", "match", "mismatch", "labelled"],
        "formats": ["i8", "i8", "i8", "?", "?", "?"],
    }
)
MOST_REPEATS = 6.0  # of a picture in an epoch


@dataclass(frozen=True)
class Texts:
    """Token ids (N, T) int64 of a batch's N texts and their mask (N, T) bool, True = a token."""

    ids: Tensor
    present: Tensor

    def to(self, device: torch.device) -> Texts:
        """The same on another device."""
        return Texts(self.ids.to(device), self.present.to(device))


@dataclass(frozen=True)
class TextTable:
    """Many tokenised texts, one behind another: two bytes a token, or four of a large vocabulary.

    Attributes:
        tokens: the ids of all texts.
        ends: (N,) int64, where in them each text ends.
        pad: the id that fills up a batch's shorter texts.
    """

    tokens: Tensor
    ends: Tensor
    pad: int

    @classmethod
    def of(cls, texts: Iterable[str], tokenizer: BertTokenizer) -> TextTable:
        """Tokenise texts once and for all; they are read once, some at a time."""
        remaining, parts, lengths = iter(texts), [], array("q")
        dtype = np.int16 if len(tokenizer) <= np.iinfo(np.int16).max else np.int32
        while some := list(islice(remaining, AT_A_TIME)):
            ids = token_ids(tokenizer, some)
            lengths.extend(map(len, ids))
            parts.append(np.fromiter(chain.from_iterable(ids), dtype))
        tokens = np.concatenate([np.empty(0, dtype), *parts])
        ends = torch.tensor(lengths, dtype=torch.int64).cumsum(0)
        return cls(torch.from_numpy(tokens), ends, tokenizer.pad_token_id)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, rows: Tensor) -> Texts:
        starts = torch.where(rows > 0, self.ends[rows - 1], 0)
        lengths = self.ends[rows] - starts
        columns = torch.arange(int(lengths.max()) if len(rows) else 1)
        present = columns < lengths[:, None]
        ids = torch.full(present.shape, self.pad)
        ids[present] = self.tokens[(starts[:, None] + columns)[present]].long()
        return Texts(ids, present)


@dataclass(frozen=True)
class Choice:
    """For each picture, the texts of one sort that go with it; one of them is drawn at a time.

    Attributes:
        texts: rows of the texts, those of the first picture first.
        starts: (pictures,) int64, where in `texts` each picture's are.
        counts: (pictures,) int64, how many of them.
    """

    texts: Tensor
    starts: Tensor
    counts: Tensor

    @classmethod
    def of(cls, pictures: np.ndarray, texts: np.ndarray, *, count: int) -> Choice:
        """From a picture and a text that go together, each int64 (M,), of `count` pictures."""
        order = np.argsort(pictures, kind="stable")
        counts = torch.from_numpy(np.bincount(pictures, minlength=count))
        return cls(torch.from_numpy(texts[order]), counts.cumsum(0) - counts, counts)

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
        return has_text, self.texts[self.starts[pictures[has_text]] + chosen[has_text]]


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
    captions: TextTable
    captions_of: Choice
    passages: TextTable
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
        pairs = of_split(pairs, split)
        names, captions, things = _Numbers(), _Numbers(), _Numbers()
        facts = (
            (
                names[pair.image],
                captions[pair.caption] if pair.caption else NONE,
                things[pair.main_object] if pair.main_object else NONE,
                pair.match == "YES",
                pair.match == "NO",
                bool(pair.match and pair.text),
            )
            for pair in pairs
        )
        of_pairs = np.fromiter(facts, OF_PAIR, len(pairs))
        has_caption = of_pairs["caption"] != NONE
        if not has_caption.any():
            raise UserError(f"BLIP: no picture of the {split} split has a caption")
        labelled = of_pairs["labelled"] & of_pairs["mismatch"].any()
        shown, picture_rows = names.ordered(of_pairs["picture"][has_caption | labelled])
        told, caption_rows = captions.ordered(of_pairs["caption"][has_caption])
        picture = picture_rows[of_pairs["picture"]]
        known = np.unique(
            picture[has_caption] * len(told) + caption_rows[of_pairs["caption"][has_caption]]
        )
        labels = np.full(len(shown), NONE)
        has_thing = (picture != NONE) & (of_pairs["thing"] != NONE)
        labels[picture[has_thing]] = of_pairs["thing"][has_thing]  # of several the last counts
        passages = np.flatnonzero(labelled)
        return cls(
            images=MappedImages.of(pixels, shown),
            captions=TextTable.of(told, tokenizer),
            captions_of=Choice.of(known // len(told), known % len(told), count=len(shown)),
            passages=TextTable.of((pair.text for pair in Picked(pairs, passages)), tokenizer),
            passages_of=Choice.of(picture[passages], np.arange(len(passages)), count=len(shown)),
            is_match=torch.from_numpy(of_pairs["match"][passages]),
            labels=torch.from_numpy(labels),
            known=torch.from_numpy(known),
        )

    def __len__(self) -> int:
        return len(self.images)

    def matching(self, pictures: Tensor, captions: Tensor) -> Tensor:
        """Which of these captions describe which of these pictures: bool (pictures, captions)."""
        return self.is_known(pictures[:, None], captions)

    def is_known(self, pictures: Tensor, captions: Tensor) -> Tensor:
        """Whether each of these captions describes the picture at its side: bool."""
        keys = (pictures * len(self.captions) + captions).cpu()
        places = torch.searchsorted(self.known, keys).clamp(max=len(self.known) - 1)
        return (self.known[places] == keys).to(pictures.device)


class _Numbers(dict[str, int]):
    """Texts, each with a number of its own, in the order in which they are first asked for."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]

    def ordered(self, used: np.ndarray) -> tuple[list[str], np.ndarray]:
        """The texts of these numbers, sorted, and of every number its place there, or `NONE`."""
        texts, rows = list(self), np.full(len(self), NONE)
        order = sorted(np.unique(used).tolist(), key=texts.__getitem__)
        rows[order] = np.arange(len(order))
        return [texts[number] for number in order], rows
