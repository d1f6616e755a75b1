"""The annotation rows of the sample pictures, with the traits of MUSTI's: see `pairs`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.sample.scene import KINDS, Scene, labels
from pipeline.sample.words import FRAMES, foreign_passage, foreign_title, passage, title

Row = dict[str, int | str | list[str]]

SECOND_MATCH = 0.12  # pictures with a second text that matches
MISMATCH = 0.58  # pictures with a text that does not: a third of all rows
FOREIGN = 0.02  # pictures with a row in another language
NO_TITLE = 0.05  # rows, beyond a picture's first, whose title is "nan": 2 % of all
SPACED_LABEL = 0.03  # rows whose first label begins with a space


def pairs(
    scenes: list[Scene],
    names: list[str],
    *,
    first_id: int,
    stream: list[int],
    draw: Callable[[str, np.random.Generator], Scene],
) -> list[Row]:
    """MUSTI's rows for the pictures `names` of `scenes`, by ascending id.

    Every picture has a text that matches; a third of all rows are NO: their text is about another
    kind of subject, and they have no labels. Ids have gaps, a few titles are "nan", a few rows are
    not English, a few labels begin with a space.

    Args:
        names: image paths, relative to the JSON file.
        first_id: ids are larger than this.
        stream: seeds this data set's own random stream.
        draw: gives the scene of a kind that a mismatched text is about.
    """
    rows: list[Row] = []
    last_id = first_id
    for index, (scene, name) in enumerate(zip(scenes, names, strict=True)):
        rng = np.random.default_rng([*stream, index])
        more = rng.random(3) < (SECOND_MATCH, MISMATCH, FOREIGN)
        about = [scene]
        about += [scene] if more[0] else []
        about += [_another(scene, rng, draw)] if more[1] else []
        for position, told in enumerate(about):
            last_id += int(rng.integers(1, 4))
            untitled = position > 0 and rng.random() < NO_TITLE
            rows.append(
                _row(
                    last_id,
                    name,
                    title="nan" if untitled else title(scene),
                    text=passage(told, rng),
                    seen=_spaced(labels(scene), rng) if told is scene else [],
                )
            )
        if more[2]:
            last_id += int(rng.integers(1, 4))
            language = sorted(FRAMES)[rng.integers(len(FRAMES))]
            rows.append(
                _row(
                    last_id,
                    name,
                    language=language,
                    title=foreign_title(scene.kind, language),
                    text=foreign_passage(scene.kind, language),
                    seen=list(labels(scene)),
                )
            )
    return rows


def _row(
    row_id: int, image: str, *, title: str, text: str, seen: list[str], language: str = "en"
) -> Row:
    return {
        "id": row_id,
        "image": image,
        "language": language,
        "subtask1_label": "YES" if seen else "NO",
        "subtask2_labels": seen,
        "text": text,
        "title": title,
    }


def _another(
    scene: Scene,
    rng: np.random.Generator,
    draw: Callable[[str, np.random.Generator], Scene],
) -> Scene:
    # A room lit by a candle that one does not see: no text may call that picture candleless.
    candlelit = scene.light == "candlelight"
    others = [k for k in KINDS if k != scene.kind and not (candlelit and k == "candle")]
    return draw(others[rng.integers(len(others))], rng)


def _spaced(seen: tuple[str, ...], rng: np.random.Generator) -> list[str]:
    return [(" " if rng.random() < SPACED_LABEL else "") + seen[0], *seen[1:]]
