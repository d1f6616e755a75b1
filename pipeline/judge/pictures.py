"""Fresh pictures for the judge: painted as the sample's are, in random streams that no run uses."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np

from pipeline.data.images import square
from pipeline.sample.paint import paint
from pipeline.sample.titles import parse

# The first number of a random stream says what it is for; the sample's own have 0 and 1.
TRAINING, HELD_OUT, REFERENCES = 2, 3, 4


def fresh_pictures(
    titles: Sequence[str], *, purpose: int, size: int, image_size: int, seed: int, workers: int = 2
) -> np.ndarray:
    """Paint a picture of each title.

    A picture depends on (purpose, seed, index) alone; `workers` changes nothing but the time.

    Args:
        purpose: `TRAINING`, `HELD_OUT` or `REFERENCES`: the same seed gives others.
        size: at which it is painted, in pixels.
        image_size: to which it is then resized, as the pipeline does.
        workers: processes that paint.

    Returns:
        uint8 (N, image_size, image_size, 3).
    """
    images = np.empty((len(titles), image_size, image_size, 3), dtype=np.uint8)
    stream = [purpose, seed]
    if workers == 1:
        for index, title in enumerate(titles):
            images[index] = _picture(title, [*stream, index], size, image_size)
        return images
    # Fresh processes: a fork would copy the caller's locks as they happen to be.
    context = multiprocessing.get_context("spawn")
    ends = [context.Pipe(duplex=False) for _ in range(workers)]
    painters = [
        context.Process(
            target=_paint_share,
            args=(titles, stream, size, image_size, first, workers, sender),
            daemon=True,
        )
        for first, (_, sender) in enumerate(ends)
    ]
    for painter, (_, sender) in zip(painters, ends, strict=True):
        painter.start()
        sender.close()  # the painter has its own: when it dies, the line goes dead
    try:
        for index in range(len(titles)):
            pixels = ends[index % workers][0].recv_bytes()
            images[index] = np.frombuffer(pixels, dtype=np.uint8).reshape(images.shape[1:])
    except EOFError:
        raise RuntimeError("a painter stopped before the end; its error stands above") from None
    for painter in painters:
        painter.join()
    return images


def _paint_share(
    titles: Sequence[str],
    stream: list[int],
    size: int,
    image_size: int,
    first: int,
    step: int,
    sender: Connection,
) -> None:
    for index in range(first, len(titles), step):
        try:
            picture = _picture(titles[index], [*stream, index], size, image_size)
            sender.send_bytes(picture.tobytes())
        except BrokenPipeError:
            return  # whoever asked for the pictures was killed


def _picture(title: str, stream: list[int], size: int, image_size: int) -> np.ndarray:
    picture = paint(parse(title), size=size, rng=np.random.default_rng(stream))
    return square(picture, image_size)
