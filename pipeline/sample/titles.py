"""Every title that the sample can have, read back as its scene; a tenth of them is held out.

A model that has met every colour, number and setting of ships, but never this one ship, shows on it
whether it composes or recites (as CLEVR's CoGenT does, https://arxiv.org/abs/1612.06890). What is
held out is a fact of the titles, not of a run's seed: all runs hold out the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter

import numpy as np

from pipeline.sample.scene import KINDS, Scene, draw_scene, every_scene
from pipeline.sample.words import title

HELD_OUT_SHARE = 0.1  # of each kind's titles
MOST_OF_A_VALUE = 1 / 3  # of the titles with one value (all red flowers) that may be held out

_SCENES = {title(scene): scene for scene in every_scene()}
TITLES = tuple(_SCENES)


def parse(line: str) -> Scene:
    """The scene that a title tells of: the inverse of `words.title`.

    Raises:
        ValueError: no scene has this title.
    """
    if line not in _SCENES:
        raise ValueError(f"{line!r} is no title of the sample")
    return _SCENES[line]


def seen(line: str) -> bool:
    """Whether scenes of this title may be among the training pictures."""
    return line not in HELD_OUT


def draw_seen_scene(kind: str, rng: np.random.Generator) -> Scene:
    """`draw_scene`, again and again from the same stream until the title is not held out."""
    while True:
        scene = draw_scene(kind, rng)
        if seen(title(scene)):
            return scene


def _held_out(kind: str) -> list[str]:
    """A tenth of the kind's titles: by their hashes, but no value loses more than a third."""
    titles = [line for line in TITLES if _SCENES[line].kind == kind]
    having = Counter(value for line in titles for value in _values(line))
    chosen: list[str] = []
    lost: Counter[tuple[str, str | int]] = Counter()
    for line in sorted(titles, key=lambda line: hashlib.sha256(line.encode()).digest()):
        # Values that all titles share, such as the count of ships, are no choice and no loss.
        values = [value for value in _values(line) if having[value] < len(titles)]
        if all(lost[value] + 1 <= MOST_OF_A_VALUE * having[value] for value in values):
            chosen.append(line)
            lost.update(values)
        if len(chosen) == round(HELD_OUT_SHARE * len(titles)):
            break
    return chosen


def _values(line: str) -> list[tuple[str, str | int]]:
    return list(dataclasses.asdict(_SCENES[line]).items())


HELD_OUT = frozenset(line for kind in KINDS for line in _held_out(kind))
