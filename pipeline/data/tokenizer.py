"""BLIP's word pieces: a BERT tokenizer trained on captions, and how a text becomes token ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer
from torch import Tensor

from pipeline.data.texts import normalise
from pipeline.errors import UserError

if TYPE_CHECKING:  # its import takes seconds, and who only reads texts needs none of it
    from transformers import BertTokenizer

# BLIP puts these two behind BERT's vocabulary: the first token of a text that the captioner writes,
# and the first token of a text that the matching head reads beside a picture.
DECODE, ENCODE = "[DEC]", "[ENC]"
BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_tokenizer(texts: Iterable[str], *, vocab_size: int, max_length: int) -> BertTokenizer:
    """Learn WordPiece (https://arxiv.org/abs/1609.08144) from texts; accents are kept, case is not.

    Args:
        texts: iterated over twice, one text in memory at a time.
        vocab_size: at most so many pieces, special tokens and single characters included (these
            are never left out, so a small number may be passed over).
        max_length: tokens of a text, `[CLS]` and `[SEP]` included, that the model will take.
    """
    from transformers import BertTokenizer

    blank = BertTokenizer(strip_accents=False).backend_tokenizer
    trained = Tokenizer(WordPiece(unk_token="[UNK]"))
    trained.normalizer, trained.pre_tokenizer = blank.normalizer, blank.pre_tokenizer
    used: set[str] = set()
    for text in texts:
        used.update(blank.normalizer.normalize_str(normalise(text)))
    letters = sorted(letter for letter in used if not letter.isspace())
    # The trainer would number the pieces of single characters in the order of a randomly seeded
    # hash map, and break ties by these numbers: named beforehand, they and all else stay the same.
    first = [*BERT_SPECIALS, *letters, *(f"##{letter}" for letter in letters)]
    trainer = WordPieceTrainer(
        vocab_size=max(vocab_size - 2, len(first)), special_tokens=first, show_progress=False
    )
    trained.train_from_iterator(map(normalise, texts), trainer)
    vocab = trained.get_vocab()
    vocab |= {DECODE: len(vocab), ENCODE: len(vocab) + 1}
    return BertTokenizer(
        vocab,
        strip_accents=False,
        bos_token=DECODE,
        extra_special_tokens=[ENCODE],
        model_max_length=max_length,
    )


class WordPieces:
    """A trained tokenizer at work, by `tokenizers` alone.

    Attributes:
        limit: most ids of a text, `[CLS]` and `[SEP]` included.
        unknown: the piece that stands for a word of unknown letters.
        pad_id: what stands behind shorter texts.
    """

    def __init__(self, tokenizer: Tokenizer, *, limit: int, unknown: str, pad: str) -> None:
        self.limit, self.unknown = limit, unknown
        pad_id = tokenizer.token_to_id(pad)
        if pad_id is None:
            raise ValueError(f"no piece {pad}")
        self.pad_id: int = pad_id
        # A text in which somebody wrote "[SEP]" is a text with brackets in it.
        tokenizer.encode_special_tokens = True
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._whole, self._cut = tokenizer, Tokenizer.from_str(tokenizer.to_str())
        self._cut.encode_special_tokens = True
        self._cut.enable_truncation(limit)

    @classmethod
    def of(cls, tokenizer: BertTokenizer) -> WordPieces:
        """Those of transformers' tokenizer, which stays as it is."""
        return cls(
            Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()),
            limit=tokenizer.model_max_length,
            unknown=tokenizer.unk_token,
            pad=tokenizer.pad_token,
        )

    @classmethod
    def from_pretrained(cls, folder: Path) -> WordPieces:
        """Load what transformers' tokenizer saved.

        Raises:
            UserError: a file is missing or damaged.
        """
        about = folder / "tokenizer_config.json"
        try:
            config = json.loads(about.read_text(encoding="utf-8"))
            text = (folder / "tokenizer.json").read_text(encoding="utf-8")
            tokenizer = Tokenizer.from_str(text)
            return cls(
                tokenizer,
                limit=int(config["model_max_length"]),
                unknown=config.get("unk_token", "[UNK]"),
                pad=config.get("pad_token", "[PAD]"),
            )
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: no such file") from None
        except Exception as error:  # tokenizers has no exceptions of its own
            raise UserError(
                f"{folder}: no tokenizer: {' '.join(str(error).split())[:200]}"
            ) from None

    def id(self, piece: str) -> int | None:
        """The id of a piece, if there is such a one."""
        found: int | None = self._whole.token_to_id(piece)
        return found

    def split(self, text: str) -> list[str]:
        """The pieces of a normalised text, uncut, without `[CLS]` and `[SEP]`."""
        pieces: list[str] = self._whole.encode(text, add_special_tokens=False).tokens
        return pieces

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """`[CLS]`, the normalised text's pieces, `[SEP]`; cut to `limit` ids."""
        encoded = self._cut.encode_batch([normalise(text) for text in texts])
        return [row.ids for row in encoded]


def token_ids(tokenizer: BertTokenizer, texts: Sequence[str]) -> list[list[int]]:
    """`[CLS]`, the normalised text's pieces, `[SEP]`; cut to `tokenizer.model_max_length` ids."""
    if not texts:
        return []
    texts, limit = [normalise(text) for text in texts], tokenizer.model_max_length
    # A text in which somebody wrote "[SEP]" is a text with brackets in it.
    return tokenizer(texts, truncation=True, max_length=limit, split_special_tokens=True)[
        "input_ids"
    ]


def padded(ids: Sequence[Sequence[int]], *, pad: int) -> tuple[Tensor, Tensor]:
    """Ids of N texts as one table, as wide as the longest has tokens.

    Returns:
        (N, T) int64 with `pad` behind the shorter, and its mask: bool, True = a token.
    """
    lengths = torch.tensor([len(row) for row in ids], dtype=torch.int64)
    present = torch.arange(int(lengths.max()) if ids else 0) < lengths[:, None]
    table = torch.full(present.shape, pad)
    table[present] = torch.tensor([value for row in ids for value in row], dtype=torch.int64)
    return table, present
