"""Does BLIP know which text belongs to which picture: matching, similarity, retrieval."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from scipy.stats import norm

from pipeline.evaluation.bootstrap import FEWEST, LEVEL, RESAMPLES, share_interval
from pipeline.evaluation.scores import Figures
from pipeline.evaluation.unmeasurable import Unmeasurable

RANKS = (1, 5, 10)


def matching(matched: np.ndarray, mismatched: np.ndarray, *, threshold: float) -> Figures:
    """Judge matched and mismatched pairs together: what a model that always says yes cannot pass.

    Args:
        matched: (N,) probabilities that pairs which belong together match.
        mismatched: (M,) the same of pairs which do not.
        threshold: a pair is called matched from this probability on.

    Yields:
        accuracy; balanced_accuracy (the mean of what is right on either kind) with its 95 %
        interval; auc, which knows no threshold, with its own; precision, recall and f1 of
        "matched"; n. Precision is left out where nothing is called matched.

    Raises:
        Unmeasurable: there are no pairs of one kind.
    """
    _some(matched, "matched")
    _some(mismatched, "mismatched")
    hits, false_alarms = int((matched >= threshold).sum()), int((mismatched >= threshold).sum())
    recall, rejected = hits / len(matched), 1 - false_alarms / len(mismatched)
    right = hits + len(mismatched) - false_alarms
    yield "accuracy", right / (len(matched) + len(mismatched))
    yield "balanced_accuracy", (recall + rejected) / 2
    answers = np.concatenate([matched >= threshold, mismatched < threshold])
    weights = np.repeat([1 / len(matched), 1 / len(mismatched)], [len(matched), len(mismatched)])
    if len(answers) >= FEWEST:
        low, high = share_interval(answers, weights=weights)
        yield "balanced_accuracy_low", low
        yield "balanced_accuracy_high", high
    yield from auc(matched, mismatched)
    yield "recall", recall
    yield "f1", 2 * hits / (len(matched) + hits + false_alarms)
    if hits + false_alarms:
        yield "precision", hits / (hits + false_alarms)
    yield "n", float(len(matched) + len(mismatched))


def auc(matched: np.ndarray, mismatched: np.ndarray) -> Figures:
    """The area under the ROC curve: how often a matched pair scores above a mismatched one.

    Yields:
        auc, and the ends of its 95 % interval by DeLong et al. 1988 (doi:10.2307/2531595).

    Raises:
        Unmeasurable: there are no pairs of one kind.
    """
    _some(matched, "matched")
    _some(mismatched, "mismatched")
    above = _above(matched, np.sort(mismatched))
    below = 1 - _above(mismatched, np.sort(matched))
    area = float(above.mean())
    yield "auc", area
    if min(len(matched), len(mismatched)) >= FEWEST:
        error = np.sqrt(above.var(ddof=1) / len(matched) + below.var(ddof=1) / len(mismatched))
        wide = float(norm.ppf(0.5 + LEVEL / 2) * error)
        yield "auc_low", max(0.0, area - wide)
        yield "auc_high", min(1.0, area + wide)


def _above(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each score the share of the sorted others that lie below it, equal ones by half."""
    below, upto = (np.searchsorted(others, scores, side=side) for side in ("left", "right"))
    found: np.ndarray = (below + upto) / (2 * len(others))
    return found


def matched_only(matched: np.ndarray, *, threshold: float) -> Figures:
    """Judge matched pairs alone, as the source did: always saying yes scores 1.0 throughout.

    Args:
        matched: (N,) probabilities that pairs which belong together match.
        threshold: a pair is called matched from this probability on.

    Yields:
        accuracy, recall (the same number) and f1; precision, 1 by construction, where any pair is
        called matched.

    Raises:
        Unmeasurable: there are no matched pairs.
    """
    _some(matched, "matched")
    hits = int((matched >= threshold).sum())
    yield "accuracy", hits / len(matched)
    yield "recall", hits / len(matched)
    yield "f1", 2 * hits / (len(matched) + hits)
    if hits:
        yield "precision", 1.0


def similarity(values: np.ndarray) -> Figures:
    """mean, median and (population) std, the standard deviation, of the similarities (N,) of pairs.

    Raises:
        Unmeasurable: there are no pairs.
    """
    if not len(values):
        raise Unmeasurable("there are no pairs")
    values = values.astype(np.float64)
    yield "mean", float(values.mean())
    yield "median", float(np.median(values))
    yield "std", float(values.std())


def relatedness(
    labels: Sequence[str],
    probabilities: np.ndarray,
    *,
    threshold: float,
    pictures: Sequence[Hashable],
    seed: int,
) -> Figures:
    """MUSTI's subtask 1, as the challenge's table has it: is the text's smell in the picture?

    Args:
        labels: (N,) "YES" or "NO", as people labelled the pairs.
        probabilities: (N,) that a pair matches.
        threshold: a pair is called YES from this probability on.
        pictures: (N,) the picture of each pair: those of one picture are drawn again together.
        seed: of the bootstrap.

    Yields:
        f1_macro (the plain mean of both labels' F1), its 95 % interval by percentiles where there
        are at least 20 pictures, and accuracy; n: pairs, pictures.

    Raises:
        Unmeasurable: one of the labels does not occur.
    """
    truth = np.array([label == "YES" for label in labels], dtype=bool)
    called = probabilities >= threshold
    if len(truth) != len(called) or not set(labels) <= {"YES", "NO"}:
        raise ValueError(f"{len(labels)} labels {sorted(set(labels))}, {len(called)} probabilities")
    if truth.all() or not truth.any():
        raise Unmeasurable("subtask 1 takes pairs labelled YES and pairs labelled NO")
    yes, no = _f1(truth, called), _f1(~truth, ~called)
    yield "f1_macro", (yes + no) / 2
    unit_of = {picture: unit for unit, picture in enumerate(dict.fromkeys(pictures))}
    if len(unit_of) >= FEWEST:
        found = _f1_resampled(truth, called, np.array([unit_of[p] for p in pictures]), seed=seed)
        low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        yield "f1_macro_low", float(low)
        yield "f1_macro_high", float(high)
    yield "accuracy", float((truth == called).mean())
    yield "n", float(len(truth))
    yield "pictures", float(len(unit_of))


def _f1_resampled(
    truth: np.ndarray, called: np.ndarray, unit: np.ndarray, *, seed: int
) -> np.ndarray:
    """The macro F1 of 2,000 draws of as many pictures, with repetition: (RESAMPLES,)."""
    size = int(unit.max()) + 1
    cells = np.stack(
        [
            np.bincount(unit, weights=(truth == is_yes) & (called == says_yes), minlength=size)
            for is_yes, says_yes in ((True, True), (True, False), (False, True), (False, False))
        ]
    )  # (4, pictures): pairs that are YES and called so, YES and called NO, …
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    hits, misses, alarms, rejected = cells @ counts.T
    wrong = misses + alarms
    with np.errstate(invalid="ignore"):  # a draw without a label has no F1 of it
        scores = np.stack([2 * kind / (2 * kind + wrong) for kind in (hits, rejected)])
    mean: np.ndarray = np.nan_to_num(scores).mean(axis=0)
    return mean


def _f1(truth: np.ndarray, called: np.ndarray) -> float:
    return float(2 * (truth & called).sum() / (truth.sum() + called.sum()))


def _some(values: np.ndarray, kind: str) -> None:
    if not len(values):
        raise Unmeasurable(f"there are no {kind} pairs")


def retrieval(
    image_embeds: np.ndarray,
    text_embeds: np.ndarray,
    texts: Sequence[str],
    images_of: Sequence[int],
) -> Figures:
    """Recall@k of images by text and of texts by image: is a right answer among the k nearest?

    Every text of a picture is a right answer for it, and every picture that a text (or another row
    of the same words) belongs to is one for the text. Equal scores count against the model, so that
    one which gives the same embedding to everything finds nothing.

    Args:
        image_embeds: (I, D) L2-normalised, a row for each picture.
        text_embeds: (T, D) L2-normalised, a row for each text.
        texts: (T,) the words; rows of the same words are the same answer.
        images_of: (T,) the row in `image_embeds` of the picture that each text belongs to.

    Yields:
        text_to_image (mean over texts) and image_to_text (mean over pictures with a text), each
        .recall@1, @5, @10; a rank that takes in all candidates is left out.

    Raises:
        Unmeasurable: there is not more than one picture, or one text, to choose from.
    """
    if not len(text_embeds) == len(texts) == len(images_of):
        raise ValueError(f"{len(text_embeds)} embeddings, {len(texts)} texts, {len(images_of)} ids")
    words = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    word_of = np.array([words[text] for text in texts], dtype=np.int64)
    if len(image_embeds) < 2 or len(words) < 2:
        raise Unmeasurable("retrieval takes at least two pictures and two texts")
    right = np.zeros((len(words), len(image_embeds)), dtype=bool)
    right[word_of, np.asarray(images_of)] = True
    first_row = np.unique(word_of, return_index=True)[1]
    scores = text_embeds[first_row].astype(np.float64) @ image_embeds.astype(np.float64).T
    by_text = _ranks(scores, right)[word_of]  # a text counts as often as it occurs
    asked = right.any(axis=0)  # pictures without any text are candidates, not questions
    by_image = _ranks(scores.T[asked], right.T[asked])
    yield from _recalls("text_to_image", by_text, candidates=len(image_embeds))
    yield from _recalls("image_to_text", by_image, candidates=len(words))


def _ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Wrong answers that score no less than the best right one: scores, right (Q, A) -> (Q,)."""
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    return (~right & (scores >= best)).sum(axis=1)


def _recalls(way: str, ranks: np.ndarray, *, candidates: int) -> Figures:
    return ((f"{way}.recall@{k}", float((ranks < k).mean())) for k in RANKS if k < candidates)
