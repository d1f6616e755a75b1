"""Matching and retrieval against scikit-learn and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    precision_score,
    recall_score,
)

from pipeline.evaluation.matching import (
    matched_only,
    matching,
    relatedness,
    retrieval,
    similarity,
)
from pipeline.evaluation.unmeasurable import Unmeasurable

SCORES = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), min_size=1, max_size=20)


@given(SCORES, SCORES)
def test_matching_agrees_with_scikit_learn(matched: list[float], mismatched: list[float]) -> None:
    truth = [1] * len(matched) + [0] * len(mismatched)
    called = [int(score >= 0.5) for score in matched + mismatched]
    measures = dict(matching(np.array(matched), np.array(mismatched), threshold=0.5))
    assert measures["accuracy"] == pytest.approx(accuracy_score(truth, called))
    assert measures["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, called))
    assert measures["recall"] == pytest.approx(recall_score(truth, called))
    assert measures["f1"] == pytest.approx(f1_score(truth, called))
    assert ("precision" in measures) == any(called)
    if any(called):
        assert measures["precision"] == pytest.approx(precision_score(truth, called))


def test_a_model_that_always_says_yes_passes_matched_pairs_alone() -> None:
    yes = np.ones(10)
    assert set(dict(matched_only(yes, threshold=0.5)).values()) == {1.0}
    both = dict(matching(yes, yes, threshold=0.5))
    assert both["accuracy"] == both["balanced_accuracy"] == both["precision"] == 0.5


def test_precision_is_left_out_where_nothing_is_called_matched() -> None:
    no = np.zeros(3)
    assert dict(matched_only(no, threshold=0.5)) == {"accuracy": 0.0, "recall": 0.0, "f1": 0.0}
    assert "precision" not in dict(matching(no, no, threshold=0.5))


def test_pairs_of_both_kinds_are_needed() -> None:
    none, some = np.empty(0), np.ones(2)
    for call in (
        lambda: dict(matching(none, some, threshold=0.5)),
        lambda: dict(matching(some, none, threshold=0.5)),
        lambda: dict(matched_only(none, threshold=0.5)),
        lambda: dict(similarity(none)),
    ):
        with pytest.raises(Unmeasurable, match="pairs"):
            call()


def test_similarity_of_one_pair_has_no_spread() -> None:
    assert dict(similarity(np.array([0.25], dtype=np.float32))) == {
        "mean": 0.25,
        "median": 0.25,
        "std": 0.0,
    }


def test_subtask_1_is_the_challenges_f1_macro() -> None:
    generator = np.random.default_rng(0)
    labels = generator.choice(["YES", "NO"], size=200, p=[0.2, 0.8]).tolist()
    scores = generator.random(200)
    called = ["YES" if score >= 0.5 else "NO" for score in scores]
    measures = dict(relatedness(labels, scores, threshold=0.5, pictures=range(200), seed=0))
    assert measures["f1_macro"] == pytest.approx(f1_score(labels, called, average="macro"))
    assert measures["accuracy"] == pytest.approx(accuracy_score(labels, called))


def test_subtask_1_takes_both_labels_and_only_those() -> None:
    with pytest.raises(Unmeasurable, match="labelled NO"):
        dict(relatedness(["YES", "YES"], np.ones(2), threshold=0.5, pictures=[0, 1], seed=0))
    with pytest.raises(ValueError, match="MAYBE"):
        dict(relatedness(["YES", "MAYBE"], np.ones(2), threshold=0.5, pictures=[0, 1], seed=0))


def brute_force(images, texts, words, images_of, k):
    """Recall@k by sorting every query's candidates, wrong ones first among equals."""
    found = {"text_to_image": [], "image_to_text": []}
    pairs = {(words[t], images_of[t]) for t in range(len(words))}
    for t in range(len(words)):
        candidates = [
            (-float(texts[t] @ images[i]), (words[t], i) in pairs) for i in range(len(images))
        ]
        found["text_to_image"].append(any(right for _, right in sorted(candidates)[:k]))
    for i in sorted(set(images_of)):
        rows = {word: t for t, word in reversed(list(enumerate(words)))}
        candidates = [(-float(texts[t] @ images[i]), (w, i) in pairs) for w, t in rows.items()]
        found["image_to_text"].append(any(right for _, right in sorted(candidates)[:k]))
    return {way: np.mean(hits) for way, hits in found.items()}


@pytest.mark.parametrize("seed", range(4))
def test_retrieval_agrees_with_brute_force(seed: int) -> None:
    generator = np.random.default_rng(seed)
    words = [f"text {i}" for i in generator.integers(0, 18, size=40)]  # several rows of some
    images_of = generator.integers(0, 15, size=40).tolist()  # several texts of some, none of others
    meaning = {word: generator.integers(-1, 2, size=3) for word in words}  # coarse: many ties
    texts = np.stack([meaning[word] for word in words]).astype(np.float64)
    images = generator.integers(-1, 2, size=(16, 3)).astype(np.float64)
    measures = dict(retrieval(images, texts, words, images_of))
    for k in (1, 5, 10):
        expected = brute_force(images, texts, words, images_of, k)
        for way, share in expected.items():
            assert measures[f"{way}.recall@{k}"] == pytest.approx(share)


def test_the_same_embedding_for_everything_finds_nothing() -> None:
    measures = dict(
        retrieval(np.ones((20, 4)), np.ones((20, 4)), list("abcdefghijklmnopqrst"), range(20))
    )
    assert set(measures.values()) == {0.0}


def test_all_texts_of_a_picture_and_the_same_words_elsewhere_are_right() -> None:
    images = np.eye(3)
    texts = np.eye(3)[[0, 1, 1, 2]]
    # the second picture's text is also the third's: finding either is right
    measures = dict(retrieval(images, texts, ["a", "b", "b", "c"], [0, 1, 2, 2]))
    assert measures["text_to_image.recall@1"] == 1.0
    assert measures["image_to_text.recall@1"] == 1.0


def test_a_rank_that_takes_in_all_candidates_is_left_out() -> None:
    measures = dict(retrieval(np.eye(5), np.eye(5), list("abcde"), range(5)))
    assert measures == {"text_to_image.recall@1": 1.0, "image_to_text.recall@1": 1.0}
    with pytest.raises(Unmeasurable, match="at least two"):
        dict(retrieval(np.eye(1), np.eye(1), ["a"], [0]))
