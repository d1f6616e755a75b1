"""Does a picture show what it should: a classifier of real pictures' labels, asked about others.

It sees BLIP's image embeddings, learns from real training pictures only, and judges real test
pictures (its ceiling), reconstructions, generated pictures and shuffled prompts (its floor) alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from pipeline.evaluation.unmeasurable import Unmeasurable

MAX_ITERATIONS = 5000  # far more than standardised embeddings take


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


@dataclass(frozen=True)
class LabelClassifier:
    """Tells labels by image embeddings.

    Attributes:
        labels: those that it tells apart.
        model: standardisation and multinomial logistic regression.
    """

    labels: tuple[str, ...]
    model: Pipeline

    @classmethod
    def fit(
        cls, embeds: np.ndarray, labels: Sequence[str], kept: Sequence[str], *, seed: int
    ) -> LabelClassifier:
        """Learn from real training pictures; each label weighs the same, however common it is.

        Args:
            embeds: (N, D) of the pictures.
            labels: (N,) the first label of each; pictures of other labels than `kept` are left out.
            kept: from `common_labels`.
            seed: of scikit-learn's own draws.

        Raises:
            Unmeasurable: there are fewer than two labels to tell apart.
        """
        rows = _rows(embeds, labels, kept)
        found = sorted({labels[row] for row in rows})
        if len(found) < 2:
            raise Unmeasurable("fewer than two labels have enough training pictures")
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(max_iter=MAX_ITERATIONS, class_weight="balanced", random_state=seed),
        )
        with threadpool_limits(limits=1):  # so small products only wait for each other's threads
            model.fit(embeds[rows].astype(np.float64), [labels[row] for row in rows])
        return cls(tuple(found), model)

    def balanced_accuracy(self, embeds: np.ndarray, labels: Sequence[str]) -> float:
        """The mean over labels of the share of its pictures that are told right.

        Args:
            embeds: (N, D) of any pictures.
            labels: (N,) what each should show; pictures of labels that were not learned are left
                out, and a label without a picture does not count.

        Returns:
            In [0, 1]; a guess is right with 1 / len(self.labels).

        Raises:
            Unmeasurable: no picture should show a label that was learned.
        """
        rows = _rows(embeds, labels, self.labels)
        if not rows:
            raise Unmeasurable("no picture has a label with enough training pictures")
        truth = np.array([labels[row] for row in rows])
        right = self.model.predict(embeds[rows].astype(np.float64)) == truth
        return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))


def _rows(embeds: np.ndarray, labels: Sequence[str], kept: Sequence[str]) -> list[int]:
    if len(embeds) != len(labels):
        raise ValueError(f"{len(embeds)} embeddings, {len(labels)} labels")
    return [row for row, label in enumerate(labels) if label in kept]
