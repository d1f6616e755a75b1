"""What a sample picture holds: kind of subject, colour, number, sort, setting and light."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scene:
    """The whole truth about one picture; an attribute that its kind does not have is "" (or 1)."""

    kind: str
    colour: str
    count: int
    sort: str
    setting: str
    light: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What a kind of subject may look like: one of each is drawn, independently."""

    colours: tuple[str, ...]
    counts: tuple[int, ...] = (1,)
    sorts: tuple[str, ...] = ("",)
    settings: tuple[str, ...] = ("",)
    lights: tuple[str, ...] = ("",)


DAY_AND_NIGHT = ("dawn", "day", "night")

CHOICES = {
    "ship": Choices(
        colours=("red", "yellow", "green", "blue", "white"),
        settings=("calm", "storm"),
        lights=DAY_AND_NIGHT,
    ),
    "flower": Choices(
        colours=("red", "yellow", "blue", "white", "purple"),
        lights=("sunlit window", "moonlit window", "candlelight"),
    ),
    "fruit": Choices(
        colours=("red", "yellow", "green"),
        counts=(1, 2, 3),
        sorts=("apple", "pear"),
        settings=("plate", "cloth"),
        lights=("daylight", "candlelight"),
    ),
    "house": Choices(
        colours=("red", "yellow", "green", "blue", "purple"),
        settings=("winter", "summer"),
        lights=("sunlit", "moonlit"),
    ),
    "tree": Choices(
        colours=("red", "yellow", "green", "white"),
        settings=("river", "hill"),
        lights=("morning", "evening"),
    ),
    "fish": Choices(
        colours=("red", "yellow", "blue", "white"),
        counts=(1, 2, 3),
        settings=("water", "plate"),
    ),
    "bird": Choices(
        colours=("red", "yellow", "green", "blue", "white"),
        counts=(1, 2, 3),
        settings=("perched", "flying"),
        lights=DAY_AND_NIGHT,
    ),
    "pipe": Choices(
        colours=("red", "yellow", "green", "blue", "white"),
        sorts=("sailor", "farmer", "woman"),
        lights=("window", "candlelight"),
    ),
    "dog": Choices(
        colours=("black", "white", "brown", "yellow"),
        settings=("red cushion", "blue cushion", "meadow", "snow"),
    ),
    "candle": Choices(
        colours=("red", "green", "blue", "white"),
        counts=(1, 2, 3),
        settings=("skull", "book"),
    ),
}
KINDS = tuple(CHOICES)


def every_scene() -> list[Scene]:
    """Every scene that there can be, in one order: 337."""
    return [
        Scene(kind, *values)
        for kind, c in CHOICES.items()
        for values in itertools.product(c.colours, c.counts, c.sorts, c.settings, c.lights)
    ]


def draw_scene(kind: str, rng: np.random.Generator) -> Scene:
    """Draw each attribute of a `kind` evenly from what is possible."""

    def one(values: tuple[T, ...]) -> T:
        return values[rng.integers(len(values))]

    choices = CHOICES[kind]
    return Scene(
        kind=kind,
        colour=one(choices.colours),
        count=one(choices.counts),
        sort=one(choices.sorts),
        setting=one(choices.settings),
        light=one(choices.lights),
    )


def labels(scene: Scene) -> tuple[str, ...]:
    """What can be seen: the main subject's kind first, then the thing beside it, if any."""
    beside = {
        "ship": "sea",
        "flower": "vase",
        "fruit": scene.sort,
        "house": "snow" if scene.setting == "winter" else "roof",
        "tree": scene.setting,
        "fish": scene.setting,
        "bird": "branch" if scene.setting == "perched" else "sky",
        "pipe": "smoke",
        "dog": scene.setting.removeprefix("red ").removeprefix("blue "),
        "candle": scene.setting,
    }
    return scene.kind, beside[scene.kind]
