"""Does a picture show what it should: a classifier of real pictures' labels, asked about others.

It learns from real training pictures only, and judges real test pictures (its ceiling),
reconstructions, generated pictures and shuffled prompts (its floor) alike. It must not see the
embeddings of a model that read the prompts or chose the pictures: give it a neutral backbone's
features (`features.backbone_space`), or plain pixels (`pixels.PIXEL_SPACE`) where there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from pipeline.evaluation.bootstrap import FEWEST, share_interval
from pipeline.evaluation.unmeasurable import Unmeasurable

MAX_ITERATIONS = 5000  # far more than standardised features take
INVERSE_PENALTY = 0.01  # scikit-learn's C; its own 1 overfits a thousand features a picture


def common_labels(
    labels: Sequence[str], *, at_least: int, at_most: int | None = None
) -> tuple[str, ...]:
    """The labels worth asking for, the commonest first, ties in alphabetical order.

    Args:
        labels: one a training picture; "" is none.
        at_least: how many pictures a label needs.
        at_most: how many labels to keep; None: all.
    """
    counts = Counter(label for label in labels if label)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    return tuple(label for label in ranked if counts[label] >= at_least)[:at_most]


def require_labels(labels: Sequence[str]) -> None:
    """See that there are labels to tell apart.

    Raises:
        Unmeasurable: there are fewer than two.
    """
    if len(labels) < 2:
        raise Unmeasurable("fewer than two labels have enough training pictures")


@dataclass(frozen=True)
class LabelClassifier:
    """Tells labels by features of pictures.

    Attributes:
        labels: those that it tells apart.
        model: standardisation and multinomial logistic regression.
    """

    labels: tuple[str, ...]
    model: Pipeline

    @classmethod
    def fit(
        cls, features: np.ndarray, labels: Sequence[str], kept: Sequence[str], *, seed: int
    ) -> LabelClassifier:
        """Learn from real training pictures; each label weighs the same, however common it is.

        Args:
            features: (N, D) of the pictures.
            labels: (N,) the first label of each; pictures of other labels than `kept` are left out.
            kept: from `common_labels`.
            seed: of scikit-learn's own draws.

        Raises:
            Unmeasurable: there are fewer than two labels to tell apart.
        """
        rows = _rows(features, labels, kept)
        found = sorted({labels[row] for row in rows})
        require_labels(found)
        model = make_pipeline(
            StandardScaler(copy=False),  # what it is given is a copy already
            LogisticRegression(
                C=INVERSE_PENALTY,
                max_iter=MAX_ITERATIONS,
                class_weight="balanced",
                random_state=seed,
            ),
        )
        with threadpool_limits(limits=1):  # so small products only wait for each other's threads
            model.fit(features[rows].astype(np.float64), [labels[row] for row in rows])
        return cls(tuple(found), model)

    def balanced_accuracy(self, features: np.ndarray, labels: Sequence[str]) -> float:
        """The mean over labels of the share of its pictures that are told right.

        Args:
            features: (N, D) of any pictures.
            labels: (N,) what each should show; pictures of labels that were not learned are left
                out, and a label without a picture does not count.

        Returns:
            In [0, 1]; a guess is right with 1 / len(self.labels).

        Raises:
            Unmeasurable: no picture should show a label that was learned.
        """
        right, truth = self.right(features, labels)
        return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))

    def right(self, features: np.ndarray, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Which pictures of the learned labels are told right, (M,) bool, and their labels, (M,).

        Raises:
            Unmeasurable: no picture should show a label that was learned.
        """
        rows = _rows(features, labels, self.labels)
        if not rows:
            raise Unmeasurable("no picture has a label with enough training pictures")
        truth = np.array([labels[row] for row in rows])
        return self.model.predict(features[rows].astype(np.float64)) == truth, truth


def label_accuracy(
    classifier: LabelClassifier,
    features: np.ndarray,
    labels: Sequence[str],
    prompts: Sequence[Hashable],
) -> Iterator[tuple[str, float]]:
    """How often a picture shows what its prompt asks for; the same of held-out real ones beside it.

    Args:
        features: (N, D) of any pictures, in the space that the classifier was fitted in.
        labels: (N,) what each should show.
        prompts: (N,) the prompt of each: pictures of one prompt are no independent evidence.

    Yields:
        label_accuracy: the mean over labels of the share told right, in [0, 1]; label_accuracy_low
        and _high: its 95 % interval over prompts, where there are at least 20; label_worst: the
        share of the label told worst; labels: how many were asked for; n: pictures.

    Raises:
        Unmeasurable: no picture should show a label that was learned.
    """
    right, truth = classifier.right(features, labels)
    units = [prompts[row] for row in _rows(features, labels, classifier.labels)]
    found, row_labels, counts = np.unique(truth, return_inverse=True, return_counts=True)
    recalls = np.bincount(row_labels, right) / counts
    yield "label_accuracy", float(recalls.mean())
    if len(set(units)) >= FEWEST:
        # a label's pictures share its weight, so that the weighted share is the balanced one
        low, high = share_interval(right, by=units, weights=1 / counts[row_labels])
        yield "label_accuracy_low", low
        yield "label_accuracy_high", high
    yield "label_worst", float(recalls.min())
    yield "labels", float(len(found))
    yield "n", float(len(right))


def label_recalls(
    classifier: LabelClassifier, features: np.ndarray, labels: Sequence[str]
) -> Iterator[tuple[str, float]]:
    """Each label's share of pictures told right, the worst first: a table, not a metric.

    Raises:
        Unmeasurable: no picture should show a label that was learned.
    """
    right, truth = classifier.right(features, labels)
    shares = {label: float(right[truth == label].mean()) for label in np.unique(truth).tolist()}
    yield from sorted(shares.items(), key=lambda item: (item[1], item[0]))


def _rows(features: np.ndarray, labels: Sequence[str], kept: Sequence[str]) -> list[int]:
    if len(features) != len(labels):
        raise ValueError(f"{len(features)} rows of features, {len(labels)} labels")
    return [row for row, label in enumerate(labels) if label in kept]
