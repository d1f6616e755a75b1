"""How sure a figure is: 95 % intervals of means, of shares and of paired differences.

What is drawn again is the independent unit. Several pictures of one prompt are one unit (`by`):
they fail together, and counted one by one they would make an interval too narrow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from scipy.stats import norm, t

from pipeline.evaluation.unmeasurable import Unmeasurable

RESAMPLES = 2000
BLOCK = 100  # of them at a time: 100 times N values in memory, not 2,000 times
LEVEL = 0.95
FEWEST = 20  # units; percentiles of fewer cover too seldom: 85 % at 5, 55 % at 2


def mean_interval(
    values: np.ndarray, *, seed: int, by: Sequence[Hashable] | None = None
) -> tuple[float, float]:
    """The 95 % interval of a mean: the BCa bootstrap, widened for small samples.

    BCa (Efron 1987, doi:10.1080/01621459.1987.10478410) mends bias and skewness. Its percentiles
    are moved outwards from the normal's to Student's, as Hesterberg 2015 advises
    (doi:10.1080/00031305.2015.1089789, section 5): at 20 units it then covers 0.93 to 0.95.

    Args:
        values: (N,) of any range.
        seed: of the draws.
        by: (N,) the unit of each value, its prompt say; None: each value is its own.

    Returns:
        The interval's lower and upper end. Equal values leave no doubt here, which is too good to
        be true of shares: take `share_interval` for those.

    Raises:
        Unmeasurable: there are fewer than 20 units.
    """
    sums, counts = _units(values, np.ones(len(values)), by)
    mean = sums.sum() / counts.sum()
    if np.ptp(sums / counts) == 0:
        return float(mean), float(mean)
    size = len(sums)
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES // BLOCK):
        rows = generator.integers(size, size=(BLOCK, size))
        drawn.append(sums[rows].sum(axis=1) / counts[rows].sum(axis=1))
    means = np.sort(np.concatenate(drawn))
    below = np.searchsorted(means, mean, side="left") + np.searchsorted(means, mean, side="right")
    bias = norm.ppf(np.clip(below / 2, 1, RESAMPLES - 1) / RESAMPLES)
    without = (sums.sum() - sums) / (counts.sum() - counts)
    moved = without.mean() - without
    skewness = (moved**3).sum() / (6 * (moved**2).sum() ** 1.5)  # BCa's acceleration
    wide = t.ppf((1 + LEVEL) / 2, size - 1) * np.sqrt(size / (size - 1))
    ends = bias + np.array([-wide, wide])
    low, high = np.quantile(means, norm.cdf(bias + ends / (1 - skewness * ends)))
    return float(low), float(high)


def mean_figures(name: str, values: Sequence[float] | np.ndarray) -> Iterator[tuple[str, float]]:
    """A mean as figures: NAME, and NAME_low and NAME_high where there are enough values for them.

    The draws are the same for each mean, so that two of the same values have the same interval.
    """
    found = np.asarray(values, dtype=np.float64)
    yield name, float(found.mean())
    if len(found) >= FEWEST:
        low, high = mean_interval(found, seed=0)
        yield f"{name}_low", low
        yield f"{name}_high", high


def share_interval(
    right: np.ndarray,
    *,
    by: Sequence[Hashable] | None = None,
    weights: np.ndarray | None = None,
) -> tuple[float, float]:
    """The 95 % interval of a share, honest at 0 and 1 too: Wilson's, of the effective sample size.

    The sample counts as so many independent yes-or-no answers as would spread alike (the design
    effect; Korn and Graubard 1998). Where all answers agree it counts as its units.

    Args:
        right: (N,) of bool, or of shares in [0, 1].
        by: (N,) the unit of each answer; None: each is its own.
        weights: (N,) >= 0, how much an answer counts; None: all alike.

    Returns:
        The interval's ends, in [0, 1].

    Raises:
        Unmeasurable: there are fewer than 20 units.
    """
    values = np.asarray(right, dtype=np.float64)
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError(f"answers in [{values.min()}, {values.max()}], expected [0, 1]")
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    sums, counts = _units(values, weights, by)
    share, size = sums.sum() / counts.sum(), len(sums)
    error = size / (size - 1) * np.square(sums - share * counts).sum() / counts.sum() ** 2
    spread = share * (1 - share)
    if spread > 0 and error > 0:  # at most as many as there are, in Kish's count of unequal ones
        effective = min(weights.sum() ** 2 / np.square(weights).sum(), spread / error)
    else:
        effective = counts.sum() ** 2 / np.square(counts).sum()
    wide = t.ppf((1 + LEVEL) / 2, size - 1) ** 2 / effective
    middle = (share + wide / 2) / (1 + wide)
    half = np.sqrt(wide * (spread + wide / 4)) / (1 + wide)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def difference_interval(
    first: np.ndarray,
    second: np.ndarray,
    *,
    seed: int,
    by: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """The 95 % interval of mean(second) - mean(first), each value beside its partner.

    Pairs of the same prompt share its difficulty, which cancels: two intervals that overlap can
    hide a difference that this one shows.

    Args:
        first, second: (N,) values of the same units in the same order.
        seed: of the draws.
        by: (N,) the unit of each pair; None: each pair is its own.

    Raises:
        Unmeasurable: there are fewer than 20 units.
    """
    if first.shape != second.shape:
        raise ValueError(f"pairs of {first.shape} and of {second.shape}")
    differences = second.astype(np.float64) - first.astype(np.float64)
    return mean_interval(differences, seed=seed, by=by)


def _units(
    values: np.ndarray, weights: np.ndarray, by: Sequence[Hashable] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Each unit's weighted sum of values and its weight; units without weight are left out."""
    if values.ndim != 1 or weights.shape != values.shape:
        raise ValueError(f"expected one value and one weight a row, found {values.shape}")
    if by is None:
        rows: np.ndarray = np.arange(len(values))
    elif len(by) != len(values):
        raise ValueError(f"{len(values)} values of {len(by)} units")
    else:
        place: dict[Hashable, int] = {}
        rows = np.array([place.setdefault(unit, len(place)) for unit in by], dtype=np.int64)
    sums, counts = np.bincount(rows, weights * values), np.bincount(rows, weights)
    sums, counts = sums[counts > 0], counts[counts > 0]
    if len(sums) < FEWEST:
        raise Unmeasurable(f"an interval takes at least {FEWEST} prompts or pictures")
    return sums, counts
