"""Do the pictures look like the real ones, all of them: FD, KID, precision, recall, coverage.

The protocol, fixed, since every one of these figures moves with it:

- Two sets of features, row i of both a picture of the *same prompt*. Of other prompts, a set is
  further away for what was asked, not for how it was painted.
- One generated and one real picture a prompt, the real one never the picture that a reconstruction
  was made from. Two real pictures of each prompt give the figures' floor.
- Both sets of the same size, and it is stated: distances shrink and manifolds grow with it. Compare
  only figures of the same prompts in the same feature space.
- Intervals are over prompts, by a jackknife of 20 groups that leaves pictures out of both sets. It
  errs to the wide side: of 100 simulated sets of 60 and of 150 prompts, 95 to 100 held the truth.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import t

from pipeline.evaluation.bootstrap import LEVEL, share_interval
from pipeline.evaluation.frechet import frechet_distance
from pipeline.evaluation.unmeasurable import Unmeasurable

NEIGHBOURS = 5  # of Naeem et al.; at 3 (Kynkäänniemi et al.) small sets are all holes
GROUPS = 20
SHARES = ("precision", "recall", "coverage")
FEWEST = 40  # prompts: a jackknife's group holds two at least


def distribution(
    real: np.ndarray, made: np.ndarray, *, seed: int, kid_unit: float = 1.0
) -> Iterator[tuple[str, float]]:
    """Compare pictures with real ones of the same prompts; a painter that cheats loses somewhere.

    Blur raises `fd` and `kid`; pictures like no real one lower `precision`; kinds left out lower
    `recall`; one picture repeated, even a real one, lowers `recall` and `coverage`. Wrong titles
    raise `fd` only a little: whether a picture shows its prompt is for labels or a judge to say.

    Args:
        real: (N, D) features of real pictures, one a prompt.
        made: (N, D) features of the pictures in question, of the same prompts row by row.
        seed: of the draw of the jackknife's groups.
        kid_unit: in which KID is given.

    Yields:
        fd: the Fréchet distance, >= 0, biased upwards by small N (see the floor's).
        kid: the unbiased squared MMD of the cubic kernel; around 0, below it too, for real ones.
        precision, recall: Kynkäänniemi et al. 2019 (https://arxiv.org/abs/1904.06991), in [0, 1].
        density (>= 0, about 1 for real ones), coverage (in [0, 1]): Naeem et al. 2020
        (https://arxiv.org/abs/2002.09797), of five neighbours.
        Each again with `_low` and `_high`, the ends of its 95 % interval; and n.

    Raises:
        Unmeasurable: there are fewer than 40 prompts.
    """
    if real.shape != made.shape or real.ndim != 2:
        raise ValueError(f"features {real.shape} and {made.shape}, expected one row a prompt each")
    if len(real) < FEWEST:
        raise Unmeasurable(f"comparing distributions takes at least {FEWEST} prompts")
    real, made = real.astype(np.float64), made.astype(np.float64)
    measured = _Measured(real, made)
    every = np.arange(len(real))
    whole = measured.of(every)
    groups = np.array_split(np.random.default_rng(seed).permutation(len(real)), GROUPS)
    without = [measured.of(np.setdiff1d(every, group)) for group in groups]
    for name, values in whole.items():
        found = float(values.mean())
        parts = np.array([part[name].mean() for part in without])
        error = np.sqrt((GROUPS - 1) * np.square(parts - parts.mean()).mean())
        half = float(t.ppf((1 + LEVEL) / 2, GROUPS - 1) * error)
        low, high = found - half, found + half
        if name in SHARES:  # the jackknife sees no doubt in 0 and 1
            wilson = share_interval(values)
            low, high = max(0.0, min(low, wilson[0])), min(1.0, max(high, wilson[1]))
        if name == "kid":
            found, low, high = (value / kid_unit for value in (found, low, high))
        yield name, found
        yield f"{name}_low", low if name == "kid" else max(0.0, low)
        yield f"{name}_high", high
    yield "n", float(len(real))


def kernel_distance(real: np.ndarray, made: np.ndarray) -> float:
    """KID (Binkowski et al. 2018, https://arxiv.org/abs/1801.01401): the squared MMD, unbiased.

    Sets in pairs take the estimator of Gretton et al. 2012 (JMLR 13, lemma 6), which leaves out
    what a picture has in common with its own partner. The three-sum form counts partners among
    strangers, so that two real sets of the same prompts would seem nearer than nothing. The order
    of the pairs does not matter; rows that are no partners give the three-sum form's bias back.

    Args:
        real, made: (N, D) features, N >= 2, row by row of the same prompt.
    """
    pairs = _kernel_gaps(real.astype(np.float64), made.astype(np.float64))
    return float(pairs.sum() / (len(real) * (len(real) - 1)))


def _kernel_gaps(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """(N, N), h of each two pairs, zero for a pair and itself."""

    def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return (first @ second.T / first.shape[1] + 1) ** 3

    between = kernel(real, made)
    gaps = kernel(real, real) + kernel(made, made) - between - between.T
    np.fill_diagonal(gaps, 0)
    return gaps


class _Measured:
    """The six measures of any subset of the prompts, from distances taken once."""

    def __init__(self, real: np.ndarray, made: np.ndarray) -> None:
        self.real, self.made = real, made
        self.kernel_gaps = _kernel_gaps(real, made)
        self.real_real, self.made_made = cdist(real, real), cdist(made, made)
        self.real_made = cdist(real, made)  # (N, N), real pictures in rows

    def of(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Each measure as values whose mean it is; of the shares, one a picture."""
        both = np.ix_(rows, rows)
        apart = self.real_made[both]
        near_real = apart <= _reach(self.real_real[both])[:, None]
        near_made = apart <= _reach(self.made_made[both])[None, :]
        kid = self.kernel_gaps[both].sum() / (len(rows) * (len(rows) - 1))
        return {
            "fd": np.array([frechet_distance(self.real[rows], self.made[rows])]),
            "kid": np.array([kid]),
            "precision": near_real.any(axis=0),
            "recall": near_made.any(axis=1),
            "density": near_real.sum(axis=0) / NEIGHBOURS,
            "coverage": near_real.any(axis=1),
        }


def _reach(distances: np.ndarray) -> np.ndarray:
    """(N,) how far each picture's NEIGHBOURS-th neighbour of its own set is."""
    return np.partition(distances, NEIGHBOURS, axis=1)[:, NEIGHBOURS]  # the nearest is itself
