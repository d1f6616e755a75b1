"""Embeddings in files: of pictures by name, of texts by their words; the same bytes always."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.data.condition import TextCondition
from pipeline.errors import UserError
from pipeline.files import replacing

DIGEST = "blake2b"  # of all tensors: safetensors has no checksum of its own


@dataclass(frozen=True)
class ImageEmbeddings:
    """What BLIP sees in pictures.

    Attributes:
        names: file names in the images folder, sorted.
        vectors: (N, D) float32, L2-normalised, a row for each name.
    """

    names: tuple[str, ...]
    vectors: Tensor

    def rows(self, names: Sequence[str]) -> Tensor:
        """The rows of these pictures, int64 (len(names),).

        Raises:
            UserError: one is not there.
        """
        return _rows(self.names, names, "picture")

    def save(self, path: Path | str) -> None:
        """Write them to one file."""
        path = Path(path)
        _save(path, {"vectors": self.vectors}, names=self.names)

    @classmethod
    def load(cls, path: Path | str) -> ImageEmbeddings:
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing or damaged.
        """
        path = Path(path)
        tensors, names = _load(path, ("vectors",))
        return cls(names, tensors["vectors"])


@dataclass(frozen=True)
class TextEmbeddings:
    """What BLIP's text encoder makes of texts.

    Attributes:
        texts: distinct and sorted.
        condition: a row for each text, in float32; the file holds the tokens in float16.
    """

    texts: tuple[str, ...]
    condition: TextCondition

    def rows(self, texts: Sequence[str]) -> Tensor:
        """The rows of these texts, int64 (len(texts),).

        Raises:
            UserError: one is not there.
        """
        return _rows(self.texts, texts, "text")

    def save(self, path: Path | str) -> None:
        """Write them to one file."""
        path = Path(path)
        states = self.condition
        tensors = {"pooled": states.pooled, "tokens": states.tokens.half(), "mask": states.mask}
        _save(path, tensors, names=self.texts)

    @classmethod
    def load(cls, path: Path | str) -> TextEmbeddings:
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing or damaged.
        """
        path = Path(path)
        tensors, texts = _load(path, ("pooled", "tokens", "mask"))
        return cls(
            texts, TextCondition(tensors["pooled"], tensors["tokens"].float(), tensors["mask"])
        )


def _rows(known: Sequence[str], wanted: Sequence[str], what: str) -> Tensor:
    places = {name: row for row, name in enumerate(known)}
    try:
        return torch.tensor([places[name] for name in wanted], dtype=torch.int64)
    except KeyError as error:
        raise UserError(
            f"no embedding of the {what} {error.args[0]!r}; run extract_embeddings"
        ) from None


def _save(path: Path, tensors: dict[str, Tensor], *, names: Sequence[str]) -> None:
    # The names go in as a tensor of bytes: safetensors' header has room for little.
    text = json.dumps(list(names), ensure_ascii=False).encode("utf-8")
    whole = {key: tensor.cpu().contiguous() for key, tensor in tensors.items()}
    whole["names"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    with replacing(path) as aside:
        save_file(whole, aside, metadata={DIGEST: _digest(whole)})


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} ".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _load(path: Path, keys: Sequence[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    if not path.exists():
        raise UserError(f"{path}: no such file; extract_embeddings makes it")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            whole = (file.metadata() or {}).get(DIGEST) == _digest(tensors)
        if not whole:
            raise UserError(f"{path}: damaged (its checksum differs); make it again")
        names = tuple(json.loads(tensors.pop("names").numpy().tobytes()))
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path}: no embeddings: {' '.join(str(error).split())}") from None
    if set(tensors) != set(keys):
        raise UserError(f"{path}: holds {', '.join(tensors)}: expected {', '.join(keys)}")
    return tensors, names
