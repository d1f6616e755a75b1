"""Pictures that cost a fraction of a millisecond: textures with words, in WebDataset shards.

    python -m benchmarks.textures FOLDER --pictures 20000

A texture is a grid of random patches around a colour that its words name, drawn smoothly, as a
JPEG: no two are near-duplicates, and every second text is new. A shard depends on its number alone,
so more pictures are more shards and change no other.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

OF_EACH = 1000  # pictures of a shard
SIDE = 64
PATCHES = 12  # a side
COLOURS = {
    "red": (200, 60, 50), "green": (70, 160, 80), "blue": (60, 90, 190),
    "yellow": (215, 190, 70), "grey": (130, 130, 130), "purple": (140, 80, 160),
}  # fmt: skip
SYLLABLES = ("ba", "do", "ki", "lu", "me", "no", "pa", "ri", "so", "tu", "ve", "zi")


def write_shards(folder: Path, pictures: int) -> list[Path]:
    """Write so many pictures as shards of 1,000, those that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(-(-pictures // OF_EACH)):
        count = min(OF_EACH, pictures - number * OF_EACH)
        path = folder / f"{number:05}-{count}.tar"
        paths.append(path)
        if not path.exists():
            aside = path.with_suffix(".tmp")
            with tarfile.open(aside, "w") as tar:
                for name, data in _members(number, count):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
            aside.replace(path)
    return paths


def _members(shard: int, count: int) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of a shard's files: of each picture a JPEG, then its text."""
    generator = np.random.default_rng(shard)
    colours = generator.integers(len(COLOURS), size=OF_EACH)
    bases = np.array(list(COLOURS.values()))[colours]
    noise = generator.integers(-110, 110, size=(OF_EACH, PATCHES, PATCHES, 3))
    patches = np.clip(bases[:, None, None] + noise, 0, 255).astype(np.uint8)
    for place in range(count):
        stream = io.BytesIO()
        picture = Image.fromarray(patches[place]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        picture.save(stream, "JPEG", quality=85)
        key = f"{shard:05}{place:04}"
        colour = list(COLOURS)[colours[place]]
        yield f"{key}.jpg", stream.getvalue()
        yield f"{key}.txt", f"A {colour} texture called {_name(shard, place // 2)}".encode()


def _name(shard: int, number: int) -> str:
    """A word of six syllables that nothing else is called."""
    rest, word = shard * OF_EACH + number, ""
    for _ in range(6):
        rest, syllable = divmod(rest, len(SYLLABLES))
        word = SYLLABLES[syllable] + word
    return word


def main() -> None:
    """Write the shards that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, required=True)
    given = parser.parse_args()
    start = time.perf_counter()
    paths = write_shards(given.folder, given.pictures)
    each = 1e6 * (time.perf_counter() - start) / given.pictures
    print(f"{len(paths)} shards, {each:.0f} µs a picture", file=sys.stderr)


if __name__ == "__main__":
    main()
