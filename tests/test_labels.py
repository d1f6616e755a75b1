"""The label classifier on embeddings whose labels are known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from pipeline.evaluation.labels import LabelClassifier, common_labels
from pipeline.evaluation.unmeasurable import Unmeasurable

LABELS = ("apple", "pear", "plum")


def embeddings(labels: list[str], noise: float, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    centres = np.eye(8)[[LABELS.index(label) if label in LABELS else 7 for label in labels]]
    return (centres + generator.normal(0, noise, centres.shape)).astype(np.float32)


def drawn(count: int, seed: int) -> list[str]:
    return np.random.default_rng(seed).choice(LABELS, size=count, p=[0.7, 0.2, 0.1]).tolist()


def fitted(noise: float) -> LabelClassifier:
    labels = drawn(300, 0)
    return LabelClassifier.fit(embeddings(labels, noise), labels, LABELS, seed=0)


def test_common_labels_come_in_the_order_of_their_counts() -> None:
    labels = ["b", "a", "", "c", "a", "b", "", "", "d"]
    assert common_labels(labels, at_least=1) == ("a", "b", "c", "d")
    assert common_labels(labels, at_least=2) == ("a", "b")
    assert common_labels(labels, at_least=1, at_most=3) == ("a", "b", "c")
    assert common_labels([], at_least=1) == ()


def test_clear_labels_are_told_and_shuffled_ones_guessed() -> None:
    classifier, labels = fitted(0.05), drawn(200, 1)
    embeds = embeddings(labels, 0.05, seed=1)
    assert classifier.balanced_accuracy(embeds, labels) == 1.0
    shuffled = np.random.default_rng(2).permutation(labels).tolist()
    assert classifier.balanced_accuracy(embeds, shuffled) == pytest.approx(1 / 3, abs=0.15)


def test_balanced_accuracy_agrees_with_scikit_learn() -> None:
    classifier, labels = fitted(0.5), drawn(200, 1)
    embeds = embeddings(labels, 0.5, seed=1)
    told = classifier.model.predict(embeds.astype(np.float64))
    expected = balanced_accuracy_score(labels, told)
    assert 0.5 < expected < 1
    assert classifier.balanced_accuracy(embeds, labels) == pytest.approx(expected)


def test_unknown_labels_are_left_out_and_absent_ones_do_not_count() -> None:
    classifier = fitted(0.05)
    labels = ["apple", "pear", "quince", ""]
    assert classifier.balanced_accuracy(embeddings(labels, 0.05), labels) == 1.0
    with pytest.raises(Unmeasurable, match="no picture has a label"):
        classifier.balanced_accuracy(embeddings(["quince"], 0.05), ["quince"])
    with pytest.raises(Unmeasurable, match="no picture has a label"):
        classifier.balanced_accuracy(np.empty((0, 8)), [])


def test_fitting_repeats_itself_and_constant_embeddings_give_a_guess() -> None:
    labels = drawn(100, 3)
    first, second = fitted(0.5), fitted(0.5)
    weights = [c.model[-1].coef_ for c in (first, second)]
    assert np.array_equal(*weights)
    constant = LabelClassifier.fit(np.ones((100, 8)), labels, LABELS, seed=0)
    assert constant.balanced_accuracy(np.ones((100, 8)), labels) == pytest.approx(1 / 3)


def test_one_label_is_nothing_to_tell_apart() -> None:
    with pytest.raises(Unmeasurable, match="fewer than two labels"):
        LabelClassifier.fit(np.ones((4, 8)), ["apple"] * 4, LABELS, seed=0)
    with pytest.raises(ValueError, match="4 embeddings, 1 labels"):
        LabelClassifier.fit(np.ones((4, 8)), ["apple"], LABELS, seed=0)
