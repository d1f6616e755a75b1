"""Paint a scene: the same scene and generator state give the same picture, to the byte."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

from pipeline.sample.animals import paint_birds, paint_fish
from pipeline.sample.canvas import Canvas
from pipeline.sample.dogs import paint_dog
from pipeline.sample.landscapes import paint_house, paint_ship, paint_tree
from pipeline.sample.people import paint_smoker
from pipeline.sample.scene import Scene
from pipeline.sample.still_lifes import paint_candles, paint_flowers, paint_fruit

PAINTERS: dict[str, Callable[[Canvas, Scene], None]] = {
    "ship": paint_ship,
    "flower": paint_flowers,
    "fruit": paint_fruit,
    "house": paint_house,
    "tree": paint_tree,
    "fish": paint_fish,
    "bird": paint_birds,
    "pipe": paint_smoker,
    "dog": paint_dog,
    "candle": paint_candles,
}


def paint(scene: Scene, *, size: int, rng: np.random.Generator) -> Image.Image:
    """An RGB picture of `scene`, `size` pixels wide and high; `rng` sets what no word tells."""
    canvas = Canvas(size, rng)
    PAINTERS[scene.kind](canvas, scene)
    picture = canvas.finish()
    return ImageOps.mirror(picture) if rng.random() < 0.5 else picture
