"""The sample data set: small captioned paintings, drawn from a seed, in MUSTI's schema."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np

from pipeline.files import write_json
from pipeline.sample.paint import paint
from pipeline.sample.rows import pairs
from pipeline.sample.scene import Scene, draw_scene, every_scene
from pipeline.sample.titles import draw_seen_scene

# The test pictures draw from all titles, so some have one that no training row has met.
DRAW = {"train": draw_seen_scene, "test": draw_scene}
SPLITS = tuple(DRAW)
TURNS = [scene.kind for scene in every_scene()]
TURN = 208  # of these 337, the golden share: the pictures of any stretch are of all kinds
PICTURES, ROWS = 0, 1  # the first number of a random stream says what it is for


def write_sample(
    folder: Path, *, train: int, test: int, size: int, seed: int, workers: int = 2
) -> None:
    """Write `musti-train.json`, `musti-test.json` and the pictures under `images/` into `folder`.

    A picture and its rows depend on (seed, split, index) alone: a larger set begins with the
    smaller one's pictures, and `workers` changes nothing but the time.

    Args:
        train, test: how many pictures; the kinds of subject take turns, each as often as it has
            titles: a kind with more to tell takes more pictures to learn.
        size: width and height of a picture in pixels.
        seed: not negative.
        workers: processes that paint.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    last_id = 0
    for split, count in zip(SPLITS, (train, test), strict=True):
        scenes = [_scene(split, index, seed)[0] for index in range(count)]
        names = [f"images/{_name(split, index)}" for index in range(count)]
        stream = [ROWS, seed, SPLITS.index(split)]
        rows = pairs(scenes, names, first_id=last_id, stream=stream, draw=DRAW[split])
        last_id = int(str(rows[-1]["id"])) if rows else last_id
        write_json(folder / f"musti-{split}.json", {"pairs": rows})
    jobs = [
        (split, index) for split, n in zip(SPLITS, (train, test), strict=True) for index in range(n)
    ]
    if workers == 1:
        _paint_all(images, jobs, size, seed)
        return
    # Fresh processes: a fork would copy the caller's locks as they happen to be.
    start = multiprocessing.get_context("spawn").Process
    painters = [
        start(target=_paint_all, args=(images, jobs[w::workers], size, seed), daemon=True)
        for w in range(workers)
    ]
    for painter in painters:
        painter.start()
    for painter in painters:
        painter.join()
    if any(painter.exitcode for painter in painters):
        raise RuntimeError(f"{images}: painting stopped before the end; its error stands above")


def _name(split: str, index: int) -> str:
    return f"{split}-{index:05d}.png"


def _scene(split: str, index: int, seed: int) -> tuple[Scene, np.random.Generator]:
    """The scene of a picture, and the generator that goes on to paint it."""
    rng = np.random.default_rng([PICTURES, seed, SPLITS.index(split), index])
    kind = TURNS[index * TURN % len(TURNS)]
    return DRAW[split](kind, rng), rng


def _paint_all(images: Path, jobs: list[tuple[str, int]], size: int, seed: int) -> None:
    parent = multiprocessing.parent_process()
    for split, index in jobs:
        if parent is not None and not parent.is_alive():
            return  # whoever asked for the pictures was killed
        scene, rng = _scene(split, index, seed)
        picture = paint(scene, size=size, rng=rng)
        file = images / _name(split, index)
        picture.save(file, compress_level=3)  # half the time of 6
        os.utime(file, (0, 0))  # painted again, it is the very same file
