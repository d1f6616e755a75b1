"""Embeddings in files: of pictures by name, of texts by their words; the same bytes always.

A folder of shards, `00000.safetensors` and so on, holds a row for each distinct picture or text, in
the order in which they first come in the table of pairs, cut where `cuts.shards` says. Beside them
stand an index, which finds rows by digests of names or texts, and a manifest with checksums. All
are mapped, so what a batch needs is read when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.data.condition import Conditions, TextCondition
from pipeline.data.mapped import MappedRows, Rows
from pipeline.data.row_index import Distinct, RowIndex
from pipeline.errors import UserError
from pipeline.sealing import MANIFEST, check_folder, seal_folder

INDEX = "index.safetensors"
OF_PICTURES, OF_TEXTS = ("vectors",), ("pooled", "tokens", "mask")


@dataclass(frozen=True)
class ImageEmbeddings:
    """What BLIP sees in pictures.

    Attributes:
        index: rows of the pictures, by their names in the shards.
        vectors: (N, D) float32, L2-normalised.
    """

    index: RowIndex
    vectors: Rows

    @classmethod
    def open(cls, folder: Path | str) -> ImageEmbeddings:
        """Map a folder of `write_pictures`' shards; see `finish`.

        Raises:
            UserError: it is missing or damaged.
        """
        index, columns = _open(Path(folder), OF_PICTURES)
        return cls(index, columns["vectors"])

    def rows(self, names: Iterable[str]) -> Tensor:
        """The rows of these pictures, int64 (of `names`,).

        Raises:
            UserError: one is not there.
        """
        return _rows(self.index, names, "picture")


@dataclass(frozen=True)
class TextEmbeddings:
    """What BLIP's text encoder makes of texts.

    Attributes:
        index: rows of the texts.
        condition: their conditions; rows of it are in float32, the files hold tokens in float16.
    """

    index: RowIndex
    condition: Conditions

    @classmethod
    def open(cls, folder: Path | str) -> TextEmbeddings:
        """Map a folder of `write_texts`' shards; see `finish`.

        Raises:
            UserError: it is missing or damaged.
        """
        index, columns = _open(Path(folder), OF_TEXTS)
        return cls(index, Conditions(**columns))

    def rows(self, texts: Iterable[str]) -> Tensor:
        """The rows of these texts, int64 (of `texts`,).

        Raises:
            UserError: one is not there.
        """
        return _rows(self.index, texts, "text")


def shard_file(folder: Path, number: int) -> Path:
    """Where a shard of embeddings lies, the first being number 0."""
    return folder / f"{number:05}.safetensors"


def write_pictures(path: Path, vectors: Tensor) -> None:
    """Write one shard: the embeddings (n, D) of its pictures, in their order."""
    _write(path, {"vectors": vectors})


def write_texts(path: Path, condition: TextCondition) -> None:
    """Write one shard: the conditions of its texts, in their order."""
    tokens = condition.tokens.half()
    _write(path, {"pooled": condition.pooled, "tokens": tokens, "mask": condition.mask})


def finish(folder: Path, distinct: Distinct) -> None:
    """Make a folder of whole shards one that can be opened: write its index, and seal it.

    Args:
        distinct: the names or texts that the shards' rows are of, in their order.
    """
    RowIndex.of(distinct).save(folder / INDEX)
    seal_folder(folder)


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    save_file({key: tensor.cpu().contiguous() for key, tensor in tensors.items()}, path)


def _open(folder: Path, keys: Sequence[str]) -> tuple[RowIndex, dict[str, Rows]]:
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{folder}: no embeddings; extract_embeddings makes them")
    check_folder(folder)
    files = sorted(folder.glob("[0-9]*.safetensors"), key=lambda file: int(file.stem))
    parts: dict[str, list[Tensor]] = {key: [] for key in keys}
    try:
        for path in files:
            with safe_open(path, framework="pt") as file:
                if set(file.keys()) != set(keys):
                    held = ", ".join(sorted(file.keys()))
                    raise UserError(f"{path}: holds {held}: expected {', '.join(keys)}")
                for key in keys:  # maps of the file, which live as long as the tensors
                    parts[key].append(file.get_tensor(key))
        index = RowIndex.open(folder / INDEX)
        columns: dict[str, Rows] = {key: MappedRows(tensors) for key, tensors in parts.items()}
    except (SafetensorError, FileNotFoundError, ValueError) as error:
        raise UserError(f"{folder}: no embeddings: {' '.join(str(error).split())}") from None
    if len(index) != len(columns[keys[0]]):
        raise UserError(f"{folder}: an index of {len(index)} for {len(columns[keys[0]])} rows")
    return index, columns


def _rows(index: RowIndex, keys: Iterable[str], what: str) -> Tensor:
    try:
        return index.find(keys)
    except KeyError as error:
        raise UserError(
            f"no embedding of the {what} {error.args[0]!r}; run extract_embeddings"
        ) from None
