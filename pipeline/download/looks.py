"""What each file of a source turned out to be: a picture that can be used, or why it is none."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.decoding import ImageError, decode
from pipeline.data.images import content_name
from pipeline.download.dedupe import Signatures
from pipeline.progress import progress

QUEUED = 1024  # pictures that wait to be decoded, or to be passed on


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
    """Decode every file to its end.

    Args:
        files: paths, sorted and distinct.
        max_pixels: see `decode_image`.
        folder: for what grows with the files.

    Returns:
        What each file is, in their order, and what the pictures are compared by, in the same
        order, whole when the looks have been read; the row of what is no picture means nothing.
    """
    paths = list(files)
    signatures = Signatures(max(len(paths), 1), folder)
    return _looks(paths, signatures, max_pixels), signatures


def _looks(paths: list[str], signatures: Signatures, max_pixels: int) -> Iterator[Look]:
    def look(row: int) -> Look:
        try:
            data = Path(paths[row]).read_bytes()
            decoded = decode(data, max_pixels=max_pixels)
        except ImageError as error:
            return Look(reason=error.reason, detail=error.detail)
        except OSError as error:
            return Look(reason="no_file", detail=error.strerror or "cannot be read")
        signatures.put(row, decoded.image)
        return Look(f"{content_name(data)}.{decoded.ending}", detail=decoded.note)

    # As many at a time as there are cores: each holds one picture, decoded, in memory.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        pending: deque[Future[Look]] = deque()  # a few: a call waiting takes 2 KiB

        def in_turn() -> Iterator[Look]:
            for row in range(len(paths)):
                pending.append(pool.submit(look, row))
                if len(pending) == QUEUED:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

        try:
            yield from progress(in_turn(), total=len(paths), label="decoding")
        finally:
            for call in pending:
                call.cancel()
