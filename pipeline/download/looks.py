"""What each file of a source turned out to be: a picture that can be used, or why it is none.

The one process that brings the files writes a list of them into the run's folder, in blocks; what a
block's files are is a share of a map (`pipeline.shares`), which other processes may take. A share
is named after all that its block says of the files, their sizes and times too, and after nothing
else: a run that was killed finds the shares of those that are still the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.cores import on_all_cores
from pipeline.data.cuts import shards
from pipeline.data.decoding import ImageError, decode
from pipeline.data.images import content_name
from pipeline.download.dedupe import HASH_WORDS, Signatures, hash_of
from pipeline.download.windows import SIDE, thumbnail
from pipeline.errors import UserError
from pipeline.files import remove
from pipeline.shares import Shares, Task

LOOKS = "looks"
FINER = 8  # than the pictures' own shards: to decode takes longer than to copy
# A share has for each file of its block such a record, and its look as a line of JSON.
RECORD = np.dtype([("hash", np.uint64, HASH_WORDS), ("thumbnail", np.uint8, (SIDE, SIDE))])

State = list[int] | None  # a file's size and when it was changed, in ns; None: it cannot be asked


@dataclass(frozen=True, slots=True)
class Look:
    """What a file is.

    Attributes:
        name: of the picture from here on, made of the bytes' hash; "" if it is none.
        reason: "" or why it is none, in one word.
        detail: more on the reason; of a picture, what its file says that was not followed, or "".
    """

    name: str = ""
    reason: str = ""
    detail: str = ""


def look_at(
    files: Iterable[str], *, max_pixels: int, folder: Path
) -> tuple[Iterator[Look], Signatures]:
    """Decode every file to its end, together with whoever helps with `shares_of_looks`.

    Args:
        files: paths, sorted and distinct.
        max_pixels: see `decode_image`.
        folder: of the run, for what grows with the files.

    Returns:
        What each file is, in their order, and what the pictures are compared by, in the same
        order, whole when the looks have been read; the row of what is no picture means nothing.

    Raises:
        UserError: a file changed meanwhile.
    """
    forget_list(folder)
    count = _write_list(files, _listed(folder))
    made = _shares(folder, max_pixels).gather()
    signatures = Signatures(max(count, 1), folder)
    return _read(made, signatures), signatures


def shares_of_looks(folder: Path, *, max_pixels: int) -> Shares | None:
    """The shares of whoever is at `look_at` in this folder; None: the files are not listed yet."""
    try:
        return _shares(folder, max_pixels)
    except FileNotFoundError:
        return None


def forget_list(folder: Path) -> None:
    """Have helpers wait for a new list: what a run that was killed left may not be up to date."""
    remove(_listed(folder))


def forget_looks(folder: Path) -> None:
    """Have all decoded anew: a file changed, and its size and time do not tell."""
    forget_list(folder)
    remove(folder / LOOKS)


def _listed(folder: Path) -> Path:
    return folder / "files"


def _write_list(files: Iterable[str], listed: Path) -> int:
    """Write a folder of blocks of files, each a line; returns how many files they are."""
    aside = listed.with_name(f".{listed.name}")
    remove(aside)
    aside.mkdir(parents=True)
    count, block = 0, []

    def noted() -> Iterator[str]:
        for file in files:
            block.append(json.dumps([file, _state(file)]) + "\n")
            yield file

    # As ASCII, for a file's name may hold what is no UTF-8.
    for number, cut in enumerate(shards(map(ascii, noted()), finer=FINER)):
        text = "".join(block)
        digest = blake2b(text.encode()).hexdigest()[:16]
        (aside / f"{number:09d}-{digest}").write_text(text, encoding="utf-8", newline="\n")
        block.clear()
        count = cut.stop
    aside.rename(listed)  # not synced: whoever keeps the run next writes it anew
    return count


def _state(file: str) -> State:
    try:
        return _told(Path(file).stat())
    except OSError:
        return None


def _told(about: os.stat_result) -> State:
    return [about.st_size, about.st_mtime_ns]


def _shares(folder: Path, max_pixels: int) -> Shares:
    blocks = sorted(_listed(folder).iterdir())
    tasks: dict[str, Task] = {
        block.name.partition("-")[2]: partial(_look_at_block, block, max_pixels=max_pixels)
        for block in blocks
    }
    return Shares(folder / LOOKS, tasks, "shares of pictures decoded")


def _look_at_block(block: Path, to: Path, *, max_pixels: int) -> None:
    """Write the share of a block."""
    try:
        listed = [json.loads(line) for line in block.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise UserError(f"{block}: the pictures were listed anew") from None

    def look(file: tuple[str, State]) -> tuple[Look, np.ndarray]:
        found, image = _look(*file, max_pixels=max_pixels)
        return found, _record(image)

    with to.open("wb") as stream:  # not mapped: where a disk is full, a map ends in SIGBUS
        for found, record in on_all_cores(look, listed):
            stream.write(record.tobytes() + json.dumps(astuple(found)).encode() + b"\n")


def _look(file: str, listed: State, *, max_pixels: int) -> tuple[Look, Image.Image | None]:
    try:
        data = _read_as_listed(file, listed)
        decoded = decode(data, max_pixels=max_pixels)
    except ImageError as error:
        return Look(reason=error.reason, detail=error.detail), None
    except OSError as error:
        if _state(file) != listed:
            raise _changed(file) from None
        return Look(reason="no_file", detail=error.strerror or "cannot be read"), None
    return Look(f"{content_name(data)}.{decoded.ending}", detail=decoded.note), decoded.image


def _read_as_listed(file: str, listed: State) -> bytes:
    with Path(file).open("rb") as stream:
        before = os.fstat(stream.fileno())
        data = stream.read()
        after = os.fstat(stream.fileno())
    # Who unpacks it anew meanwhile gives it the same time again, but not that of its change.
    if _told(before) != listed or _told(after) != listed or before.st_ctime_ns != after.st_ctime_ns:
        raise _changed(file)
    return data


def _changed(file: str) -> UserError:
    return UserError(f"{file}: changed while it was read; run it again")


def _record(image: Image.Image | None) -> np.ndarray:
    record = np.zeros((), RECORD)
    if image is not None:
        record["hash"], record["thumbnail"] = hash_of(image), thumbnail(image)
    return record


def _read(made: list[Path], signatures: Signatures) -> Iterator[Look]:
    row = 0
    for share in made:
        with share.open("rb") as stream:
            while record := stream.read(RECORD.itemsize):
                (found,) = np.frombuffer(record, RECORD)
                signatures.hashes[row], signatures.thumbnails[row] = found
                yield Look(*json.loads(stream.readline()))
                row += 1
