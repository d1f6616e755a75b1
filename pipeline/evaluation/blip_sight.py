"""What BLIP can and cannot see of real pictures: captions that are right, kinds, blind spots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tokenizers.normalizers import Normalizer

from pipeline.evaluation.bootstrap import FEWEST, share_interval
from pipeline.evaluation.captions import OUR_SPELLING, words
from pipeline.evaluation.labels import LabelClassifier, label_accuracy, require_labels
from pipeline.evaluation.scores import Figures
from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.sample.attributes import ATTRIBUTES, WAYS
from pipeline.sample.scene import KINDS
from pipeline.sample.titles import TITLES, parse

MAX_ITERATIONS = 1000
ALL_ONE = 0.9  # share of pictures with the same caption
CONFUSION = "confusion"  # what begins the names of a confusion's cells


def captions_right(
    titles: Sequence[str], captions: Sequence[str], *, spelling: Normalizer = OUR_SPELLING
) -> Figures:
    """How many captions of real pictures say all of their titles, word for word.

    Args:
        titles: (N,) what the pictures are called.
        captions: (N,) what the captioner says of them.
        spelling: see `captions.words`.

    Yields:
        right, its 95 % interval, and n; commonest: the share of pictures that get the commonest
        caption (near 1 for a captioner that says the same of all).

    Raises:
        Unmeasurable: there are no captions.
    """
    if not captions:
        raise Unmeasurable("there are no captions")
    right = right_captions(titles, captions, spelling=spelling)
    yield from _share("right", right)
    yield "commonest", max(Counter(captions).values()) / len(captions)
    yield "n", float(len(captions))


def right_captions(
    titles: Sequence[str], captions: Sequence[str], *, spelling: Normalizer = OUR_SPELLING
) -> np.ndarray:
    """(N,) bool: whether each caption has the very words of its title."""
    return np.array(
        [
            words(title, spelling) == words(said, spelling)
            for title, said in zip(titles, captions, strict=True)
        ],
        dtype=bool,
    )


def attributes_right(titles: Sequence[str], captions: Sequence[str]) -> Figures:
    """Of the sample: how many captions have each attribute of their titles right.

    A caption that is no title of the sample has none right. Only kinds count that have a choice.

    Yields:
        Each attribute's share with its 95 % interval.
    """
    scenes = {tuple(words(title)): parse(title) for title in TITLES}
    said = [scenes.get(tuple(words(caption))) for caption in captions]
    asked = [parse(title) for title in titles]
    for column, name in enumerate(ATTRIBUTES):
        right = [
            seen is not None and getattr(seen, name) == getattr(scene, name)
            for scene, seen in zip(asked, said, strict=True)
            if WAYS[KINDS.index(scene.kind), column] > 1
        ]
        if right:
            yield from _share(name, np.array(right))


def told_kinds(
    training: Sequence[str],
    labels: Sequence[str],
    kept: Sequence[str],
    texts: Mapping[str, Sequence[str]],
) -> dict[str, np.ndarray]:
    """Which kind of thing each text speaks of, by a classifier of the training captions' words.

    Args:
        training: captions that people wrote, and `labels`: what their pictures are of.
        kept: the labels to tell apart.
        texts: a name → texts.

    Returns:
        The same names → one of `kept` for each text.

    Raises:
        Unmeasurable: there are fewer than two labels to tell apart.
    """
    rows = [row for row, label in enumerate(labels) if label in kept]
    require_labels(sorted({labels[row] for row in rows}))
    model = make_pipeline(
        CountVectorizer(analyzer=words, binary=True),
        LogisticRegression(max_iter=MAX_ITERATIONS, class_weight="balanced"),
    )
    model.fit([training[row] for row in rows], [labels[row] for row in rows])
    return {name: model.predict(list(asked)) for name, asked in texts.items()}


def kinds_right(told: np.ndarray, labels: Sequence[str], kept: Sequence[str]) -> Figures:
    """How often the right kind is told, the mean over kinds, and what is told in its place.

    Args:
        told: (N,) what a text speaks of, one of `kept`.
        labels: (N,) what is in the picture; pictures of other things do not count.
        kept: the kinds.

    Yields:
        balanced with its 95 % interval; worst; n; and the confusion: `confusion.KIND.told_KIND`,
        the shares above 0 of the pictures of each kind.

    Raises:
        Unmeasurable: no picture shows one of the kinds.
    """
    rows = [row for row, label in enumerate(labels) if label in kept]
    if not rows:
        raise Unmeasurable("no picture has a label with enough training pictures")
    truth, said = np.array([labels[row] for row in rows]), told[rows]
    right = said == truth
    found, places, counts = np.unique(truth, return_inverse=True, return_counts=True)
    recalls = np.bincount(places, right) / counts
    yield "balanced", float(recalls.mean())
    if len(right) >= FEWEST:
        low, high = share_interval(right, weights=1 / counts[places])
        yield "balanced_low", low
        yield "balanced_high", high
    yield "worst", float(recalls.min())
    yield "n", float(len(right))
    for kind in found.tolist():
        for other in kept:
            share = float((said[truth == kind] == other).mean())
            if share:
                yield f"{CONFUSION}.{_plain(kind)}.told_{_plain(other)}", share


def probe(
    train: np.ndarray,
    train_labels: Sequence[str],
    test: np.ndarray,
    test_labels: Sequence[str],
    kept: Sequence[str],
    *,
    seed: int,
) -> Figures:
    """How well a linear classifier tells kinds by embeddings (a linear probe), balanced.

    Args:
        train, test: (N, D), (M, D) embeddings of training and of test pictures.
        kept: the kinds.
        seed: of scikit-learn's draws.
    """
    classifier = LabelClassifier.fit(train, train_labels, kept, seed=seed)
    yield from label_accuracy(classifier, test, test_labels, range(len(test_labels)))


def blind_spots(values: Mapping[str, float]) -> list[str]:
    """Of BLIP's figures what says that a part of it has learned nothing, one line each."""
    lines = []
    for name, said in (
        ("matching.auc", "Matching is at chance: it tells no pair that belongs together"),
        ("similarity.auc", "The embeddings are at chance: no picture is nearer to its own text"),
    ):
        if name in values and values.get(f"{name}_low", values[name]) <= 0.5:
            lines.append(f"{said} (AUC {values[name]:.2f}).")
    commonest = values.get("captions.commonest", 0.0)
    if commonest > ALL_ONE and values["captions.right"] < 1 - commonest:
        lines.append(f"Captions are all one: {commonest:.0%} of the pictures get the same.")
    return lines


def _share(name: str, right: np.ndarray) -> Figures:
    yield name, float(right.mean())
    if len(right) >= FEWEST:
        low, high = share_interval(right)
        yield f"{name}_low", low
        yield f"{name}_high", high


def _plain(label: str) -> str:
    """A label without the dots that part figures' names."""
    return label.replace(".", " ")
