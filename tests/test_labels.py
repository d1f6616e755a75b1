"""The label classifier on embeddings whose labels are known."""

from __future__ import annotations

import numpy as np
import pytest
from gallery import kinds, of_random_titles, painted, prompts
from sklearn.metrics import balanced_accuracy_score

from pipeline.evaluation.labels import (
    LabelClassifier,
    common_labels,
    label_accuracy,
    label_recalls,
)
from pipeline.evaluation.pixels import PIXEL_SPACE
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
    with pytest.raises(ValueError, match="4 rows of features, 1 labels"):
        LabelClassifier.fit(np.ones((4, 8)), ["apple"], LABELS, seed=0)


def test_the_accuracy_has_an_interval_over_prompts_and_names_its_worst_label() -> None:
    classifier, labels = fitted(0.5), drawn(200, 1)
    features = embeddings(labels, 0.5, seed=1)
    found = dict(label_accuracy(classifier, features, labels, list(range(200))))
    assert found["label_accuracy"] == classifier.balanced_accuracy(features, labels)
    assert found["label_accuracy_low"] < found["label_accuracy"] < found["label_accuracy_high"]
    assert (found["labels"], found["n"]) == (3, 200)
    recalls = list(label_recalls(classifier, features, labels))
    assert found["label_worst"] == recalls[0][1] == min(recall for _, recall in recalls)
    assert np.mean([recall for _, recall in recalls]) == pytest.approx(found["label_accuracy"])
    # the same pictures four times over are no more evidence
    grouped = dict(
        label_accuracy(
            classifier,
            features.repeat(4, axis=0),
            np.repeat(labels, 4).tolist(),
            np.repeat(range(200), 4).tolist(),
        )
    )
    assert grouped["label_accuracy_low"] == pytest.approx(found["label_accuracy_low"], abs=0.02)


def test_few_prompts_have_no_interval() -> None:
    labels = ["apple", "pear", "plum"] * 2
    found = dict(label_accuracy(fitted(0.05), embeddings(labels, 0.05), labels, labels))
    assert found == {"label_accuracy": 1.0, "label_worst": 1.0, "labels": 3.0, "n": 6.0}
    with pytest.raises(Unmeasurable, match="no picture has a label"):
        dict(label_accuracy(fitted(0.05), np.ones((1, 8)), ["quince"], ["a quince"]))


def test_plain_pixels_tell_the_kinds_of_sample_pictures_that_were_not_learned_from() -> None:
    truth = kinds().tolist()
    classifier = LabelClassifier.fit(
        np.concatenate([PIXEL_SPACE(painted(draw)) for draw in (1, 2)]),
        truth * 2,
        common_labels(truth, at_least=2),
        seed=0,
    )
    found = dict(label_accuracy(classifier, PIXEL_SPACE(painted(0)), truth, prompts()))
    assert found["label_accuracy"] > 0.9
    wrong = dict(label_accuracy(classifier, PIXEL_SPACE(of_random_titles()), truth, prompts()))
    assert wrong["label_accuracy_high"] < 0.3
