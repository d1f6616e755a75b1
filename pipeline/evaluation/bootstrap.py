"""How sure a mean is: the bootstrap (Efron 1979, doi:10.1214/aos/1176344552)."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.unmeasurable import Unmeasurable

RESAMPLES = 2000
LEVEL = 0.95


def mean_interval(values: np.ndarray, *, seed: int) -> tuple[float, float]:
    """The 95 % interval of the mean of independent values, drawn again 2,000 times.

    Args:
        values: (N,), one for each independent unit (a picture, not each of its codes), N >= 2.
        seed: of the draws.

    Returns:
        The interval's lower and upper end.

    Raises:
        Unmeasurable: fewer than two values say nothing of their spread.
    """
    if values.ndim != 1:
        raise ValueError(f"expected one value a unit, found the shape {values.shape}")
    if len(values) < 2:
        raise Unmeasurable("an interval takes at least two pictures")
    generator = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for i in range(RESAMPLES):  # one draw at a time: N values, not 2,000 times N, in memory
        means[i] = values[generator.integers(len(values), size=len(values))].mean()
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
