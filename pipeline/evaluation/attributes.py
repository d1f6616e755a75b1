"""How much of a title a picture shows, attribute by attribute, from a judge's answers.

As GenEval does (https://arxiv.org/abs/2310.11513): several pictures of each prompt, none selected,
and a picture is right only if all that was asked for is. The answers are forced choices, so each
figure stands beside its chance level; draws of one prompt are alike, so intervals resample prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from pipeline.evaluation.unmeasurable import Unmeasurable
from pipeline.sample.attributes import ATTRIBUTES, VALUES, WAYS, encode
from pipeline.sample.scene import KINDS
from pipeline.sample.titles import parse, seen

FIT = 0.99  # share of pictures known to be right that a judge must call so
RESAMPLES = 2000
LEVEL = 0.95
HEADLINE = (*ATTRIBUTES, "all", "all_seen", "all_unseen")  # then all_KIND for each kind

Shares = dict[str, tuple[np.ndarray, np.ndarray]]  # right and counted: (N,) bool each


def require_fit(right: Mapping[str, float], *, least: float = FIT) -> None:
    """Check a judge on pictures that show what they should.

    Args:
        right: a set's name → the share of it that the judge calls entirely right.

    Raises:
        Unmeasurable: a share is below `least`: no figure of this judge means anything.
    """
    for name, share in right.items():
        if share < least:
            raise Unmeasurable(f"the judge calls {share:.3f} of {name} right, less than {least}")


def attribute_accuracy(titles: Sequence[str], answers: np.ndarray) -> Iterator[tuple[str, float]]:
    """Shares of the pictures that show what their titles say.

    A name is an attribute, over the titles whose kind has a choice in it; `all`: nothing is wrong;
    `all_seen` and `all_unseen`, of titles that were trained on or held out; `all_ship` and so on.
    What no title asks for is not given.

    Args:
        titles: (N,), of the sample; a title may come often.
        answers: (N, 6) int64, what was seen, as `pipeline.sample.attributes.encode` numbers it.

    Raises:
        Unmeasurable: there are no pictures.
    """
    for name, (right, counted) in _shares(titles, answers).items():
        yield name, float(right[counted].mean())


def all_right(titles: Sequence[str], answers: np.ndarray) -> np.ndarray:
    """Does each picture show everything that its title says? (N,) bool; see above."""
    return _shares(titles, answers)["all"][0]


def attribute_intervals(
    titles: Sequence[str], answers: np.ndarray, *, seed: int
) -> Iterator[tuple[str, float]]:
    """95 % intervals of `attribute_accuracy`, as NAME_low and NAME_high: prompts are drawn again.

    Percentiles widened for few prompts (https://arxiv.org/abs/1411.5279, section 4.3). Where no
    prompt differs from another, at 0 or 1, a bootstrap would be sure of it: there Clopper and
    Pearson's bound is given, with each prompt counted once. A name with fewer than two prompts has
    no interval.
    """
    _, prompts = np.unique(np.asarray(titles), return_inverse=True)
    for name, (right, counted) in _shares(titles, answers).items():
        totals = _per_prompt(prompts, counted)
        hits = _per_prompt(prompts, counted & right)[totals > 0]
        totals = totals[totals > 0]
        if len(totals) < 2:
            continue
        low, high = _interval(hits, totals, seed=seed)
        if hits.sum() == totals.sum():
            low, high = ((1 - LEVEL) / 2) ** (1 / len(totals)), 1.0
        elif hits.sum() == 0:
            low, high = 0.0, 1 - ((1 - LEVEL) / 2) ** (1 / len(totals))
        yield f"{name}_low", low
        yield f"{name}_high", high


def attribute_gain(
    titles: Sequence[str], answers: np.ndarray, without: np.ndarray, *, seed: int
) -> Iterator[tuple[str, float]]:
    """What one way of painting gains over another, picture by picture of the same titles.

    Args:
        answers, without: (N, 6) each, of pictures made with and without it (reranking, say).

    Returns:
        NAME, NAME_low, NAME_high: the difference and its 95 % interval by prompt.
    """
    _, prompts = np.unique(np.asarray(titles), return_inverse=True)
    before = _shares(titles, without)
    for name, (right, counted) in _shares(titles, answers).items():
        change = right.astype(float) - before[name][0]
        totals = _per_prompt(prompts, counted)
        changes = np.bincount(prompts, weights=change * counted)[totals > 0]
        totals = totals[totals > 0]
        yield name, float(changes.sum() / totals.sum())
        if len(totals) >= 2:
            low, high = _interval(changes, totals, seed=seed)
            yield f"{name}_low", low
            yield f"{name}_high", high


def attribute_chance(titles: Sequence[str]) -> Iterator[tuple[str, float]]:
    """What blind guesses score, exactly, under the names of `attribute_accuracy`."""
    asked = encode([parse(title) for title in titles])
    ways = WAYS[asked[:, 0]]  # (N, 6)
    for name, (_, counted) in _shares(titles, asked).items():
        column = ATTRIBUTES.index(name) if name in ATTRIBUTES else slice(None)
        yield name, float((1 / ways[counted][:, column]).reshape(counted.sum(), -1).prod(1).mean())


def attribute_sizes(titles: Sequence[str]) -> Iterator[tuple[str, float]]:
    """How many pictures and different prompts there are, and how many of these were held out."""
    yield "pictures", len(titles)
    yield "prompts", len(set(titles))
    yield "prompts_unseen", sum(not seen(title) for title in set(titles))


def count_confusion(titles: Sequence[str], answers: np.ndarray) -> np.ndarray:
    """How many were asked for and how many are seen: (3, 3) int64, rows asked, columns seen.

    Kinds that come in ones only are left out.
    """
    column = ATTRIBUTES.index("count")
    asked = encode([parse(title) for title in titles])
    counted = WAYS[asked[:, 0], column] > 1
    size = len(VALUES["count"])
    cells = asked[counted, column] * size + answers[counted, column]
    return np.bincount(cells, minlength=size * size).reshape(size, size)


def _shares(titles: Sequence[str], answers: np.ndarray) -> Shares:
    if not titles:
        raise Unmeasurable("there are no pictures of the sample's titles")
    asked = encode([parse(title) for title in titles])
    if answers.shape != asked.shape:
        raise ValueError(f"answers {answers.shape} beside titles {asked.shape}")
    choice = WAYS[asked[:, 0]] > 1
    right = answers == asked
    whole = (right | ~choice).all(axis=1)
    known = np.array([seen(title) for title in titles])
    shares = {name: (right[:, k], choice[:, k]) for k, name in enumerate(ATTRIBUTES)}
    shares["all"] = whole, np.ones(len(titles), dtype=bool)
    shares["all_seen"], shares["all_unseen"] = (whole, known), (whole, ~known)
    shares |= {f"all_{kind}": (whole, asked[:, 0] == k) for k, kind in enumerate(KINDS)}
    return {name: share for name, share in shares.items() if share[1].any()}


def _per_prompt(prompts: np.ndarray, flags: np.ndarray) -> np.ndarray:
    return np.bincount(prompts, weights=flags)


def _interval(sums: np.ndarray, totals: np.ndarray, *, seed: int) -> tuple[float, float]:
    """Of sums / totals, each (prompts,), with the prompts drawn again 2,000 times."""
    prompts = len(totals)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(prompts, size=(RESAMPLES, prompts))
    shares = sums[drawn].sum(axis=1) / totals[drawn].sum(axis=1)
    tail = stats.norm.cdf(
        np.sqrt(prompts / (prompts - 1)) * stats.t.ppf((1 - LEVEL) / 2, prompts - 1)
    )
    low, high = np.quantile(shares, [tail, 1 - tail])
    return float(low), float(high)
