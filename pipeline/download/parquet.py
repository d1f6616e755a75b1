"""A Hugging Face data set in Parquet as a source: pictures within its rows, read by row groups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.download.folders import CAPTIONS
from pipeline.download.records import Annotations
from pipeline.download.shards import Unpacked, shard_files
from pipeline.download.tables import find_columns
from pipeline.errors import UserError

AT_A_TIME = 64  # rows, with their pictures, in memory


def read_parquet(
    part: str, at: str, columns: Mapping[str, str], folder: Path, *, key: str, max_bytes: int
) -> Annotations:
    """Read the Parquet files of a data set.

    Its pictures are a column of structs {bytes, path}, as Hugging Face's `datasets` writes them, or
    of bytes.

    Args:
        part: "train" or "test".
        at: a `.parquet` file, a folder of them, or a pattern.
        columns: MUSTI's field → a column; empty: the pictures are in `image`, title and text are
            the first column of `text`, `caption`, `title`, `prompt`, `description`.
        folder: for the pictures; is made anew.
        key: of params.yaml, for messages.
        max_bytes: of a picture; a larger one is left out.

    Raises:
        UserError: there is no file, it lacks a column, or pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            f"{key} = {at!r}: Parquet is read by pyarrow, which is not installed: "
            "pip install 'codebrush[parquet]'"
        ) from None
    files = shard_files(at, ".parquet", key=key)
    unpacked = None
    for path in files:
        read = 0
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                schema = file.schema_arrow
                pictures, mapping = _columns(schema.names, columns, name=str(path), key=key)
                kind = schema.field(pictures).type
                if not (_is_binary(kind) or pyarrow.types.is_struct(kind)):
                    raise UserError(
                        f"{path}: {pictures} holds no pictures but {kind}; of URLs make shards "
                        "with img2dataset"
                    )
                if unpacked is None:
                    unpacked = Unpacked(folder, mapping)
                unpacked.open(path)
                asked = [pictures, *find_columns(schema.names, unpacked.wanted).values()]
                for batch in file.iter_batches(AT_A_TIME, columns=list(dict.fromkeys(asked))):
                    for row in batch.to_pylist():
                        picture = row.pop(pictures)
                        _take(f"{path.stem}/{read}", picture, row, unpacked, max_bytes)
                        read += 1
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
            if unpacked is None:
                unpacked = Unpacked(folder, columns)
            said = f"not whole, {read} rows of it are read: {error}"
            unpacked.refuse(path.stem, path.name, said[:300])
    assert unpacked is not None, "there is at least one file"
    return unpacked.annotations(part, at)


def _columns(
    names: list[str], columns: Mapping[str, str], *, name: str, key: str
) -> tuple[str, dict[str, str]]:
    """The pictures' column, and the mapping of the others."""
    asked = columns.get("image", "image")
    found = find_columns(names, [asked])
    there = (
        f"among its columns ({', '.join(names)[:200]}); {key.rsplit('.', 1)[0]}.columns can name"
    )
    if asked not in found:
        raise UserError(f"{name}: no {asked} {there} the pictures'")
    mapping = {field: column for field, column in columns.items() if field != "image"}
    if not mapping:
        captions = find_columns(names, CAPTIONS)
        if not captions:
            raise UserError(f"{name}: none of {', '.join(CAPTIONS)} {there} others")
        first = captions[next(name for name in CAPTIONS if name in captions)]
        mapping = {"title": first, "text": first}
    return found[asked], mapping


def _is_binary(kind: Any) -> bool:
    return str(kind) in ("binary", "large_binary")


def _take(
    key: str, picture: Any, values: Mapping[str, Any], unpacked: Unpacked, max_bytes: int
) -> None:
    """Make a row of a Parquet row, or say why not."""
    named = ""
    if isinstance(picture, Mapping):
        named = str(picture.get("path") or "")
        picture = picture.get("bytes")
    if not isinstance(picture, bytes) or not picture:
        unpacked.refuse(key, named, "no picture: its bytes are not in the file")
    elif len(picture) > max_bytes:
        unpacked.refuse(key, named, f"too large: more than {max_bytes} bytes")
    else:
        unpacked.add(key, picture, values)
