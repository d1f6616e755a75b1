"""Texts that are wrong in one thing: what a model that matches pictures with texts cannot see.

Beside any other caption, nearly all of which are of another kind of thing, a matching head looks
perfect (Yuksekgonul et al. 2023, https://arxiv.org/abs/2210.01936). Here one attribute is changed
where the data know attributes, and elsewhere the text is another one of the same label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from pipeline.evaluation.bootstrap import FEWEST, share_interval
from pipeline.evaluation.scores import Figures
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.sample.attributes import ATTRIBUTES
from pipeline.sample.scene import every_scene
from pipeline.sample.titles import parse
from pipeline.sample.words import title

Negatives = Mapping[str, Sequence[tuple[int, str]]]  # what was changed → (row, wrong text)


class Matcher(Protocol):
    """BLIP, or what asks it."""

    def match(self, images: np.ndarray, texts: Sequence[str], /) -> np.ndarray:
        """How likely each picture and its text belong together: (N,) in [0, 1]."""
        ...


def changed_titles(titles: Sequence[str]) -> Negatives:
    """For each title of the sample those of the same kind that differ in one attribute alone."""
    near: dict[str, list[tuple[int, str]]] = defaultdict(list)
    scenes = list(every_scene())
    for row, line in enumerate(titles):
        own = parse(line)
        for scene in scenes:
            changed = [name for name in ATTRIBUTES if getattr(scene, name) != getattr(own, name)]
            if len(changed) == 1 and changed != ["kind"]:
                near[changed[0]].append((row, title(scene)))
    return near


def other_captions(captions: Sequence[str], labels: Sequence[str], *, seed: int) -> Negatives:
    """For each caption one other of the same label and one of another, where there are any."""
    generator = np.random.default_rng(seed)
    texts, of = np.array(captions), np.array(labels)
    near: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row, (caption, label) in enumerate(zip(captions, labels, strict=True)):
        for name, asked in (("same_label", of == label), ("other_label", of != label)):
            rows = np.flatnonzero(asked & (texts != caption))
            if label and len(rows):
                near[name].append((row, captions[int(generator.choice(rows))]))
    return near


def hard_negatives(
    blip: Matcher,
    images: np.ndarray,
    captions: Sequence[str],
    negatives: Negatives,
    *,
    threshold: float,
) -> Figures:
    """How often BLIP calls a picture and a nearly right text matched.

    Args:
        images: (N, H, W, 3) uint8, real pictures that BLIP was not trained on.
        captions: (N,) theirs.
        negatives: the wrong texts.
        threshold: a pair is called matched from this probability on.

    Yields:
        For each change CHANGE.called_matched, the share of its texts that are called matched (0 is
        right), with the ends of its 95 % interval over pictures; CHANGE.ranked_first, the share of
        pictures whose own caption is the likeliest beside them; CHANGE.n, texts.

    Raises:
        Unmeasurable: there are no such texts.
    """
    if not negatives:
        raise Unmeasurable("no text differs from another in one thing alone")
    own = blip.match(images, captions)
    for change, pairs in sorted(negatives.items()):
        rows = np.array([row for row, _ in pairs])
        found = blip.match(images[rows], [text for _, text in pairs])
        called = found >= threshold
        yield f"{change}.called_matched", float(called.mean())
        if len(set(rows.tolist())) >= FEWEST:
            low, high = share_interval(called, by=rows.tolist())
            yield f"{change}.called_matched_low", low
            yield f"{change}.called_matched_high", high
        best = np.full(len(captions), -np.inf)
        np.maximum.at(best, rows, found)
        asked = np.unique(rows)
        yield f"{change}.ranked_first", float((own[asked] > best[asked]).mean())
        yield f"{change}.n", float(len(rows))
