"""Every picture decoded once, and resized once for each size that is read: shard by shard."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipeline.cores import on_all_cores
from pipeline.data.decoding import MOST_PIXELS, decode
from pipeline.data.images import square
from pipeline.data.on_disk import on_disk
from pipeline.data.picture_shards import names_in, pictures_in
from pipeline.data.pixels import NAMES, save_array, seal_pixels, shard_name, start_array
from pipeline.files import place_copy, replacing


def resize_shard(shard: Path, to: Path, sizes: Collection[int]) -> None:
    """Resize the pictures of a tar shard to squares; `to` appears when it is whole.

    Args:
        shard: see `picture_shards`.
        to: a folder for `names.npy`, (N,) bytes, and for each size S a file `S.npy`, uint8
            (N, S, S, 3), in the order of the shard.
        sizes: sides in pixels.

    Raises:
        UserError: the shard is missing or damaged.
    """
    names, sizes = names_in(shard), sorted(set(sizes))
    with replacing(to) as aside:
        aside.mkdir()
        save_array(aside / NAMES, np.array([name.encode() for name in names]))
        with ExitStack() as files:
            streams = [files.enter_context((aside / f"{s}.npy").open("wb")) for s in sizes]
            for stream, size in zip(streams, sizes, strict=True):
                # Written, not mapped: where a disk is full, a map ends in SIGBUS.
                start_array(stream, np.uint8, (len(names), size, size, 3))
            for squares in _squares(pictures_in(shard), sizes):
                for stream, pixels in zip(streams, squares, strict=True):
                    stream.write(pixels.tobytes())


def join_shards(parts: Sequence[Path], folders: Mapping[Path, int]) -> None:
    """Put what `resize_shard` made of all shards together, for `Pixels` to open.

    Args:
        parts: its folders, in the order of the shards; they stay as they are.
        folders: to write, and the size of the pictures of each.
    """
    counts, names = _names(parts)
    for folder, size in folders.items():
        with replacing(folder) as aside:
            aside.mkdir(parents=True)
            for number, part in enumerate(parts):
                place_copy(part / f"{size}.npy", aside / shard_name(number))
            seal_pixels(aside, names, counts=counts, size=size)


def _names(parts: Sequence[Path]) -> tuple[list[int], np.ndarray]:
    """How many pictures each part has; and the names of all, (N,) bytes, on the parts' disk."""

    def mapped(part: Path) -> np.ndarray:  # one at a time: each takes an open file
        return np.lib.format.open_memmap(part / NAMES, mode="r")

    counts, kinds = zip(*((len(names), names.dtype) for names in map(mapped, parts)), strict=True)
    every, first = on_disk((sum(counts),), np.result_type(*kinds), parts[0].parent), 0
    for count, names in zip(counts, map(mapped, parts), strict=True):
        every[first : first + count] = names
        first += count
    return list(counts), every


def _squares(
    pictures: Iterable[tuple[str, bytes]], sizes: Sequence[int]
) -> Iterator[list[np.ndarray]]:
    """Yield each picture at each of the sizes."""

    def look(picture: tuple[str, bytes]) -> list[np.ndarray]:
        image = decode(picture[1], max_pixels=MOST_PIXELS, checked=True).image
        return [square(image, size) for size in sizes]

    return on_all_cores(look, pictures)
