"""The pictures that `download` kept, in a few tar files: their bytes as they came, and no others.

The layout is WebDataset's (https://github.com/webdataset/webdataset): `00000.tar`, `00001.tar`, …,
each a plain tar of members `<content name>.<ending>`, in the order in which the table of pairs
first names them. A name is its bytes' checksum, so a flipped bit is named. No header says when or
by whom it was written: the same pictures make the same shards.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, tee
from pathlib import Path

from pipeline.data.cuts import shards
from pipeline.data.images import content_name
from pipeline.errors import UserError

NAME = re.compile(r"[0-9a-f]+\.[0-9a-z]+")
END = 2 * tarfile.BLOCKSIZE  # of zeros, at the least, behind the last member


def write_shards(folder: Path, pictures: Iterable[tuple[str, Path | str]]) -> None:
    """Write pictures into shards, one picture, and the names of one shard, in memory at a time.

    Args:
        folder: a new one.
        pictures: in their order, the name and the path of the file that holds the bytes.

    Raises:
        UserError: a file is no longer what it was when it got its name.
    """
    folder.mkdir(parents=True)
    ahead, pictures = tee(pictures)
    for number, places in enumerate(shards(name for name, _ in ahead)):
        shard = folder / f"{number:05d}.tar"
        with tarfile.open(shard, "w:", format=tarfile.USTAR_FORMAT) as tar:
            for name, file in islice(pictures, len(places)):
                data = Path(file).read_bytes()
                if not _is_of(name, data):
                    raise UserError(f"{file}: changed while it was read; run it again")
                header = tarfile.TarInfo(name)
                header.size = len(data)
                tar.addfile(header, io.BytesIO(data))


def shards_in(folder: Path) -> list[Path]:
    """The shards of a folder, in their order.

    Raises:
        UserError: it has none.
    """
    found = sorted(folder.glob("*.tar"), key=lambda path: (len(path.name), path.name))
    if not found:
        raise UserError(f"{folder}: no shards of pictures; the download stage makes them")
    return found


def pictures_in(shard: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each picture of a shard.

    Raises:
        UserError: the shard is missing or damaged.
    """
    try:
        with tarfile.open(shard, "r:") as tar:
            end = 0
            for member in tar:
                file = tar.extractfile(member)
                data = file.read() if file else b""
                if not NAME.fullmatch(member.name) or not _is_of(member.name, data):
                    raise UserError(
                        f"{shard}: {member.name}: damaged (its bytes have another checksum)"
                    )
                yield member.name, data
                end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        _check_end(shard, end)
    except FileNotFoundError:
        raise UserError(f"{shard}: no such file; run download again") from None
    except tarfile.TarError as error:
        raise UserError(f"{shard}: damaged ({error}); run download again") from None


def _is_of(name: str, data: bytes) -> bool:
    return name.partition(".")[0] == content_name(data)


def _check_end(shard: Path, end: int) -> None:
    """See that nothing but the end follows: to tarfile a damaged header in the middle is one."""
    with shard.open("rb") as stream:
        stream.seek(end)
        rest = stream.read(END + tarfile.RECORDSIZE)
    if not END <= len(rest) < END + tarfile.RECORDSIZE or any(rest):
        raise UserError(f"{shard}: damaged (behind {end} bytes); run download again")


def names_in(shard: Path) -> Sequence[str]:
    """The names of a shard's pictures, by its headers alone.

    Raises:
        UserError: the shard is missing or damaged.
    """
    try:
        with tarfile.open(shard, "r:") as tar:
            return tar.getnames()
    except FileNotFoundError:
        raise UserError(f"{shard}: no such file; run download again") from None
    except tarfile.TarError as error:
        raise UserError(f"{shard}: damaged ({error}); run download again") from None
